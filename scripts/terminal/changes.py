"""What the changing commands print: how a change went, and the history."""

from __future__ import annotations

from typing import Any

from statehouse.scripts.deployment.journal import TRIAL
from statehouse.scripts.terminal.console import err, out, say, seconds_text, width_of
from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.terminal.tables import Column, table_lines

_OUTCOME_STYLES = {"done": "green", "failed": "red", "rolled back": "yellow", "aborted": "yellow"}
_HISTORY_COLUMNS = (
    *(Column("WHEN"), Column("WHAT"), Column("FROM"), Column("TO"), Column("OUTCOME")),
    *(Column("TOOK", numeric=True, dispensable=2), Column("REQUESTS", numeric=True, dispensable=3)),
    *(Column("FAILED", numeric=True, dispensable=1), Column("SLOWEST", numeric=True, dispensable=4)),
    Column("WHO", dispensable=5),
)
SHOWN_CHANGES = 30


def print_serving(name: str, result: dict[str, Any]) -> None:
    """Print which version serves now, and what the steps have not said already."""
    if result.get("changed") is False:
        out.print(f"{name} is served by {result['serving']} already; nothing changed.")
    elif result.get("before"):
        say(f"{name}: {result['before']} → {result['serving']}. Back again: statehouse rollback {name}")
    elif result.get("changed"):
        say(f"{name}: {result['serving']}, its first version. Try it: statehouse predict {name} INPUT")
    elif result["serving"]:
        out.print(f"{name} is served by {result['serving']}.")
    else:
        out.print(f"{name} is not served any more.")
    if changed := result.get("code_changed"):
        say(Text.assemble(("note: ", "yellow"), f"{name} {result['serving']}: {changed}"))


def print_aborted(aborted: dict[str, Any]) -> None:
    """Print what became of a change that was to be aborted."""
    name, serving = aborted["name"], aborted["serving"]
    served = f" {name} is served by {serving or 'no version'}." if name else ""
    if aborted["outcome"] == "aborted":
        say(f"{aborted['change']} was aborted: what it had done is undone.{served}")
    else:
        say(f"{aborted['change']} had ended before it could be aborted: {aborted['outcome']}.{served}", err)


def print_plan(plan: list[str]) -> None:
    """Print what `apply` is about to do."""
    if not plan:
        out.print("The server is as deployment.yaml says; nothing to do.")
        return
    out.print("Plan:")
    for number, text in enumerate(plan, start=1):
        out.print(Text(f"  {number}. {text}"))


def print_history(changes: list[dict[str, Any]]) -> None:
    """Print the latest changes, newest last."""
    told = [change for change in changes if (change.get("kind"), change["outcome"]) != (TRIAL, "done")]
    rows = [_history_row(change) for change in told[-SHOWN_CHANGES:]]
    if not told:
        out.print("Nothing has been changed yet.")
    for line in table_lines(_HISTORY_COLUMNS, rows, width=width_of(out), headed=bool(told)):
        out.print(line)
    if len(told) > SHOWN_CHANGES:
        out.print(Text(f"… and {len(told) - SHOWN_CHANGES} before (all with --json)", style="dim"))
    if len(told) < len(changes):
        trials = f"{len(changes) - len(told)} trials of `statehouse tune` are not shown (all with --json)"
        out.print(Text(trials, style="dim"))


def _history_row(change: dict[str, Any]) -> list[str | Text]:
    if change["outcome"] == "unreadable":
        return [f"line {change['line']}", Text("unreadable", style="red"), *[""] * 8]
    outcome = change["outcome"]
    return [
        change["when"][:19].replace("T", " "),
        f"{change['kind']} {change['name']}",
        (change["from"] or {}).get("version", "-"),
        (change["to"] or {}).get("version", "-"),
        Text(outcome, style=_OUTCOME_STYLES.get(outcome, "yellow")),
        seconds_text(change["seconds"]),
        _count(change["requests"]),
        _count(change["failed"]),
        seconds_text(change["slowest_seconds"]),
        f"{change['user']}@{change['host']}",
    ]


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
