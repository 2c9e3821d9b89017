"""A load by wrk: the Lua that it runs, and what it found. For tests, and for `benchmarks.load`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


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
