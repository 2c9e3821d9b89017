"""What a container may still take, from files as both kinds of kernel write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from statehouse.models.errors import StatehouseError
from statehouse.scripts.machine import available_bytes

MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """8 GiB are available."""
    file = tmp_path / "meminfo"
    file.write_text(f"MemTotal:       16000000 kB\nMemAvailable:   {8 << 20} kB\nHugePages_Total:       0\n")
    return file


def cgroup(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    return folder


def test_without_a_limit_it_is_the_machines(machine: Path, tmp_path: Path) -> None:
    assert available_bytes(machine=machine, cgroup=tmp_path / "none") == 8192 * MIB
    unlimited = cgroup(tmp_path / "two", {"memory.max": "max\n", "memory.current": f"{100 * MIB}\n"})
    assert available_bytes(machine=machine, cgroup=unlimited) == 8192 * MIB
    first = {"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "7\n"}
    assert available_bytes(machine=machine, cgroup=cgroup(tmp_path / "one", first)) == 8192 * MIB


def test_a_containers_limit_holds_less_what_it_uses(machine: Path, tmp_path: Path) -> None:
    """Pages of files count as free: a container that has copied a version would seem full otherwise."""
    second = {
        "memory.max": f"{2048 * MIB}\n",
        "memory.current": f"{1500 * MIB}\n",
        "memory.stat": f"anon {900 * MIB}\nfile 1\ninactive_file {400 * MIB}\nactive_file {100 * MIB}\n",
    }
    assert available_bytes(machine=machine, cgroup=cgroup(tmp_path / "two", second)) == 1048 * MIB
    first = {
        "memory/memory.limit_in_bytes": f"{2048 * MIB}\n",
        "memory/memory.usage_in_bytes": f"{1500 * MIB}\n",
        "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {400 * MIB}\ntotal_active_file 0\n",
    }
    assert available_bytes(machine=machine, cgroup=cgroup(tmp_path / "one", first)) == 948 * MIB


def test_another_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatehouseError, match="expected Linux"):
        available_bytes(machine=tmp_path / "meminfo", cgroup=tmp_path)


def test_this_machine_has_some() -> None:
    assert available_bytes() > 0
