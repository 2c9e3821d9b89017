"""The sweep and the second run, on machines that are made up: what settings give is a formula."""

from __future__ import annotations

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.tuning.choice import Figures, Goal, Measured
from statehouse.scripts.tuning.result import SecondRun
from statehouse.scripts.tuning.sweep import Space, Sweep

PRESENT = VersionSettings(batch_size=2)


class Machine:
    """Takes ``cost_ms`` for a batch and 0.1 ms for each row, in each of two workers; counts how often it was asked.

    Two workers keep each other waiting where their batches have more than eight rows.
    """

    def __init__(self, connections: tuple[int, ...], cost_ms: float = 1.0) -> None:
        self.connections = connections
        self.cost_ms = cost_ms
        self.asked: list[VersionSettings] = []

    def measure(self, settings: VersionSettings) -> Measured:
        self.asked.append(settings)
        return Measured(settings, (tuple(self.figures(settings, count) for count in self.connections),))

    def figures(self, settings: VersionSettings, connections: int) -> Figures:
        rows = min(settings.batch_size, connections)
        batch_ms = self.cost_ms + 0.1 * rows
        side_by_side = 1 if settings.workers == 1 else 1.5 if rows > 8 else 3
        rate = rows / batch_ms * 1e3 * side_by_side
        latency_seconds = connections / rate
        return Figures(rate, latency_seconds, latency_seconds)


def test_the_best_batch_size_is_found_then_workers_then_the_best_batch_size_of_those() -> None:
    machine = Machine((16,))
    found = Sweep(machine.measure, Goal(), Space(2, (16,))).run(PRESENT)
    assert machine.asked[:2] == [PRESENT, VersionSettings()]
    assert len(set(machine.asked)) == len(machine.asked)  # each once
    tried = [(each.workers, each.batch_size) for each in machine.asked if each.threads == 1]
    assert tried[2:6] == [(1, size) for size in (1, 4, 8, 16)]  # 64, which could never fill, only by default
    assert tried[6:] == [(2, 16), (2, 1), (2, 4), (2, 8), (2, 8)]  # the last is frozen
    best = Goal().choose(found)
    assert best is not None
    assert (best.settings.workers, best.settings.batch_size) == (2, 8)


def test_over_several_loads_the_whole_is_what_counts() -> None:
    connections = (1, 4, 8, 16, 64)
    found = Sweep(Machine(connections).measure, Goal(), Space(1, connections, (1, 8, 64))).run(PRESENT)
    best = Goal().choose(found)
    assert best is not None
    assert best.settings == VersionSettings()


def test_it_goes_on_when_nothing_is_within_the_limit_or_some_cannot_run() -> None:
    machine = Machine((64,))

    def measure(settings: VersionSettings) -> Measured:
        if settings.batch_size == 64:
            return Measured(settings, problem="not enough memory")
        return machine.measure(settings)

    told: list[int] = []
    goal = Goal(p99_limit_seconds=1e-9)
    found = Sweep(measure, goal, Space(2, (64,), (1, 32, 64)), told.append).run(PRESENT)
    assert goal.choose(found) is None
    assert VersionSettings(workers=2, batch_size=32) in machine.asked
    assert len(told) == len(found)
    assert told[0] == 5  # two that are always tried, and three sizes


def test_optimizations_are_tried_until_one_can_run() -> None:
    connections = (1, 64)
    machine = Machine(connections)

    def measure(settings: VersionSettings) -> Measured:
        if settings.optimizations == ("freeze",):
            return Measured(settings, problem="it decides in Python what to compute")
        machine.cost_ms = 0.1 if settings.optimizations else 1.0
        return machine.measure(settings)

    found = Sweep(measure, Goal(), Space(1, connections, (1, 64))).run(PRESENT)
    assert [each.settings.optimizations for each in found if each.problem] == [("freeze",)]
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


def test_one_that_is_slower_frozen_is_found_to_be_better_as_it_was_trained() -> None:
    machine = Machine((16,))

    def measure(settings: VersionSettings) -> Measured:
        machine.cost_ms = 2.0 if "freeze" in settings.optimizations else 1.0
        return machine.measure(settings)

    present = VersionSettings(batch_size=2, optimizations=("freeze",))
    best = Goal().choose(Sweep(measure, Goal(), Space(1, (16,), (1, 16))).run(present))
    assert best is not None
    assert best.settings == VersionSettings()


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
