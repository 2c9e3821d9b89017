import os

import pytest

from scripts.available_cores import available_cores

MINE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", MINE), ("150000 100000", min(MINE, 2)), ("10000 100000", 1), ("99900000 100000", MINE)],
)
def test_a_container_s_share_counts(tmp_path, quota, expected):
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n")
    assert available_cores(quota=file) == expected


def test_without_a_container_all_that_this_process_may_use(tmp_path):
    assert available_cores(quota=tmp_path / "absent") == MINE
    mine = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, mine[:1])
    try:
        assert available_cores(quota=tmp_path / "absent") == 1
    finally:
        os.sched_setaffinity(0, mine)
