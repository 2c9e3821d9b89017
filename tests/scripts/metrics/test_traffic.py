from dataclasses import replace

from scripts.metrics.front_statistics import FrontStatistics, Tracked
from scripts.metrics.torchserve import Measured
from scripts.metrics.traffic import Traffic

EMPTY = FrontStatistics({}, {}, 0, 0, 0, {}, {}, {})


def look(**requests: int) -> FrontStatistics:
    """Requests to small 1.0 by generation: g0=5."""
    counted = {
        Tracked("small", "1.0", int(generation[1:]), how): count
        for generation, count in requests.items()
        for how in ("default", "explicit")
    }
    return replace(EMPTY, requests=counted, in_flight=counted)


def test_a_version_s_requests_are_those_of_all_its_generations_however_asked_for() -> None:
    traffic = Traffic()
    traffic.take_front(look(g0=5, g1=2))
    assert traffic.requests("small", "1.0") == 14
    assert traffic.in_flight("small", "1.0") == 14
    assert traffic.requests("small", "1.1") == 0


def test_a_version_that_is_loaded_again_after_it_was_retired_counts_from_zero() -> None:
    traffic = Traffic()
    traffic.take_front(look(g0=5))
    traffic.begin("small", "1.0", 1)
    traffic.take_front(look(g0=9))
    assert traffic.requests("small", "1.0") == 0
    traffic.take_front(look(g0=9, g1=1))
    assert traffic.requests("small", "1.0") == 2


def test_what_is_gone_is_not_kept_however_long_it_is_told_of() -> None:
    """Or a server would hold a little more after every swap."""
    traffic = Traffic()
    for generation in range(50):
        traffic.begin("small", "1.0", generation)
        traffic.take_front(look(**{f"g{each}": 1 for each in range(generation + 1)}))
        traffic.take_torchserve(
            {Measured("queued", "small", "1.0", each, "1.0-b1"): 1 for each in range(generation + 1)}
        )
    assert traffic.requests("small", "1.0") == 2
    assert len(list(traffic._requests)) == 2
    assert len(list(traffic._measured)) == 1


def test_a_front_that_starts_again_takes_nothing_back() -> None:
    traffic = Traffic()
    traffic.take_front(replace(look(g0=5), totals={"retries": 3}, responses={"2xx": 7}))
    traffic.take_front(replace(look(g0=1), totals={"retries": 1}, responses={"2xx": 1}))
    assert traffic.requests("small", "1.0") == 12
    assert (traffic.front["retries"], traffic.front["hrsp_2xx"]) == (4, 8)


def test_queue_times_add_up_over_lanes() -> None:
    traffic = Traffic()
    traffic.take_torchserve(
        {
            Measured("queued", "small", "1.0", 0, "1.0-b1"): 0.5,
            Measured("queued", "small", "1.0", 0, "1.0-b8"): 0.25,
            Measured("requests", "small", "1.0", 0, "1.0-b8"): 4,
        }
    )
    assert traffic.torchserve("queued", "small", "1.0") == 0.75
    assert traffic.torchserve("requests", "small", "1.0") == 4
