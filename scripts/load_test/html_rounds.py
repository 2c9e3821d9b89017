"""`--html` of `--find-capacity` and of `--compare`: what many rounds found, as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from statehouse.scripts.load_test import charts_of_figures
from statehouse.scripts.load_test.capacity import CONFIRMING_ROUNDS, Capacity, Trial
from statehouse.scripts.load_test.compare import Comparison
from statehouse.scripts.load_test.fail_if import RATE
from statehouse.scripts.load_test.html_report import generator_section, percentiles_section, when
from statehouse.scripts.load_test.page import chart, facts, heading, note, page, section, table, tiles
from statehouse.scripts.load_test.records import Floats, Records
from statehouse.scripts.load_test.report import arrivals_text
from statehouse.scripts.load_test.report_rounds import comparison_interruption, search_interruption
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.terminal.console import seconds_text


def capacity_page(target: str, found: Capacity, last: LoadResult, environment: Mapping[str, str]) -> str:
    """Return the page of a search; ``last`` is a round at the rate that was found, or the last one."""
    limit = seconds_text(found.p99_limit_seconds)
    seconds = f"{last.plan.arrivals.duration_seconds:g} s"
    rounds = [
        (each.rate_per_second, each.latency.p99_seconds, each.holds, _trial_text(each))
        for each in found.trials
        if each.latency.p99_seconds is not None
    ]
    rate = found.rate_per_second
    told = "none" if rate is None else f"{rate:,g}"
    p99s = [each.latency.p99_seconds for each in found.confirming if each.holds and each.latency.p99_seconds]
    confirmed = "is not confirmed" if found.interrupted else f"held in {CONFIRMING_ROUNDS} rounds"
    remark = (
        f"A rate holds when everything is answered well, p99 is within {limit}, also in its last third; what is told "
        f"{confirmed}."
    )
    parts = [
        heading(
            f"Capacity of {target}",
            f"The highest rate with p99 within {limit}: {seconds} a round, open loop",
            f"{last.plan.url} · {when(last)}",
        ),
        tiles(
            [
                ("requests per second", told, "good" if rate is not None else "bad"),
                ("p99 limit", limit, ""),
                ("p99 there, at most", seconds_text(max(p99s, default=None)), ""),
                ("rounds", str(len(found.trials)), ""),
            ]
        ),
    ]
    if found.interrupted:
        parts.append(note(_sentence(search_interruption(found)), "bad"))
    elif found.generator_bound:
        parts.append(
            note("The generator, and not the server, ended the search: more --processes may find more.")
        )
    if rounds:
        keys = [("c0", "held"), ("bad", "did not hold")]
        parts.append(
            section(
                "p99 by rate",
                chart(charts_of_figures.capacity_chart(rounds, found.p99_limit_seconds, rate)),
                keys=keys,
                remark=remark,
            )
        )
    rows = [_trial_row(number, each) for number, each in enumerate(found.trials, 1)]
    headings = ("ROUND", "VERDICT", "RATE", "ANSWERED/S", "FAILED", "P50", "P99", "MAX")
    parts.append(section("Every round", table(headings, rows, texts=2)))
    if last.answered:
        parts.append(
            percentiles_section([(f"{last.plan.arrivals.told}", last.records.seconds[last.records.answered])])
        )
    return page(
        f"Capacity of {target}", [*parts, generator_section(last), section("Environment", facts(environment))]
    )


def comparison_page(
    name: str, found: Comparison, environment: Mapping[str, str], failures: Sequence[str] = ()
) -> str:
    """Return the page of two versions under the same load."""
    first = found.base[0]
    title = f"{name}: {found.other_name} beside {found.base_name}"
    rows = [
        (_figure_text(each.figure), each.ratio, each.low, each.high, each.differs) for each in found.ratios
    ]
    shown = [
        (_figure_text(each.figure), _value(each.figure, each.base), _value(each.figure, each.other),
         f"{each.ratio:.3f}×", f"{each.low:.3f} – {each.high:.3f}", "yes" if each.differs else "not shown")
        for each in found.ratios
    ]  # fmt: skip
    headings = ("FIGURE", found.base_name, found.other_name, "RATIO", "95 % INTERVAL", "DIFFERENT")
    failed = found.failed
    parts = [
        heading(
            title,
            f"{len(found.base)} rounds each, in turn · {arrivals_text(first.plan)}",
            f"{first.plan.url} · {when(first)}",
        ),
        tiles(
            [(f"{_figure_text(each.figure)}, ratio", f"{each.ratio:.2f}×", "") for each in found.ratios]
            + [
                (f"failed, {found.base_name}", f"{failed[0]:,}", "bad" if failed[0] else "good"),
                (f"failed, {found.other_name}", f"{failed[1]:,}", "bad" if failed[1] else "good"),
            ]
        ),
        *([note(_sentence(comparison_interruption(found)), "bad")] if found.interrupted else []),
        *(note(f"Failed: {each}", "bad") for each in failures),
        *([note(f"The generator may be what was measured: {found.bottleneck}")] if found.bottleneck else []),
    ]
    if rows:
        sides = f"{found.other_name} over {found.base_name}"
        remark = f"{sides}; an interval that holds 1 says that no difference is shown."
        parts += [
            section("Ratios", chart(charts_of_figures.ratio_chart(rows)), remark=remark),
            section("Medians of the rounds", table(headings, shown)),
        ]
    curves = [
        (label, _all_seconds(side))
        for label, side in ((found.base_name, found.base), (found.other_name, found.other))
    ]
    if all(len(seconds) for _, seconds in curves):
        parts.append(percentiles_section(curves))
    return page(title, [*parts, section("Environment", facts(environment))])


def _sentence(told: str) -> str:
    return f"{told[0].upper()}{told[1:]}."


def _trial_row(number: int, trial: Trial) -> tuple[str, ...]:
    latency = trial.latency
    return (
        str(number),
        "held"
        if trial.holds
        else f"no: {trial.problem}" + (" (the generator)" if trial.generator_bound else ""),
        f"{trial.rate_per_second:,g}",
        f"{trial.answers_per_second:,.1f}",
        f"{trial.failed:,}",
        *(seconds_text(value) for value in (latency.p50_seconds, latency.p99_seconds, latency.max_seconds)),
    )


def _trial_text(trial: Trial) -> str:
    verdict = "held" if trial.holds else str(trial.problem)
    return f"{trial.rate_per_second:,g} per second, p99 {seconds_text(trial.latency.p99_seconds)}: {verdict}"


def _all_seconds(rounds: Sequence[LoadResult]) -> Floats:
    return np.concatenate([_answered_seconds(each.records) for each in rounds])


def _answered_seconds(records: Records) -> Floats:
    return records.seconds[records.answered]


def _figure_text(figure: str) -> str:
    return "answers/s" if figure == RATE else figure


def _value(figure: str, value: float) -> str:
    return f"{value:,.1f}" if figure == RATE else seconds_text(value)
