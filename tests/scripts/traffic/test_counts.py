import asyncio
from dataclasses import replace
from typing import Any

import pytest

from statehouse.scripts.servers.haproxy_statistics import FrontStatistics, Tracked
from statehouse.scripts.servers.torchserve_metrics import Measured
from statehouse.scripts.traffic import counts
from statehouse.scripts.traffic.counts import Traffic

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
            {Measured("served", "small", "1.0", each): 1 for each in range(generation + 1)}
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


def test_of_one_that_is_silent_what_it_said_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "GLANCE_SECONDS", 0.01)

    class Silent:
        async def statistics(self) -> None:
            await asyncio.Event().wait()

        measured = statistics

    traffic = Traffic()
    traffic.take_front(look(g0=5))
    silent: Any = Silent()
    asyncio.run(traffic.look(silent, silent))
    assert traffic.requests("small", "1.0") == 10


def test_times_add_up_over_generations() -> None:
    traffic = Traffic()
    traffic.take_torchserve(
        {
            Measured("served", "small", "1.0", 0): 0.5,
            Measured("served", "small", "1.0", 1): 0.25,
            Measured("requests", "small", "1.0", 1): 4,
        }
    )
    assert traffic.torchserve("served", "small", "1.0") == 0.75
    assert traffic.torchserve("requests", "small", "1.0") == 4
