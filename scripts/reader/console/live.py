"""The figures of the last minutes as JSON; the same for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from statehouse.scripts.supervisor.loaded_version import in_order
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.traffic.figures import Figures
from statehouse.scripts.traffic.recent import KEPT_SECONDS, RecentTraffic
from statehouse.scripts.traffic.version_counts import Key

Json = dict[str, Any]

WINDOWS: dict[str, float | None] = {"10": 10.0, "60": 60.0, "300": KEPT_SECONDS, "loaded": None}
COURSE = ("requests_per_second", "failed_per_second", "p50_seconds", "p99_seconds")
DIGITS = 4


def live_of(parts: ServerParts) -> Json:
    """Return the figures of every version that is loaded, and of all together."""
    recent = parts.recent
    return {
        "at_seconds": recent.latest.at_seconds,
        "age_seconds": round(recent.age_seconds, 1),
        "problem": recent.problem,
        "kept_seconds": KEPT_SECONDS,
        "intervals": {
            "at_seconds": [round(each.at_seconds, 3) for each in recent.intervals],
            "seconds": [round(each.seconds, 3) for each in recent.intervals],
        },
        "all": _windows(recent, None),
        "versions": [
            {
                "name": loaded.name,
                "version": loaded.version,
                "rows_in_flight": recent.latest.rows_in_flight.get((loaded.name, loaded.version), 0),
                "queued_requests": loaded.queued_requests,
                "figures": _windows(recent, (loaded.name, loaded.version)),
                "course": _course(recent.course((loaded.name, loaded.version))),
            }
            for loaded in in_order(parts.fleet.versions)
        ],
    }


def _windows(recent: RecentTraffic, key: Key | None) -> Json:
    return {name: _told(recent.figures(key, seconds)) for name, seconds in WINDOWS.items()}


def _told(figures: Figures) -> Json:
    told = asdict(figures)
    phases = {phase: _rounded(seconds) for phase, seconds in figures.phase_seconds.items()}
    return {name: _rounded(value) for name, value in told.items()} | {"phase_seconds": phases}


def _course(course: Sequence[Figures | None] | None) -> Json | None:
    if course is None:
        return None
    return {name: [_rounded(getattr(each, name, None)) for each in course] for name in COURSE}


def _rounded(value: object) -> object:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
