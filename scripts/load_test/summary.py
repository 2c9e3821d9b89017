"""From what was recorded to a result."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from statehouse.scripts.load_test.histogram import latency_of
from statehouse.scripts.load_test.plan import LoadPlan
from statehouse.scripts.load_test.recorder import Recording
from statehouse.scripts.load_test.records import UNSENT, Floats, Mask, Records
from statehouse.scripts.load_test.result import GeneratorHealth, LoadResult, VersionAnswers


def summarise(plan: LoadPlan, recording: Recording) -> LoadResult:
    """Return what was recorded, in seconds from the start."""
    records = recording.records
    answered = records.answered
    elapsed_seconds = float(records.ended.max()) if len(records) else 0.0
    gap_seconds, gap_began_seconds = longest_gap(records.ended[answered], 0.0, elapsed_seconds)
    counts = records.counts()
    errors = Counter({outcome.error: count for outcome, count in counts.items() if outcome.error})
    unsent = errors.pop(UNSENT, 0)
    return LoadResult(
        plan=plan,
        started_unix_seconds=recording.started_monotonic_seconds + time.time() - time.monotonic(),
        started_monotonic_seconds=recording.started_monotonic_seconds,
        elapsed_seconds=elapsed_seconds,
        interrupted=recording.interrupted,
        planned=recording.planned,
        sent=recording.sent,
        answered=int(answered.sum()),
        errors={str(kind): count for kind, count in errors.most_common()},
        unsent=unsent,
        statuses=_statuses(records),
        versions=tuple(_version(records, version) for version in records.versions()),
        latency=latency_of(records.seconds[answered]),
        slowest_intended_send_seconds=_slowest_due(records, answered) if answered.any() else None,
        longest_gap_seconds=gap_seconds,
        longest_gap_began_seconds=gap_began_seconds,
        waited=recording.waited,
        longest_wait_seconds=recording.longest_wait_seconds,
        connections_opened=recording.connections_opened,
        connections_lost=recording.connections_lost,
        reconnects=recording.reconnects,
        generator=GeneratorHealth(latency_of(recording.lateness), recording.cpu_shares),
        records=records,
    )


def longest_gap(ended: Floats, begin: float, end: float) -> tuple[float, float]:
    """Return the longest time from ``begin`` to ``end`` without an answer, and when it began."""
    times = np.concatenate([[begin], np.sort(ended), [end]])
    gaps = np.diff(times)
    longest = int(gaps.argmax())
    return max(float(gaps[longest]), 0.0), float(times[longest])


def _statuses(records: Records, among: Mask | None = None) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for outcome, count in records.counts(among).items():
        if outcome.status is not None:
            counts[outcome.status] += count
    return dict(sorted(counts.items()))


def _version(records: Records, version: str | None) -> VersionAnswers:
    mask = records.of_version(version)
    due, ended = records.due[mask], records.ended[mask]
    first, last = float(ended.min()), float(ended.max())
    return VersionAnswers(
        version=version,
        answers=int(mask.sum()),
        statuses=_statuses(records, mask),
        latency=latency_of(records.seconds[mask]),
        longest_gap_seconds=longest_gap(ended, first, last)[0],
        slowest_intended_send_seconds=_slowest_due(records, mask),
        first_intended_send_seconds=float(due.min()),
        last_intended_send_seconds=float(due.max()),
        last_sent_seconds=float(records.sent[mask].max()),
        first_answer_seconds=first,
        last_answer_seconds=last,
    )


def _slowest_due(records: Records, mask: Mask) -> float:
    return float(records.due[mask][records.seconds[mask].argmax()])
