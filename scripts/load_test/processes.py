"""A load from several processes: each sends every N-th request of one schedule, all from one start on."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import cast

from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenEnd, Share
from statehouse.scripts.load_test.errors import LoadGeneratorError, LoadTargetError
from statehouse.scripts.load_test.plan import LoadPlan
from statehouse.scripts.load_test.precise_loop import precise_loop
from statehouse.scripts.load_test.progress import LoadProgress, OnProgress, merge_progress
from statehouse.scripts.load_test.recorder import Recording, merge_recordings
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.load_test.run import record_load, run
from statehouse.scripts.load_test.summary import summarise

START_LEAD_SECONDS = 0.1  # from the last process that is ready to the start
LOOK_SECONDS = 0.1
READY, STOP = "ready", "stop"


def run_in_processes(
    plan: LoadPlan,
    processes: int,
    on_progress: OnProgress | None = None,
    open_end: OpenEnd | None = None,
) -> LoadResult:
    """Run a load from so many processes; counts and percentiles are of all requests, as from one.

    Ctrl-C ends it early. Raises LoadTargetError, and LoadGeneratorError when a process dies.
    """
    if isinstance(plan.arrivals, ClosedLoop):
        processes = min(processes, plan.arrivals.connections)
    if processes == 1:
        return run(plan, on_progress, open_end)
    generator = _Generator(plan, processes, on_progress, open_end)
    with _on_interrupt(generator):
        result = summarise(plan, merge_recordings(generator.run()))
    return replace(result, interrupted=generator.stopped)  # one that comes while it is summed up counts too


class _Generator:
    def __init__(
        self, plan: LoadPlan, count: int, on_progress: OnProgress | None, open_end: OpenEnd | None
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[Pipe, SpawnProcess] = {}
        self._on_progress = on_progress
        self.stopped = False
        self._open_end = open_end
        self._end_told = False
        for index in range(count):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_send_share,
                args=(theirs, plan, Share(index, count), open_end is not None),
                daemon=True,
            )
            process.start()
            theirs.close()
            self._processes[ours] = process

    def run(self) -> list[Recording]:
        try:
            for pipe in self._processes:
                self._receive(pipe)
            self._tell_all(time.monotonic() + START_LEAD_SECONDS)
            if self.stopped:  # before there was anything to stop
                self._tell_all(STOP)
            return self._follow()
        finally:
            for pipe, process in self._processes.items():
                pipe.close()  # a process that still runs ends by that
                process.join()

    def stop(self) -> None:
        self.stopped = True
        self._tell_all(STOP)

    def _follow(self) -> list[Recording]:
        done: dict[Pipe, Recording] = {}
        latest: dict[Pipe, LoadProgress] = {}
        while len(done) < len(self._processes):
            for ready in wait([each for each in self._processes if each not in done], LOOK_SECONDS):
                pipe = cast(Pipe, ready)
                message = self._receive(pipe)
                if isinstance(message, Recording):
                    done[pipe] = message
                elif isinstance(message, LoadProgress):
                    latest[pipe] = message
            self._tell_end()
            if self._on_progress is not None and len(latest) == len(self._processes):
                self._on_progress(merge_progress(list(latest.values())))
        return [done[pipe] for pipe in self._processes]

    def _tell_end(self) -> None:
        end = None if self._open_end is None else self._open_end.at_monotonic_seconds
        if end is not None and not self._end_told:
            self._end_told = True
            self._tell_all(end)

    def _receive(self, pipe: Pipe) -> object:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionError):
            process = self._processes[pipe]
            process.join()
            raise LoadGeneratorError(
                f"One of the {len(self._processes)} processes of the generator ended with {process.exitcode} "
                "before it had told what it found. Was it killed? Try fewer --processes."
            ) from None
        if isinstance(message, LoadTargetError):
            raise message
        return message

    def _tell_all(self, message: object) -> None:
        for pipe in self._processes:
            with suppress(OSError):  # it has ended: who waits for its message will see; or this load has
                pipe.send(message)


@contextmanager
def _on_interrupt(generator: _Generator) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        generator.stop()

    try:
        before = signal.signal(signal.SIGINT, stop)
    except ValueError:  # signals belong to the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _send_share(pipe: Pipe, plan: LoadPlan, share: Share, is_open_ended: bool) -> None:
    """Be one of the processes: ready, start, progress, what was recorded."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole terminal: the first process tells us
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        try:
            pipe.send(READY)
            runner.run(_record_share(pipe, plan, share, OpenEnd() if is_open_ended else None))
        except LoadTargetError as error:
            pipe.send(error)
        except (EOFError, ConnectionError):
            pass  # the first process is gone


async def _record_share(pipe: Pipe, plan: LoadPlan, share: Share, open_end: OpenEnd | None) -> None:
    started = pipe.recv()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionError):  # the first process is gone
            message = STOP
        if open_end is not None and isinstance(message, float):
            open_end.at_monotonic_seconds = message
        else:
            loop.remove_reader(pipe.fileno())
            stop.set()

    loop.add_reader(pipe.fileno(), told)
    recording = await record_load(plan, pipe.send, stop, started=started, share=share, open_end=open_end)
    loop.remove_reader(pipe.fileno())
    pipe.send(recording)
