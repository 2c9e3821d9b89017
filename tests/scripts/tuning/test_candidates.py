"""Which settings are tried."""

from __future__ import annotations

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.tuning.candidates import with_batch_sizes, with_workers

PRESENT = VersionSettings(batch_size=8)


@pytest.mark.parametrize(
    ("sizes", "most_in_flight", "tried"),
    [([64, 1, 8, 8], 8, [1, 8]), ([64, 1, 8, 8], None, [1, 8, 64]), ([32, 16], 4, [16])],
)
def test_batches_that_could_never_fill_are_left_out(
    sizes: list[int], most_in_flight: int | None, tried: list[int]
) -> None:
    found = with_batch_sizes(PRESENT, sizes, most_in_flight=most_in_flight)
    assert [each.batch_size for each in found] == tried


def test_all_else_stays_as_it_is_while_batch_sizes_are_tried() -> None:
    present = VersionSettings(workers=2, threads=2, optimizations=("freeze",))
    [settings] = with_batch_sizes(present, [4], most_in_flight=None)
    assert settings == present.model_copy(update={"batch_size": 4})


def test_workers_times_threads_go_up_to_the_cores() -> None:
    found = [(each.workers, each.threads) for each in with_workers(PRESENT, 4)]
    assert found == [(1, 2), (1, 4), (2, 1), (2, 2), (4, 1)]
    assert with_workers(PRESENT, 1) == []
    assert (1, 1) in [
        (each.workers, each.threads) for each in with_workers(PRESENT.model_copy(update={"threads": 2}), 2)
    ]
