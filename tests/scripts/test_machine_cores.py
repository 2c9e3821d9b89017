import os

import pytest

from statehouse.scripts.machine import available_cores

MINE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", MINE), ("150000 100000", min(MINE, 2)), ("10000 100000", 1), ("99900000 100000", MINE)],
)
def test_a_container_s_share_counts(tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert available_cores(cgroup=tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", MINE), ("100000", 1)])
def test_older_kernels_say_it_in_two_files(tmp_path, quota, expected):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(cgroup=tmp_path) == expected


def test_without_a_container_all_that_this_process_may_use(tmp_path):
    assert available_cores(cgroup=tmp_path) == MINE
    mine = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, mine[:1])
    try:
        assert available_cores(cgroup=tmp_path) == 1
    finally:
        os.sched_setaffinity(0, mine)
