"""The load that all servers get: closed connections, every answer counted, in a process of its own.

With ``wrk`` where it is installed (in C: the cheaper the generator, the more of the machine is the server's), else
with our own counted generator. wrk counts statuses above 399 and broken connections; like every closed loop it
spreads a stall over the requests that it would have sent meanwhile, so that p99 contains it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

from scripts.load_test import Body, ClosedLoop, LoadPlan, LoadResult, run

TIMEOUT_SECONDS = 30
WARM_UP_SECONDS = 5  # Java compiles what it runs often: it is at its speed after some thousand requests
SETTLE_SECONDS = 0.5  # wrk leaves requests behind when its time is up; they are answered meanwhile


@dataclass(frozen=True)
class Target:
    """Where to, and what is sent there in turn: each body with the headers that it needs."""

    url: str
    bodies: tuple[bytes, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """What one load found; ``failed`` counts all that was not answered by a 2xx."""

    requests_per_second: float
    p50_seconds: float
    p99_seconds: float
    answered: int
    failed: int


class LoadError(Exception):
    """The generator could not measure."""


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


def wrk_script(target: Target, folder: Path) -> str:
    """Return the Lua of a load, with the bodies beside it as files.

    One body is sent as it is by wrk's C code; several are chosen by a Lua function of two lines.
    """
    for index, body in enumerate(target.bodies):
        (folder / f"body-{index}").write_bytes(body)
    headers = "".join(f"wrk.headers[{name!r}] = {value!r}\n" for name, value in target.headers.items())
    read = f"""
local function body(index)
  local file = assert(io.open({str(folder)!r} .. "/body-" .. index, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end
wrk.method = "POST"
"""
    several = f"""
local requests, at = {{}}, 0
init = function(arguments)
  for index = 0, {len(target.bodies) - 1} do
    requests[index] = wrk.format("POST", wrk.path, wrk.headers, body(index))
  end
end
request = function()
  at = (at + 1) % {len(target.bodies)}
  return requests[at]
end
"""
    return read + headers + ("wrk.body = body(0)\n" if len(target.bodies) == 1 else several) + _WRK_DONE


_WRK_DONE = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {"answered": %d, "micros": %d, "p50": %f, "p99": %f, "status": %d, "broken": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def read_wrk(output: str) -> Measure:
    """Read the line that our script makes wrk print; raises LoadError when it is not there."""
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise LoadError(f"wrk printed no result: {output}")
    found = json.loads(lines[-1].removeprefix("RESULT "))
    return Measure(
        requests_per_second=(found["answered"] - found["status"]) / (found["micros"] / 1e6),
        p50_seconds=found["p50"] / 1e6,
        p99_seconds=found["p99"] / 1e6,
        answered=found["answered"],
        failed=found["status"] + found["broken"],
    )


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
