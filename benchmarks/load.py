"""The load that all servers get: closed connections, every answer counted, in a process of its own.

With ``wrk`` where it is installed (in C: the cheaper the generator, the more of the machine is the server's), else
with our own counted generator. wrk counts statuses above 399 and broken connections; like every closed loop it
spreads a stall over the requests that it would have sent meanwhile, so that p99 contains it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.wrk import LoadError, Measure, Target, read_wrk, wrk_script

from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, LoadResult, run

TIMEOUT_SECONDS = 30
WARM_UP_SECONDS = 5  # Java compiles what it runs often: it is at its speed after some thousand requests
SETTLE_SECONDS = 0.5  # wrk leaves requests behind when its time is up; they are answered meanwhile


def warm_up(target: Target, connections: int) -> None:
    """Load ``target`` until it is as fast as it gets, and forget it."""
    _send(target, connections, WARM_UP_SECONDS)


def measure(target: Target, connections: int, seconds: float) -> Measure:
    """Load ``target``, which is warm, for so long and return what was found."""
    time.sleep(SETTLE_SECONDS)
    return _send(target, connections, seconds)


def _send(target: Target, connections: int, seconds: float) -> Measure:
    return {"wrk": _with_wrk, "own": _with_own}[default_generator()](target, connections, seconds)


def default_generator() -> str:
    """wrk where it is installed."""
    return "wrk" if shutil.which("wrk") else "own"


# -- wrk


def _with_wrk(target: Target, connections: int, seconds: float) -> Measure:
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        script = Path(folder, "load.lua")
        script.write_text(wrk_script(target, Path(folder)))
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--script", str(script)]
        # wrk takes whole seconds only.
        command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_SECONDS}s"]
        done = subprocess.run([*command, target.url], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    return read_wrk(done.stdout)


# -- our own generator


def _with_own(target: Target, connections: int, seconds: float) -> Measure:
    headers = {name.lower(): value for name, value in target.headers.items()}
    content_type = headers.pop("content-type", "application/json")
    if headers:
        raise LoadError(f"our own generator sends no {', '.join(headers)}: install wrk")
    bodies = [Body(body, content_type) for body in target.bodies]
    plan = LoadPlan.for_url(target.url, bodies, ClosedLoop(connections, seconds))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return read_own(process.submit(run, plan).result())


def read_own(result: LoadResult) -> Measure:
    """Return our own generator's result in the terms used here."""
    if result.latency.p50_seconds is None or result.latency.p99_seconds is None:
        raise LoadError(f"{urlsplit(result.plan.url).netloc} answered nothing: {dict(result.errors)}")
    return Measure(
        requests_per_second=(result.planned - result.failed) / result.elapsed_seconds,
        p50_seconds=result.latency.p50_seconds,
        p99_seconds=result.latency.p99_seconds,
        answered=result.answered,
        failed=result.failed,
    )
