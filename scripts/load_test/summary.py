"""From a recorder's counts to a result."""

from __future__ import annotations

import math
from collections import Counter

from scripts.load_test.plan import LoadPlan
from scripts.load_test.recorder import Recorder
from scripts.load_test.result import GeneratorHealth, LoadResult, VersionAnswers


def summarise(
    plan: LoadPlan,
    recorder: Recorder,
    *,
    planned: int,
    interrupted: bool,
    started_unix_seconds: float,
    cpu_share: float,
) -> LoadResult:
    """Return what ``recorder`` counted, in seconds from the start."""
    recorder.finish()
    started = recorder.started
    everything = recorder.merged(recorder.tallies)
    return LoadResult(
        plan=plan,
        started_unix_seconds=started_unix_seconds,
        started_monotonic_seconds=started,
        elapsed_seconds=recorder.ended - started,
        interrupted=interrupted,
        planned=planned,
        sent=recorder.sent_count,
        answered=recorder.answered_count,
        errors={kind.value: count for kind, count in recorder.errors.most_common()},
        unsent=recorder.unsent_count,
        statuses=_statuses(recorder),
        versions=_versions(recorder),
        latency=everything.durations.summary(),
        slowest_intended_send_seconds=everything.slowest_intended - started if everything.count else None,
        longest_gap_seconds=recorder.longest_gap_seconds,
        longest_gap_began_seconds=recorder.longest_gap_began - started,
        waited=recorder.waited_count,
        longest_wait_seconds=recorder.longest_wait_seconds,
        connections_opened=recorder.connections_opened,
        connections_lost=recorder.connections_lost,
        reconnects=recorder.reconnects,
        generator=GeneratorHealth(recorder.lateness.summary(), cpu_share),
        last_failed_sent_seconds=_since(started, recorder.last_failed_sent),
        last_failed_connected_seconds=_since(started, recorder.last_failed_connected),
    )


def _since(started: float, when: float) -> float | None:
    return when - started if math.isfinite(when) else None


def _statuses(recorder: Recorder) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for (status, _), tally in recorder.tallies.items():
        counts[status] += tally.count
    return dict(sorted(counts.items()))


def _versions(recorder: Recorder) -> tuple[VersionAnswers, ...]:
    """Return what each version answered, in the order of their first answers."""
    names = dict.fromkeys(version for _, version in recorder.tallies)
    return tuple(_version(recorder, name) for name in names)


def _version(recorder: Recorder, version: str | None) -> VersionAnswers:
    keys = [key for key in recorder.tallies if key[1] == version]
    tally = recorder.merged(keys)
    started = recorder.started
    return VersionAnswers(
        version=version,
        answers=tally.count,
        statuses={status: recorder.tallies[status, version].count for status, _ in sorted(keys, key=str)},
        latency=tally.durations.summary(),
        slowest_intended_send_seconds=tally.slowest_intended - started,
        first_intended_send_seconds=tally.first_intended - started,
        last_intended_send_seconds=tally.last_intended - started,
        last_sent_seconds=tally.last_sent - started,
        first_answer_seconds=tally.first_answer - started,
        last_answer_seconds=tally.last_answer - started,
    )
