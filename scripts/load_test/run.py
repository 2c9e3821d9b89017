"""Run a load plan from its first request to its last answer."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from dataclasses import replace
from typing import Any

from statehouse.scripts.load_test.arrivals import OpenEnd, OpenLoop, Share
from statehouse.scripts.load_test.closed_loop import ClosedLoopDriver
from statehouse.scripts.load_test.connection import ConnectionOwner, HttpConnection
from statehouse.scripts.load_test.errors import LoadTargetError
from statehouse.scripts.load_test.open_loop import OpenLoopDriver
from statehouse.scripts.load_test.plan import LoadPlan
from statehouse.scripts.load_test.pool import Connect, Driver, Pool
from statehouse.scripts.load_test.precise_loop import precise_loop
from statehouse.scripts.load_test.progress import OnProgress, progress_of
from statehouse.scripts.load_test.recorder import Recorder, Recording
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.load_test.summary import summarise

LEAD_SECONDS = 0.01  # from now to the start, so that the first request is not late
SWEEP_SECONDS = 0.02
PROGRESS_SECONDS = 0.1


async def run_load(
    plan: LoadPlan, on_progress: OnProgress | None = None, stop: asyncio.Event | None = None
) -> LoadResult:
    """Send what ``plan`` says and return what became of all of it.

    Progress is told ten times a second. When ``stop`` is set nothing more is sent, what is in flight is
    waited for, and what an open loop's schedule has for later is no part of the load. Timers are as exact
    as the running event loop's: see `precise_loop`. Raises LoadTargetError.
    """
    return summarise(plan, await record_load(plan, on_progress, stop))


def run(plan: LoadPlan, on_progress: OnProgress | None = None, open_end: OpenEnd | None = None) -> LoadResult:
    """Run a load in an event loop made for it; Ctrl-C ends it early, with what it found so far.

    With ``open_end`` the schedule is repeated until that is known.
    """

    stop = asyncio.Event()

    async def until_interrupted() -> LoadResult:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError, RuntimeError):  # signals belong to the main thread
            loop.add_signal_handler(signal.SIGINT, stop.set)
        return summarise(plan, await record_load(plan, on_progress, stop, open_end=open_end))

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        result = runner.run(until_interrupted())
    # One that comes while the load is summed up, or the loop is closed, is no less a wish to end.
    return replace(result, interrupted=stop.is_set())


async def record_load(
    plan: LoadPlan,
    on_progress: OnProgress | None = None,
    stop: asyncio.Event | None = None,
    *,
    started: float | None = None,
    share: Share = Share(),  # noqa: B008 - it cannot be changed
    open_end: OpenEnd | None = None,
) -> Recording:
    """Send this process's share of ``plan``, from ``started`` on (monotonic clock; None: now)."""
    connect = await _connector(plan)
    loop = asyncio.get_running_loop()
    recorder = Recorder(started=loop.time() + LEAD_SECONDS if started is None else started)
    pool = Pool(connect, plan.timeout_seconds, recorder)
    pool.driver = driver = _driver(plan, recorder, pool, share, is_open_ended=open_end is not None)
    cpu_before = time.thread_time()
    try:
        driver.start()
        await _watch(driver, pool, recorder, on_progress, stop, open_end)
    finally:
        await pool.close()
    cpu_seconds = time.thread_time() - cpu_before
    return recorder.recording(
        planned=driver.planned_count,
        cpu_share=cpu_seconds / (loop.time() - recorder.started + LEAD_SECONDS),
        interrupted=stop is not None and stop.is_set(),
    )


async def _watch(
    driver: Driver,
    pool: Pool,
    recorder: Recorder,
    on_progress: OnProgress | None,
    stop: asyncio.Event | None,
    open_end: OpenEnd | None,
) -> None:
    loop = asyncio.get_running_loop()
    next_progress = recorder.started
    while not driver.is_finished(now := loop.time()):
        if stop is not None and stop.is_set():
            driver.stop()
        if open_end is not None and open_end.at_monotonic_seconds is not None:
            driver.end_at(open_end.at_monotonic_seconds)
        pool.sweep(now)
        driver.sweep(now)
        if on_progress is not None and now >= next_progress:
            next_progress = now + PROGRESS_SECONDS
            on_progress(progress_of(recorder, driver.planned_count, now))
        await asyncio.sleep(SWEEP_SECONDS)
    if on_progress is not None:
        on_progress(progress_of(recorder, driver.planned_count, loop.time()))


def _driver(plan: LoadPlan, recorder: Recorder, pool: Pool, share: Share, *, is_open_ended: bool) -> Driver:
    requests = plan.encode_requests()
    if isinstance(plan.arrivals, OpenLoop):
        return OpenLoopDriver(
            plan.arrivals,
            requests,
            plan.waiting_seconds,
            recorder,
            pool,
            share,
            is_open_ended=is_open_ended,
        )
    return ClosedLoopDriver(plan.arrivals, requests, recorder, pool, share, is_open_ended=is_open_ended)


async def _connector(plan: LoadPlan) -> Connect:
    loop = asyncio.get_running_loop()
    door = plan.door
    if door is not None and door.socket is not None:
        path = str(door.socket)

        async def connect_privately(owner: ConnectionOwner) -> HttpConnection:
            _, connection = await loop.create_unix_connection(lambda: HttpConnection(owner), path)
            return connection

        return connect_privately
    address = await _resolve(plan)
    if plan.grpc is not None:
        from statehouse.scripts.load_test.grpc_connection import grpc_connector  # late: it needs the extra

        return grpc_connector(address, plan.grpc)
    tls = door.tls() if door is not None else None

    async def connect(owner: ConnectionOwner) -> HttpConnection:
        _, connection = await loop.create_connection(lambda: HttpConnection(owner), *address[:2], ssl=tls)
        return connection

    return connect


async def _resolve(plan: LoadPlan) -> tuple[Any, ...]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LoadTargetError(
            f"{plan.host!r} cannot be found: {error.strerror}. Give a host that this machine knows."
        ) from error
    return found[0][4]
