"""Settings that an earlier Statehouse wrote, when each version had lanes: what they are today.

A lane was a set of workers that took batches of one size, after a wait. Now every worker takes what is waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from statehouse.scripts.deployment.yaml_text import Plain

ENDED = ("lanes", "fast_io")
BATCH_SIZE_OF_A_LANE = 8  # of one that did not say it
INSTEAD = "a version has no lanes any more: give its batch_size instead"


def without_lanes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a version's settings without those that have ended: the largest lane's batch size is the version's.

    ``workers`` stays what each lane had: lanes stood beside each other because batches of one size wait, and nothing
    waits now. Raises ValueError where the lanes are none.
    """
    kept = {key: value for key, value in settings.items() if key not in ENDED}
    lanes = settings.get("lanes")
    if lanes is None:
        return kept
    if "batch_size" in kept:
        raise ValueError("lanes: a version has none any more, and batch_size is given: leave lanes out")
    if not isinstance(lanes, list | tuple) or not lanes:
        raise ValueError(f"lanes: {lanes!r} is no list of lanes; {INSTEAD}")
    return kept | {"batch_size": max(_batch_size(lane) for lane in lanes)}


def _batch_size(lane: object) -> int:
    members = {} if lane is None else lane  # what is left empty has its defaults
    try:
        size = members.get("batch_size")  # type: ignore[attr-defined]  # anything may have been written
        return BATCH_SIZE_OF_A_LANE if size is None else int(size)
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"lanes: {lane!r} is no lane with a batch size; {INSTEAD}") from None


def what_lanes_became(written: Plain, became: Iterable[tuple[str, str, str]]) -> str | None:
    """Return a sentence about the versions that are ``written`` with settings that have ended; None for none.

    ``became`` has each name and version of the same file, with the words for its settings of today.
    """
    earlier = set(_versions_written_before(written))
    groups: dict[str, list[str]] = {}
    for name, version, words in became:
        if (name, version) in earlier:
            groups.setdefault(words, []).append(f"{name} {version}")
    if not groups:
        return None
    told = "; ".join(f"{', '.join(versions)}: {words}" for words, versions in groups.items())
    return (
        f"has settings of an earlier release (lanes, fast_io), read as {told}. Its next change writes it so."
    )


def _versions_written_before(written: Plain) -> Iterator[tuple[str, str]]:
    for name, model in _members(_members_of(written, "models")):
        for version, settings in _members(_members_of(model, "versions")):
            if isinstance(settings, dict) and any(key in settings for key in ENDED):
                yield name, version


def _members_of(data: Plain, key: str) -> Plain:
    return data.get(key) if isinstance(data, dict) else None


def _members(data: Plain) -> Iterable[tuple[str, Plain]]:
    return data.items() if isinstance(data, dict) else ()
