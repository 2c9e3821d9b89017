"""`statehouse load-test`, without its command line: plan, run, show, write, judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.errors import ArgumentError, ServerError
from statehouse.scripts.load_test import html_report, html_rounds, report, report_rounds
from statehouse.scripts.load_test.capacity import (
    START_PER_SECOND,
    Capacity,
    SearchInterrupted,
    Trial,
    find_capacity,
    judge,
)
from statehouse.scripts.load_test.compare import Comparison, order_of
from statehouse.scripts.load_test.during import DuringCommand
from statehouse.scripts.load_test.environment import environment_of
from statehouse.scripts.load_test.export import write_lines, write_requests
from statehouse.scripts.load_test.fail_if import RATE, Condition
from statehouse.scripts.load_test.plan import LoadPlan
from statehouse.scripts.load_test.processes import run_in_processes
from statehouse.scripts.load_test.progress import LoadProgress
from statehouse.scripts.load_test.report import LiveProgress
from statehouse.scripts.load_test.result import LoadResult
from statehouse.scripts.load_test.target import ArrivalOptions, choose_arrivals, plan_for
from statehouse.scripts.terminal import console

LEAST_ROUND_SECONDS = 0.2


class Verdict(NamedTuple):
    """How a load went: whether it failed, as its conditions say, and whether it was stopped before its time."""

    failed: bool
    interrupted: bool


@dataclass(frozen=True)
class LoadOptions:
    """What every kind of load has: whom, with what, from how many processes, what is told and what is written."""

    target: str
    deployment_file: Path
    inputs: tuple[str, ...] = ()
    timeout_seconds: float = 10.0
    grpc: bool = False
    key: str | None = field(default=None, repr=False)
    processes: int = 1
    conditions: tuple[Condition, ...] = ()
    html: Path | None = None
    csv: Path | None = None
    as_json: bool = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self.target.partition("/")[0]

    def plan(self, arrivals: ArrivalOptions, target: str | None = None) -> LoadPlan:
        """Return the load; raises what `plan_for` and `choose_arrivals` raise."""
        return plan_for(
            target or self.target,
            choose_arrivals(arrivals),
            deployment_file=self.deployment_file,
            inputs=self.inputs,
            timeout_seconds=self.timeout_seconds,
            grpc=self.grpc,
            key=self.key,
        )

    def run(self, plan: LoadPlan, title: str = "", during: DuringCommand | None = None) -> LoadResult:
        """Run a load with its progress on standard error; Ctrl-C ends it early."""
        with LiveProgress(plan, title=title) as live:

            def follow(progress: LoadProgress) -> None:
                live.show(progress)
                if during is not None:
                    during.follow(progress)

            open_end = None if during is None else during.open_end
            return run_in_processes(plan, self.processes, follow, open_end)

    def environment(self) -> dict[str, str]:
        """Return where it was measured; a server that a load has ended is no reason to lose what it found."""
        try:
            status = ControlClient(self.deployment_file).status()
        except ServerError as error:
            return environment_of() | {"server": f"at the end: {error}"}
        return environment_of(status, self.name)


def load(options: LoadOptions, arrivals: ArrivalOptions, during: str | None = None) -> Verdict:
    """Run one load, with a command in its middle if one is given.

    The duration is then that before and after the command, however long it takes.
    """
    _refuse_ratios(options.conditions)
    plan = options.plan(arrivals)
    command = None
    if during is not None:
        half = plan.arrivals.duration_seconds / 2
        command = DuringCommand(during, seconds_around=half, deployment_file=options.deployment_file)
    result = options.run(plan, during=command)
    ran = command.finish(result) if command is not None else None
    failures = [reason for each in options.conditions if (reason := each.failure(result))]
    if ran is not None and ran.exit_code:
        failures.append(f"{ran.command} ended with {ran.exit_code}")
    if command is not None and ran is None:
        failures.append(f"{command.text} did not run: the load ended before half its time was over")
    if options.as_json:
        extra = {"during": ran.to_plain()} if ran is not None else {}
        _print_json(options, result.to_plain() | extra, failures)
    else:
        report.print_result(result)
        if ran is not None:
            report.print_during(ran)
    report_rounds.print_failures(failures)
    if options.csv is not None:
        write_requests(options.csv, result)
    if options.html is not None:
        page = html_report.load_page(options.target, result, options.environment(), ran, failures)
        html_report.write_page(options.html, page)
    _say_what_is_written(options)
    return Verdict(bool(failures), result.interrupted)


def capacity(
    options: LoadOptions, *, p99_limit_seconds: float, start: float | None, round_seconds: float
) -> Verdict:
    """Search the highest rate that keeps the limit; that there is none is a failure.

    Raises ArgumentError for a condition that is not about the rate.
    """
    for condition in options.conditions:
        if condition.figure != RATE or condition.is_ratio:
            raise ArgumentError(
                f"--fail-if {condition.text!r} does not go with --find-capacity, whose result is a rate: give one "
                "such as 'rate < 500'."
            )
    last: dict[float, LoadResult] = {}

    def measure(rate: float) -> Trial:
        plan = options.plan(ArrivalOptions(round_seconds, rate=rate))
        result = options.run(plan, title=f"{rate:,g} per second")
        if result.interrupted:
            raise SearchInterrupted
        last[rate] = result
        trial = judge(result, p99_limit_seconds)
        report_rounds.print_round(trial, to_stdout=not options.as_json)
        return trial

    found = find_capacity(measure, p99_limit_seconds, start or START_PER_SECOND)
    rate = found.rate_per_second
    failures = [
        f"{each.text}: the capacity is {rate or 0:,g}"
        for each in options.conditions
        if each.holds(rate or 0) and not found.interrupted
    ]
    if options.as_json:
        _print_json(options, found.to_plain(), failures)
    else:
        report_rounds.print_capacity(found)
    report_rounds.print_failures(failures)
    if last:
        _write_capacity(options, found, last[rate if rate is not None else min(last)])
    return Verdict(bool(failures) or (rate is None and not found.interrupted), found.interrupted)


def compare(options: LoadOptions, arrivals: ArrivalOptions, version: str, pairs: int) -> Verdict:
    """Run the same load on two versions in turn, each for half the duration.

    Raises ArgumentError where a round would be too short, or the versions are the same.
    """
    if arrivals.schedule is not None or options.grpc:
        raise ArgumentError(
            "--compare goes with --rate or --connections over HTTP; leave out --schedule and --grpc."
        )
    round_seconds = arrivals.duration_seconds / (2 * pairs)
    if round_seconds < LEAST_ROUND_SECONDS:
        raise ArgumentError(
            f"{2 * pairs} rounds in {arrivals.duration_seconds:g} s are {round_seconds:.2g} s each; expected "
            f"{LEAST_ROUND_SECONDS:g} s at least: give a longer --duration or fewer --rounds."
        )
    base_version = options.target.partition("/")[2] or _default_version(options)
    if base_version == version:
        raise ArgumentError(
            f"--compare {version}: that is the version it would be compared with; give another one."
        )
    versions = (base_version, version)
    each = replace(arrivals, duration_seconds=round_seconds)
    plans = [options.plan(each, f"{options.name}/{one}") for one in versions]
    rounds: tuple[list[LoadResult], list[LoadResult]] = ([], [])
    interrupted = False
    for number, which in enumerate(order_of(pairs)):
        result = options.run(plans[which], title=f"{versions[which]}, round {number // 2 + 1} of {pairs}")
        if interrupted := result.interrupted:
            break
        rounds[which].append(result)
    whole = min(map(len, rounds))
    found = Comparison(*versions, tuple(rounds[0][:whole]), tuple(rounds[1][:whole]), interrupted)
    failures = found.failures(options.conditions) if whole else []
    if options.as_json:
        _print_json(options, found.to_plain(), failures)
    else:
        report_rounds.print_comparison(found)
    report_rounds.print_failures(failures)
    if whole:
        _write_comparison(options, found, failures)
    return Verdict(bool(failures), interrupted)


def _refuse_ratios(conditions: Sequence[Condition]) -> None:
    for condition in conditions:
        if condition.is_ratio:
            raise ArgumentError(
                f"--fail-if {condition.text!r} is about two versions: it goes with --compare VERSION."
            )


def _default_version(options: LoadOptions) -> str:
    rows = ControlClient(options.deployment_file).status()["models"]
    found = [str(row["version"]) for row in rows if row["name"] == options.name and row["default"]]
    return found[0] if found else ""  # planning the load says what is served instead


def _write_capacity(options: LoadOptions, found: Capacity, last: LoadResult) -> None:
    if options.csv is not None:
        columns = (
            "rate_per_second",
            "answers_per_second",
            "failed",
            "p50_seconds",
            "p99_seconds",
            "holds",
            "problem",
        )
        lines = [
            (
                *(each.rate_per_second, each.answers_per_second, each.failed, each.latency.p50_seconds),
                *(each.latency.p99_seconds, each.holds, each.problem or ""),
            )
            for each in found.trials
        ]
        write_lines(options.csv, columns, lines)
    if options.html is not None:
        page = html_rounds.capacity_page(options.target, found, last, options.environment())
        html_report.write_page(options.html, page)
    _say_what_is_written(options)


def _write_comparison(options: LoadOptions, found: Comparison, failures: Sequence[str]) -> None:
    if options.csv is not None:
        columns = (
            "version",
            "round",
            "answers_per_second",
            "failed",
            "p50_seconds",
            "p90_seconds",
            "p99_seconds",
        )
        lines = [
            (
                *(name, number, each.answers_per_second, each.failed),
                *(each.latency.p50_seconds, each.latency.p90_seconds, each.latency.p99_seconds),
            )
            for name, side in ((found.base_name, found.base), (found.other_name, found.other))
            for number, each in enumerate(side, 1)
        ]
        write_lines(options.csv, columns, lines)
    if options.html is not None:
        page = html_rounds.comparison_page(options.name, found, options.environment(), failures)
        html_report.write_page(options.html, page)
    _say_what_is_written(options)


def _say_what_is_written(options: LoadOptions) -> None:
    for file in (options.html, options.csv):
        if file is not None:
            console.say(f"written: {file}", console.err)


def _print_json(options: LoadOptions, plain: dict[str, Any], failures: Sequence[str]) -> None:
    console.print_json({"target": options.target, **plain, "failures": list(failures)})
