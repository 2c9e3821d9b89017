"""Which settings are tried."""

from __future__ import annotations

from scripts.deployment import MAX_LANES, VersionSettings
from scripts.tuning.candidates import lane_sets, single_lanes, with_delays, with_workers

PRESENT = VersionSettings()


def lanes(settings: VersionSettings) -> list[tuple[int, int | None]]:
    return [(lane.batch_size, lane.up_to) for lane in settings.lanes]


def single(batch_size: int) -> VersionSettings:
    [settings] = single_lanes([batch_size], PRESENT, most_in_flight=None)
    return settings


def test_batches_that_could_never_fill_are_left_out() -> None:
    sizes = [64, 1, 8, 8]
    assert [lanes(each) for each in single_lanes(sizes, PRESENT, most_in_flight=8)] == [
        [(1, None)],
        [(8, None)],
    ]
    assert len(single_lanes(sizes, PRESENT, most_in_flight=None)) == 3
    assert [lanes(each) for each in single_lanes([16, 32], PRESENT, most_in_flight=4)] == [[(16, None)]]


def test_the_module_stays_as_it_is_while_batch_sizes_are_tried() -> None:
    present = VersionSettings(threads=2, optimizations=("freeze",))
    [settings] = single_lanes([4], present, most_in_flight=None)
    assert (settings.threads, settings.optimizations, settings.workers) == (2, ("freeze",), 1)


def test_a_batch_of_one_never_waits() -> None:
    assert with_delays(single(1), [2, 5]) == []
    assert [each.lanes[0].max_batch_delay_ms for each in with_delays(single(8), [2, 5])] == [2, 5]


def test_workers_times_threads_go_up_to_the_cores() -> None:
    found = [(each.workers, each.threads) for each in with_workers(single(8), 4)]
    assert found == [(1, 2), (1, 4), (2, 1), (2, 2), (4, 1)]
    assert with_workers(single(8), 1) == []
    assert (1, 1) in [
        (each.workers, each.threads) for each in with_workers(single(8).model_copy(update={"threads": 2}), 2)
    ]


def test_lanes_are_made_of_the_best_sizes_and_meet_in_the_middle() -> None:
    best = {1: 1, 4: 4, 8: 4, 16: 32, 64: 32}
    found = [lanes(each) for each in lane_sets(best, single(32))]
    assert found == [[(1, 2), (4, 11), (32, None)], [(1, 4), (32, None)]]


def test_lanes_ascend_and_are_not_too_many() -> None:
    noisy = {1: 4, 4: 1, 8: 16, 16: 8, 64: 64}  # a smaller batch for more connections is no lane
    assert lanes(next(lane_sets(noisy, single(64)))) == [(4, 5), (16, 32), (64, None)]
    five = {1: 1, 4: 2, 8: 4, 16: 8, 64: 16}
    sets = list(lane_sets(five, single(16)))
    assert [len(each.lanes) for each in sets] == [MAX_LANES, 3, 2]
    for each in sets:
        assert VersionSettings.model_validate(each.model_dump()) == each  # the deployment takes it
        assert (each.lanes[0].batch_size, each.lanes[-1].batch_size) == (1, 16)
    assert list(lane_sets(dict.fromkeys(five, 8), single(8))) == []


def test_the_best_number_of_workers_is_tried_with_lanes_too() -> None:
    base = single(32).model_copy(update={"workers": 2, "threads": 2})
    assert [(each.workers, each.threads) for each in lane_sets({1: 1, 64: 32}, base)] == [(1, 2), (2, 2)]
