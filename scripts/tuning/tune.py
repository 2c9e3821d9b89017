"""`statehouse tune`, without its command line: sweep, choose, confirm in a second run, write or leave."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.load_test.target import plan_for
from statehouse.scripts.machine import available_cores
from statehouse.scripts.store.names import check_name
from statehouse.scripts.tuning.bench import Bench, default_row
from statehouse.scripts.tuning.candidates import BATCH_SIZES, CONNECTIONS
from statehouse.scripts.tuning.choice import Goal, Measured
from statehouse.scripts.tuning.progress import TuneProgress
from statehouse.scripts.tuning.result import SecondRun, TuneResult
from statehouse.scripts.tuning.sweep import Space, Sweep

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class TuneOptions:
    """What is asked: without ``connections`` and ``rate`` several numbers of connections are measured."""

    goal: Goal
    connections: int | None = None
    duration_seconds: float = 2.0
    rounds: int = 3
    dry_run: bool = False
    inputs: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    bfloat16: bool = False

    @property
    def loads(self) -> tuple[ClosedLoop | OpenLoop, ...]:
        """What is put on each candidate."""
        if self.goal.rate_per_second is not None:
            return (OpenLoop(self.goal.rate_per_second, self.duration_seconds),)
        each = CONNECTIONS if self.connections is None else (self.connections,)
        return tuple(ClosedLoop(connections, self.duration_seconds) for connections in each)

    @property
    def space(self) -> Space:
        """What may be tried on this machine."""
        connections = tuple(load.connections for load in self.loads if isinstance(load, ClosedLoop))
        return Space(available_cores(), connections, self.batch_sizes, self.bfloat16)


def tune(name: str, options: TuneOptions, *, deployment_file: Path, shown: bool) -> TuneResult:
    """Find the best settings of the default version of ``name``; write them when a second run confirms them.

    However it ends, the version runs then with what the deployment says. Raises NotServingError, CommandError, and
    what `plan_for` and `run` raise.
    """
    check_name(name)
    client = ControlClient(deployment_file)
    version = str(default_row(client.status(), name)["version"])
    if client.plan():
        raise CommandError(f"{deployment_file} was edited and is not applied: run `statehouse apply` first.")
    plans = [
        plan_for(
            f"{name}/{version}",
            load,
            deployment_file=deployment_file,
            inputs=options.inputs,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        for load in options.loads
    ]
    with TuneProgress(shown=shown) as progress:
        bench = Bench(
            client, name, version, plans,
            goal=options.goal, most_rounds=options.rounds, on_step=progress.step, say=progress.say,
        )  # fmt: skip
        with _put_back_at_the_end(bench, progress):
            return _tune(name, version, options, bench, progress)


def _tune(name: str, version: str, options: TuneOptions, bench: Bench, progress: TuneProgress) -> TuneResult:
    goal = options.goal
    bench.put_back()  # what a killed `tune` may have left
    present = VersionSettings.model_validate(bench.row()["settings"])

    def measure(settings: VersionSettings) -> Measured:
        measured = bench.measure(settings)
        progress.tried(measured, goal)
        return measured

    found = tuple(Sweep(measure, goal, options.space, progress.expect).run(present))
    chosen = goal.choose(found)
    second_run = None
    if chosen is not None and _promises(goal, found[0], chosen):
        progress.expect(1)
        second_run = SecondRun(*bench.compare(present, chosen.settings, options.rounds))
    written = second_run is not None and second_run.confirms(goal) and not options.dry_run
    if written and chosen is not None:
        bench.keep(chosen.settings)
    return TuneResult(
        name, version, goal, options.loads, found, chosen, second_run, written, bench.bottleneck
    )


def _promises(goal: Goal, present: Measured, chosen: Measured) -> bool:
    """Whether a second run may bear out what the first one found."""
    return SecondRun(
        Measured(present.settings, (present.figures,)), Measured(chosen.settings, (chosen.figures,))
    ).confirms(goal)


@contextmanager
def _put_back_at_the_end(bench: Bench, progress: TuneProgress) -> Iterator[None]:
    # A terminal that closes and a plain `kill` end this as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except BaseException:
        progress.say("putting the settings back that were there before")
        bench.put_back()
        progress.note("the settings are those that were there before")
        raise
    bench.put_back()
