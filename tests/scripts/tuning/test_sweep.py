"""The sweep and the second run, on machines that are made up: what settings give is a formula."""

from __future__ import annotations

from scripts.deployment import LaneSettings, VersionSettings
from scripts.tuning.choice import Figures, Goal, Measured
from scripts.tuning.result import SecondRun
from scripts.tuning.sweep import Space, Sweep

PRESENT = VersionSettings(lanes=(LaneSettings(batch_size=2),))


class Machine:
    """Takes ``cost_ms`` for a batch and 0.1 ms for each row; counts how often it was asked."""

    def __init__(self, connections: tuple[int, ...], cost_ms: float = 1.0) -> None:
        self.connections = connections
        self.cost_ms = cost_ms
        self.asked: list[VersionSettings] = []

    def measure(self, settings: VersionSettings) -> Measured:
        self.asked.append(settings)
        return Measured(settings, (tuple(self.figures(settings, count) for count in self.connections),))

    def figures(self, settings: VersionSettings, connections: int) -> Figures:
        lane = next(lane for lane in settings.lanes if lane.up_to is None or connections <= lane.up_to)
        rows = min(lane.batch_size, connections)
        waits_ms = lane.max_batch_delay_ms if rows < lane.batch_size else 0
        batch_ms = self.cost_ms + waits_ms + 0.1 * rows
        rate = rows / batch_ms * 1e3 * (1.5 if settings.workers == 2 else 1)
        latency_seconds = connections / rate
        return Figures(rate, latency_seconds, latency_seconds)


def test_at_one_load_the_best_single_lane_is_found_then_its_workers() -> None:
    machine = Machine((16,))
    found = Sweep(machine.measure, Goal(), Space(2, (16,))).run(PRESENT)
    assert machine.asked[0] == PRESENT
    assert len(set(machine.asked)) == len(machine.asked)  # each once
    best = Goal().choose(found)
    assert best is not None
    assert best.settings == VersionSettings(workers=2, lanes=(LaneSettings(batch_size=16),))
    assert all(
        len(each.settings.lanes) == 1 for each in found if each.settings not in (PRESENT, VersionSettings())
    )


def test_over_several_loads_lanes_are_made_of_what_is_best_for_each() -> None:
    connections = (1, 4, 8, 16, 64)
    found = Sweep(Machine(connections).measure, Goal(), Space(1, connections, (1, 8, 64))).run(PRESENT)
    [made] = [each for each in found if [lane.batch_size for lane in each.settings.lanes] == [1, 8, 64]]
    assert [lane.up_to for lane in made.settings.lanes] == [2, 32, None]
    best = Goal().choose(found)
    assert best is not None
    assert len(best.settings.lanes) > 1


def test_it_goes_on_when_nothing_is_within_the_limit_or_some_cannot_run() -> None:
    machine = Machine((64,))

    def measure(settings: VersionSettings) -> Measured:
        if settings.lanes[0].batch_size == 64:
            return Measured(settings, problem="not enough memory")
        return machine.measure(settings)

    told: list[int] = []
    goal = Goal(p99_limit_seconds=1e-9)
    found = Sweep(measure, goal, Space(2, (64,), (1, 32, 64)), told.append).run(PRESENT)
    assert goal.choose(found) is None
    assert VersionSettings(workers=2, lanes=(LaneSettings(batch_size=32),)) in machine.asked
    assert len(told) == len(found)
    assert told[0] == 5  # two that are always tried, and three sizes


def test_optimizations_are_tried_until_one_can_run_and_lanes_keep_what_helps() -> None:
    connections = (1, 64)
    machine = Machine(connections)

    def measure(settings: VersionSettings) -> Measured:
        if settings.optimizations == ("freeze",):
            return Measured(settings, problem="it decides in Python what to compute")
        machine.cost_ms = 0.1 if settings.optimizations else 1.0
        return machine.measure(settings)

    found = Sweep(measure, Goal(), Space(1, connections, (1, 64))).run(PRESENT)
    assert [each.settings.optimizations for each in found if each.problem] == [("freeze",)]
    assert ("channels_last",) in [
        each.settings.optimizations for each in found if len(each.settings.lanes) == 2
    ]
    best = Goal().choose(found)
    assert best is not None
    assert best.settings.optimizations == ("channels_last",)


def test_bfloat16_is_tried_only_where_answers_may_be_of_that_precision() -> None:
    machine = Machine((16,))

    def measure(settings: VersionSettings) -> Measured:
        machine.cost_ms = 0.1 if "bfloat16" in settings.optimizations else 1.0
        return machine.measure(settings)

    found = Sweep(measure, Goal(), Space(1, (16,), (1, 16))).run(PRESENT)
    assert not any("bfloat16" in each.settings.optimizations for each in found)
    found = Sweep(measure, Goal(), Space(1, (16,), (1, 16), bfloat16=True)).run(PRESENT)
    best = Goal().choose(found)
    assert best is not None
    assert best.settings.optimizations == ("bfloat16", "freeze")


def rounds(*rates: float, p99_ms: float = 10) -> Measured:
    return Measured(PRESENT, tuple((Figures(rate, p99_ms / 2e3, p99_ms / 1e3),) for rate in rates))


def test_a_second_run_confirms_five_percent_round_by_round() -> None:
    present = rounds(1000, 2000, 1000)  # a machine that was faster for a while, for both
    assert SecondRun(present, rounds(1060, 2120, 900)).confirms(Goal())
    assert not SecondRun(present, rounds(1040, 2080, 1500)).confirms(Goal())
    assert SecondRun(present, rounds(1060, 2120, 900)).gain(Goal()) == 1.06


def test_a_second_run_must_hold_the_limit_that_was_given() -> None:
    goal = Goal(p99_limit_seconds=0.010)
    assert SecondRun(rounds(1000), rounds(1100, p99_ms=10)).confirms(goal)
    assert not SecondRun(rounds(1000), rounds(1100, p99_ms=11)).confirms(goal)
    # Alone within the limit, fewer requests per second are a gain too.
    assert SecondRun(rounds(1000, p99_ms=11), rounds(900)).confirms(goal)
    assert not SecondRun(rounds(1000), rounds(1000)).confirms(goal)
