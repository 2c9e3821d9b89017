"""Modules are imported from copies, so that an edit while a publish lasts changes nothing of what it proves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tests.net_text import net_text

from statehouse.models.architecture import build_model
from statehouse.models.errors import ArchitectureImportError
from statehouse.models.snapshots.source import find_source
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.errors import UnknownCodeError
from statehouse.scripts.publishing.proving_code import import_code, proving_code
from statehouse.scripts.store import PublishedVersion
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import ArchitectureCode


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    net = net_text("test_proving", forward="from proving_factor import FACTOR; return FACTOR * x")
    (tmp_path / "proving_nets.py").write_text(net)
    (tmp_path / "proving_factor.py").write_text("FACTOR = 1")
    return tmp_path


def answer() -> float:
    return float(build_model("test_proving", {"width": 1})(torch.ones(1)))


def test_what_proves_is_what_was_read_at_first(folder: Path) -> None:
    with proving_code(["proving_nets"]) as registers:
        (folder / "proving_factor.py").write_text("FACTOR = 2")
        assert answer() == 1
        assert registers["test_proving"].files["proving_factor.py"] == b"FACTOR = 1"
    with proving_code(["proving_nets"]):
        assert answer() == 2


def test_every_module_that_cannot_be_imported_is_told(folder: Path) -> None:
    (folder / "proving_broken.py").write_text("open('beside.txt')")
    with (
        pytest.raises(ArchitectureImportError) as caught,
        proving_code(["absent_nets", "proving_nets", "proving_broken"]),
    ):
        pass
    absent, broken = caught.value.problems
    assert absent.startswith("absent_nets: no module 'absent_nets', and no entry point")
    assert broken.startswith("proving_broken: was found, but importing it raised FileNotFoundError")


@pytest.fixture
def version(make_version, folder: Path) -> PublishedVersion:
    """One that was proved by the module as it is."""
    source = find_source("proving_nets")
    published = read_folder(make_version("digits", "1.0"))
    code = ArchitectureCode(module="proving_nets", digest=source.digest)
    return PublishedVersion(
        published.folder, published.manifest.model_copy(update={"architecture_code": code})
    )


def test_a_version_is_rebuilt_with_its_own_code_or_not_at_all(
    version: PublishedVersion, folder: Path
) -> None:
    snapshots = Snapshots(folder / "kept")
    with pytest.raises(UnknownCodeError, match=r"digits 1\.0 was proved by the module proving_nets"):
        import_code(version, snapshots, ["proving_nets"])
    snapshots.add(find_source("proving_nets"))
    (folder / "proving_factor.py").write_text("FACTOR = 2")
    import_code(version, snapshots, ["proving_nets"])
    assert answer() == 1
