"""Run a load plan from its first request to its last answer."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts.load_test.closed_loop import ClosedLoopDriver
from scripts.load_test.errors import LoadTargetError
from scripts.load_test.open_loop import OpenLoopDriver
from scripts.load_test.plan import LoadPlan, OpenLoop
from scripts.load_test.pool import Address, Driver, Pool
from scripts.load_test.precise_loop import precise_loop
from scripts.load_test.recorder import Recorder
from scripts.load_test.result import LoadResult
from scripts.load_test.summary import summarise

LEAD_SECONDS = 0.01  # from now to the start, so that the first request is not late
SWEEP_SECONDS = 0.02
PROGRESS_SECONDS = 0.1


@dataclass(frozen=True)
class LoadProgress:
    """Where a load stands. ``planned`` grows while it runs in a closed loop."""

    elapsed_seconds: float
    planned: int
    sent: int
    answered: int
    failed: int
    unsent: int


OnProgress = Callable[[LoadProgress], None]


async def run_load(
    plan: LoadPlan, on_progress: OnProgress | None = None, stop: asyncio.Event | None = None
) -> LoadResult:
    """Send what ``plan`` says and return what became of all of it.

    Progress is told ten times a second. When ``stop`` is set nothing more is sent, what is in flight is
    waited for, and the rest of an open loop's schedule counts as unsent. Timers are as exact as the running
    event loop's: see `precise_loop`. Raises LoadTargetError.
    """
    address = await _resolve(plan)
    wall_minus_loop = time.time() - asyncio.get_running_loop().time()
    recorder = Recorder(started=asyncio.get_running_loop().time() + LEAD_SECONDS)
    pool = Pool(address, plan.timeout_seconds, recorder)
    pool.driver = driver = _driver(plan, recorder, pool)
    cpu_before = time.thread_time()
    try:
        driver.start()
        await _watch(driver, pool, recorder, on_progress, stop)
    finally:
        await pool.close()
    cpu_seconds = time.thread_time() - cpu_before
    elapsed_seconds = asyncio.get_running_loop().time() - recorder.started + LEAD_SECONDS
    return summarise(
        plan,
        recorder,
        planned=driver.planned_count,
        interrupted=stop is not None and stop.is_set(),
        started_unix_seconds=recorder.started + wall_minus_loop,
        cpu_share=cpu_seconds / elapsed_seconds,
    )


def run(plan: LoadPlan, on_progress: OnProgress | None = None) -> LoadResult:
    """Run a load in an event loop made for it; Ctrl-C ends it early, with what it found so far."""

    async def until_interrupted() -> LoadResult:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError, RuntimeError):  # signals belong to the main thread
            loop.add_signal_handler(signal.SIGINT, stop.set)
        return await run_load(plan, on_progress, stop)

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(until_interrupted())


async def _watch(
    driver: Driver,
    pool: Pool,
    recorder: Recorder,
    on_progress: OnProgress | None,
    stop: asyncio.Event | None,
) -> None:
    loop = asyncio.get_running_loop()
    next_progress = recorder.started
    while not driver.is_finished(now := loop.time()):
        if stop is not None and stop.is_set():
            driver.stop()
        pool.sweep(now)
        driver.sweep(now)
        if on_progress is not None and now >= next_progress:
            next_progress = now + PROGRESS_SECONDS
            on_progress(_progress(driver, recorder, now))
        await asyncio.sleep(SWEEP_SECONDS)
    if on_progress is not None:
        on_progress(_progress(driver, recorder, loop.time()))


def _progress(driver: Driver, recorder: Recorder, now: float) -> LoadProgress:
    return LoadProgress(
        elapsed_seconds=max(now - recorder.started, 0.0),
        planned=driver.planned_count,
        sent=recorder.sent_count,
        answered=recorder.answered_count,
        failed=recorder.failed_count,
        unsent=recorder.unsent_count,
    )


def _driver(plan: LoadPlan, recorder: Recorder, pool: Pool) -> Driver:
    requests = plan.encode_requests()
    if isinstance(plan.arrivals, OpenLoop):
        return OpenLoopDriver(plan.arrivals, requests, plan.waiting_seconds, recorder, pool)
    return ClosedLoopDriver(plan.arrivals, requests, recorder, pool)


async def _resolve(plan: LoadPlan) -> Address:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LoadTargetError(
            f"{plan.host!r} cannot be found: {error.strerror}. Give a host that this machine knows."
        ) from error
    return found[0][4]
