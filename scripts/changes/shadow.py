"""Comparing before the flip: the same requests to the old version and to the new one."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from statehouse.handlers.bodies.content import content_type_of
from statehouse.handlers.golden import compare, read_golden
from statehouse.handlers.request import UNCOUNTED_HEADER
from statehouse.scripts.changes.change import Change
from statehouse.scripts.errors import ArgumentError, ShadowError
from statehouse.scripts.supervisor.loaded_version import LoadedVersion

GOLDENS = "goldens"
SHOWN_DISAGREEMENTS = 20
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class ShadowOptions:
    """What to send (``goldens``, a file of JSON lines or a folder of bodies) and how far answers may differ."""

    source: str
    tolerance: float = 1e-3
    fail_below: float = 0.0


@dataclass
class ShadowReport:
    """How two versions answered the same requests; latencies in seconds."""

    requests: int = 0
    agreeing: int = 0
    largest_difference: float = 0.0
    disagreements: list[dict[str, Any]] = field(default_factory=list)
    old_seconds: list[float] = field(default_factory=list)
    new_seconds: list[float] = field(default_factory=list)

    @property
    def agreement(self) -> float:
        """The share of requests that both answered alike."""
        return self.agreeing / self.requests if self.requests else 1.0

    def add(self, index: int, told: str, comparison: Comparison) -> None:
        """Take one request."""
        self.requests += 1
        self.agreeing += comparison.agrees
        self.largest_difference = max(self.largest_difference, comparison.largest)
        if not comparison.agrees and len(self.disagreements) < SHOWN_DISAGREEMENTS:
            differences = comparison.differences[:5]
            self.disagreements.append({"request": index, "body": told, "differences": differences})

    def to_plain(self) -> dict[str, Any]:
        """Return it as the history has it."""
        plain = {key: value for key, value in asdict(self).items() if not key.endswith("_seconds")}
        for which in ("old", "new"):
            seconds = sorted(getattr(self, f"{which}_seconds"))
            plain[f"{which}_p50_seconds"] = _quantile(seconds, 0.5)
            plain[f"{which}_p99_seconds"] = _quantile(seconds, 0.99)
        return plain | {"agreement": self.agreement}


def read_bodies(source: str, version: LoadedVersion) -> list[tuple[str, bytes]]:
    """Return what to send, each with a name for the report.

    Raises ArgumentError when there is nothing to read at ``source``.
    """
    if source == GOLDENS and version.published is not None:
        golden = read_golden(version.published.golden_path)
        return [(f"golden example {index}", each.body) for index, each in enumerate(golden.examples)]
    path = Path(source)
    if path.is_dir():
        bodies = [(file.name, file.read_bytes()) for file in sorted(path.iterdir()) if file.is_file()]
    elif path.is_file():
        lines = path.read_bytes().splitlines()
        bodies = [(f"line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    else:
        raise ArgumentError(
            f"--shadow {source!r} is neither 'goldens', nor a file of JSON lines, nor a folder of bodies."
        )
    if not bodies:
        raise ArgumentError(f"--shadow {source!r} holds no request.")
    return bodies


async def shadow(
    change: Change, old: LoadedVersion, new: LoadedVersion, options: ShadowOptions
) -> ShadowReport:
    """Send every request to both versions, in turn; no metric counts them.

    Raises ShadowError when fewer than ``fail_below`` of them are answered alike.
    """
    bodies = read_bodies(options.source, old)
    report = ShadowReport()
    text = f"{len(bodies)} requests sent to {old.version} and {new.version}"
    async with change.step("shadow", text, share=lambda: report.requests / len(bodies)):
        await _send_all(change, old, new, bodies, options.tolerance, report)
    change.entry["shadow"] = report.to_plain()
    alike = f"{report.agreement:.1%} of {report.requests} requests are answered alike"
    change.say(
        f"{alike}; the largest difference is {report.largest_difference:.3g}", failed=report.agreement == 0
    )
    for version, seconds in ((old.version, report.old_seconds), (new.version, report.new_seconds)):
        change.say(f"{version}: {_told(seconds)}")
    if report.agreement < options.fail_below:
        first = "; ".join(
            f"{each['body']}: {', '.join(each['differences'])}" for each in report.disagreements[:3]
        )
        raise ShadowError(f"{alike}, fewer than {options.fail_below:.1%}. First: {first}")
    return report


async def _send_all(
    change: Change,
    old: LoadedVersion,
    new: LoadedVersion,
    bodies: Sequence[tuple[str, bytes]],
    tolerance: float,
    report: ShadowReport,
) -> None:
    headers = {UNCOUNTED_HEADER: change.front.uncounted_secret}
    async with change.front.own_client(timeout_seconds=TIMEOUT_SECONDS) as client:
        client.headers.update(headers)
        for index, (told, body) in enumerate(bodies):
            # In turn, so that neither is always the one that warms up the path.
            order = (old, new) if index % 2 == 0 else (new, old)
            answers = {id(each): await _ask(client, each, body) for each in order}
            (old_answer, old_took), (new_answer, new_took) = answers[id(old)], answers[id(new)]
            report.old_seconds.append(old_took)
            report.new_seconds.append(new_took)
            report.add(index, told, compare_answers(old_answer, new_answer, tolerance))


async def _ask(client: httpx.AsyncClient, version: LoadedVersion, body: bytes) -> tuple[Any, float]:
    began = time.perf_counter()
    headers = {"content-type": content_type_of(body)}
    try:
        answer = await client.post(
            f"/predictions/{version.name}/{version.version}", content=body, headers=headers
        )
    except httpx.HTTPError as error:
        return {"no answer": repr(error)}, time.perf_counter() - began
    took = time.perf_counter() - began
    # A refused request differs from an answered one; two that are refused alike agree.
    return (answer.json() if answer.is_success else {"status": answer.status_code}), took


def _told(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = _quantile(ordered, 0.5), _quantile(ordered, 0.99)
    took = "" if p50 is None or p99 is None else f", p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    return f"{len(ordered)} requests{took}"


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


@dataclass(frozen=True)
class Comparison:
    """``differences`` are empty when the two agree; ``largest`` is over all their numbers, agreeing or not."""

    differences: list[str]
    largest: float

    @property
    def agrees(self) -> bool:
        """Whether there is nothing to tell apart."""
        return not self.differences


def compare_answers(old: Any, new: Any, tolerance: float) -> Comparison:  # noqa: ANN401 - any JSON
    """Compare two answers to one request, row by row where they have several."""
    differences: list[str] = []
    largest = 0.0
    for place, old_row, new_row in _rows(old, new):
        if _is_classification(old_row) and _is_classification(new_row):
            if old_row["label"] != new_row["label"]:
                differences.append(f"{place}: {old_row['label']!r} became {new_row['label']!r}")
            largest = max(largest, _largest(_scores(old_row), _scores(new_row)))
        else:
            differences += compare(old_row, new_row, tolerance, place)
            largest = max(largest, _largest(old_row, new_row))
    return Comparison(differences, largest)


def _rows(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - any JSON
    several = all(isinstance(each, dict) and isinstance(each.get("predictions"), list) for each in (old, new))
    if several and len(old["predictions"]) == len(new["predictions"]):
        for index, (one, other) in enumerate(zip(old["predictions"], new["predictions"], strict=True)):
            yield f"row {index}", one, other
    else:
        yield "$", old, new


def _is_classification(row: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(row, dict) and "label" in row and "top_k" in row


def _scores(row: dict[str, Any]) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in row["top_k"]}


def _largest(old: Any, new: Any) -> float:  # noqa: ANN401 - any JSON
    """Return the largest difference between numbers in the same place of both."""
    if isinstance(old, dict) and isinstance(new, dict):
        return max((_largest(old[key], new[key]) for key in old.keys() & new.keys()), default=0.0)
    if isinstance(old, list) and isinstance(new, list):
        return max((_largest(*pair) for pair in zip(old, new, strict=False)), default=0.0)
    numbers = [
        value for value in (old, new) if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return math.fabs(numbers[0] - numbers[1]) if len(numbers) == 2 else 0.0
