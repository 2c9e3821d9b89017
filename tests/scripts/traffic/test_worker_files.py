"""Files of workers that are dead, folded into one; that workers really write such is in test_workers.py."""

import os
import resource

import pytest
from prometheus_client import mmap_dict

from statehouse.scripts.traffic import worker_files
from statehouse.scripts.traffic.worker_files import fold_dead

DEAD = 2**22 + 1  # more than Linux ever gives


def write(folder, kind, pid, **values):
    file = mmap_dict.MmapedDict(str(folder / f"{kind}_{pid}.db"))
    for key, value in values.items():
        file.write_value(key, value, 0.0)
    file.close()


def values_in(file):
    return {key: value for key, value, *_ in mmap_dict.MmapedDict.read_all_values_from_file(str(file))}


def fold(folder):
    fold_dead(sorted(folder.glob("*.db")))
    return sorted(file.name for file in folder.iterdir())


def test_counts_of_the_dead_are_added_up_in_one_file_of_their_kind(tmp_path):
    write(tmp_path, "counter", DEAD, a=1.0, b=2.0)
    write(tmp_path, "counter", DEAD + 1, b=3.0)
    write(tmp_path, "histogram", DEAD, a=5.0)
    assert fold(tmp_path) == ["counter_folded.db", "histogram_folded.db"]
    assert values_in(tmp_path / "counter_folded.db") == {"a": 1.0, "b": 5.0}
    write(tmp_path, "counter", DEAD + 2, a=10.0, c=1.0)
    assert fold(tmp_path) == ["counter_folded.db", "histogram_folded.db"]
    assert values_in(tmp_path / "counter_folded.db") == {"a": 11.0, "b": 5.0, "c": 1.0}
    assert fold(tmp_path) == ["counter_folded.db", "histogram_folded.db"]


@pytest.mark.parametrize("is_first", [True, False])
def test_without_room_they_are_kept_and_folded_later(tmp_path, is_first):
    """To write into a map that the disk has no room for would end the supervisor."""
    if not is_first:
        write(tmp_path, "counter", DEAD, a=1.0)
        fold(tmp_path)
    before = sorted(file.name for file in tmp_path.iterdir())
    write(tmp_path, "counter", DEAD + 1, a=2.0, **{"long" * 30_000: 3.0})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        kept = fold(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept == sorted([*before, f"counter_{DEAD + 1}.db"])
    assert fold(tmp_path) == ["counter_folded.db"]
    assert values_in(tmp_path / "counter_folded.db")["a"] == (2.0 if is_first else 3.0)


def test_gauges_of_the_dead_go(tmp_path):
    write(tmp_path, "gauge_livesum", DEAD, a=1.0)
    assert fold(tmp_path) == []


def test_who_lives_keeps_his_files(tmp_path):
    for kind in ("counter", "gauge_livesum"):
        write(tmp_path, kind, os.getpid(), a=1.0)
    assert fold(tmp_path) == [f"counter_{os.getpid()}.db", f"gauge_livesum_{os.getpid()}.db"]


def test_so_does_a_number_that_is_another_user_s_process_now(tmp_path, monkeypatch):
    def refuse(pid, signal):
        raise PermissionError

    monkeypatch.setattr(worker_files.os, "kill", refuse)
    write(tmp_path, "counter", DEAD, a=1.0)
    assert fold(tmp_path) == [f"counter_{DEAD}.db"]


def test_each_folder_has_its_own(tmp_path):
    for folder in ("g0", "g1"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "counter", DEAD, a=1.0)
    fold_dead(tmp_path.glob("*/*.db"))
    assert [values_in(tmp_path / folder / "counter_folded.db") for folder in ("g0", "g1")] == [{"a": 1.0}] * 2


@pytest.mark.parametrize(
    "name", ["counter_x.db", f"counter_{DEAD}.txt", f"other_{DEAD}.db", f"gauge_{DEAD}.db"]
)
def test_other_files_are_left_alone(tmp_path, name):
    (tmp_path / name).write_bytes(b"theirs")
    fold_dead(tmp_path.iterdir())
    assert (tmp_path / name).read_bytes() == b"theirs"
