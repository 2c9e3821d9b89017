"""What the commands print for people: steps, tables and numbers in readable units."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.status import Status

from statehouse.scripts.progress import Step
from statehouse.scripts.store.manifest import TASK_CONFIG_FROM
from statehouse.scripts.terminal.escaping import Console, Text, escaped_json
from statehouse.scripts.terminal.tables import Column, table_lines

if TYPE_CHECKING:
    from statehouse.scripts.publishing.publish import PublishResult
    from statehouse.scripts.servers.addresses import Addresses

PIPE_WIDTH = 200
MIN_PERCENTILE_REQUESTS = 20  # of fewer, a percentile is the slowest of them or so

out = Console()
err = Console(stderr=True)
if not out.is_terminal:
    out.width = PIPE_WIDTH  # nothing is cut off in a file or a pipe
_running = Status("", console=err)  # the step that runs, on a terminal
atexit.register(_running.stop)  # however the command ends: a spinner hides the cursor

_TOLD_AS_THEY_RUN = ("wait", "progress")
_STEP_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red")}
GOLDEN_SOURCES = {
    "checkpoint": "from the checkpoint",
    "file": "from --example",
    "made": "none was given: made from the input schema with a fixed seed",
}
_STATUS_COLUMNS = (
    *(Column("MODEL"), Column("VERSION"), Column("STATE"), Column("WORKERS", dispensable=2)),
    *(Column("BATCH", numeric=True, dispensable=6), Column("MEMORY", numeric=True, dispensable=7)),
    *(Column("QUEUE", numeric=True, dispensable=3), Column("REQUESTS", numeric=True, dispensable=1)),
    *(Column("FAILED", numeric=True), Column("P50", numeric=True, dispensable=4)),
    *(Column("P99", numeric=True), Column("DIGEST", dispensable=5)),
)
_STATE_STYLES = {"READY": "green", "LOADING": "yellow", "DEGRADED": "yellow", "FAILED": "red"}


def print_json(value: Any, *, indent: int | None = 2) -> None:  # noqa: ANN401 - any JSON
    """Print JSON for machines, and for people who look at it; without ``indent`` in one line."""
    print(escaped_json(value, indent=indent), flush=True)


def width_of(console: Console) -> int | None:
    """Return how many columns there are; None where nothing is cut off or wrapped: in a file or a pipe."""
    return console.width if console.is_terminal else None


def say(text: Text | str, console: Console = out) -> None:
    """Print a line for people; on a terminal it is wrapped between words and goes on indented."""
    line = Text.assemble(text)
    if not console.is_terminal:
        console.print(line)
        return
    indent = len(line.plain) - len(line.plain.lstrip()) + 2
    first, *rest = line.wrap(console, max(console.width - indent, 20))
    console.print(first)
    for piece in rest:
        console.print(Text(" " * indent) + piece)


def say_message(
    mark: tuple[str, str], message: str, console: Console = out, *, style: str = "", took: str = ""
) -> None:
    """Print a message of one line or several, such as an error's, with a mark and its style before the first."""
    first, *rest = message.split("\n")
    say(Text.assemble(mark, (first, style), ("" if rest else took, "dim")), console)
    for number, line in enumerate(rest, start=1):
        say(Text.assemble((line, style), (took if number == len(rest) else "", "dim")), console)


def print_step(step: Step) -> None:
    """Print one step of the supervisor's as it happens: what runs is a spinner, what is done a line."""
    if step.state == "begun":
        if err.is_terminal:
            told = step.text if step.name in _TOLD_AS_THEY_RUN else f"{step.name} …"
            _running.update(Text(told, style="dim"))
            _running.start()
        elif step.name in _TOLD_AS_THEY_RUN:
            say_message(("  · ", ""), step.text, err)
        return
    _running.stop()
    mark, style = _STEP_MARKS[step.state]
    took = f"  {step.seconds:.1f} s" if step.seconds >= 0.05 else ""
    say_message((f"  {mark} ", style), step.text, err, took=took)


def pause() -> None:
    """Take the spinner away, until the next step."""
    _running.stop()


def print_error(message: str) -> None:
    """Print why a command could not do what it was asked."""
    _running.stop()
    say_message(("error: ", "bold red"), message, err)


def seconds_text(seconds: float | None) -> str:
    """Return a duration as people read it: ``850 µs``, ``4.2 ms``, ``1.3 s``."""
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def size_text(size_bytes: int) -> str:
    """Return a size as people read it: ``512 B``, ``817 kB``, ``1.6 GB``."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def print_status(status: dict[str, Any]) -> None:
    """Print what serves, as a table."""
    dead = [row for row in status["models"] if _is_dead_default(row)]
    ready = ("ready", "green") if status["ready"] else ("not ready", "bold red" if dead else "yellow")
    addresses = f" · front {status['front']} · reader {status['reader']} · grpc {status['grpc']}"
    say(Text.assemble(ready, (addresses.replace("http://", ""), "dim")))
    say(Text(status["deployment"], style="dim"))
    if change := status.get("change"):
        undo = "" if change["aborted_by"] else " (to undo it: statehouse abort)"
        say(Text.assemble(("changing: ", "yellow"), f"{change['text']}{undo}"))
    if status["models"]:
        rows = [_status_row(row) for row in status["models"]]  # in order already
        for line in table_lines(_STATUS_COLUMNS, rows, width=width_of(out)):
            out.print(line)
        say(
            Text(
                "* answers requests that name no version; BATCH: the most requests of one; FAILED: answers of 5xx",
                style="dim",
            )
        )
    for row in status["models"]:
        _print_notes(row)
    _print_missing(dead, status["missing"])


def _print_missing(dead: list[dict[str, Any]], missing: list[str]) -> None:
    for row in dead:
        told = f"{row['name']} {row['version']}, the default, has no worker: {row['reason']}"
        say_message(("  no answers: ", "bold red"), told)
    told_of = tuple(f"{row['name']} {row['version']}: " for row in dead)
    for line in missing:
        if not line.startswith(told_of):
            say_message(("  missing: ", "yellow"), line)


def _state_style(row: dict[str, Any]) -> str:
    return "bold red" if _is_dead_default(row) else _STATE_STYLES.get(row["state"], "")


def _is_dead_default(row: dict[str, Any]) -> bool:
    """Whether a row is of the version that clients get, and has no worker that answers them."""
    return row["default"] and not row["answers"] and row["state"] != "LOADING"


def _print_notes(row: dict[str, Any]) -> None:
    """Print what its row of the table has no place for."""
    what = f"{row['name']} {row['version']}"
    if used := row.get("settings", {}).get("optimizations"):
        say(Text(f"  {what}: its module is optimized, {', '.join(used)}", style="dim"))
    newer_code = row.get("code_changed") if row["default"] else None
    for changed in filter(None, (row.get("library_changed"), newer_code)):
        say(Text.assemble(("  note: ", "yellow"), f"{what}: {changed}"))


def _status_row(row: dict[str, Any]) -> list[str | Text]:
    latency = row["latency"] or {}
    requests = latency.get("requests", 0)
    percentiles = [latency.get("p50_seconds"), latency.get("p99_seconds")]
    return [
        row["name"],
        row["version"] + ("*" if row["default"] else ""),
        Text(row["state"], style=_state_style(row)),
        f"{row['workers']['ready']}/{row['workers']['desired']}",
        f"{row['settings']['batch_size']}",
        size_text(row["memory_bytes"]) if row["memory_bytes"] else "-",
        f"{row['queued_requests']:,}",
        f"{requests:,}",
        f"{latency.get('failed', 0):,}",
        *(seconds_text(each) if requests >= MIN_PERCENTILE_REQUESTS else "-" for each in percentiles),
        (row["digest"] or "-")[:8],
    ]


def print_server_line(line: str) -> None:
    """Print one of the few lines that the servers log."""
    err.print(Text(f"  · {line}", style="dim"))


def print_ready(addresses: Addresses, missing: list[str], curl_lines: list[str]) -> None:
    """Print that the server is up, what is missing, requests to try, and where a browser shows it all."""
    err.print()
    if missing:
        err.print(Text("Up, but not ready:", style="bold yellow"))
        for line in missing:
            say_message(("  ", ""), line, err)
    else:
        err.print(Text.assemble(("Ready.", "bold green"), " Try, in another terminal:"))
    for line in (f"curl -s {addresses.url('reader')}/ready", *curl_lines):
        out.print(Text(f"  {line}"))
    err.print(Text(f"In a browser: {addresses.url('front')}/console"))
    err.print(Text("Ctrl-C stops: what is in flight is answered first.", style="dim"))


class Progress:
    """What is being done, with a spinner on a terminal and one line per step elsewhere."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._spinner = Status("starting", console=err)

    def __enter__(self) -> Self:
        if self._shown and err.is_terminal:
            self._spinner.start()
        return self

    def step(self, text: str) -> None:
        """Begin the next step."""
        if not self._shown:
            return
        if err.is_terminal:
            self._spinner.update(Text(text, style="dim"))
        else:
            say(f"  · {text}", err)

    def between(self, print_something: Callable[[], None]) -> None:
        """Print between two steps, without the spinner in it."""
        if not self._shown:
            return
        self._spinner.stop()
        print_something()
        if err.is_terminal:
            self._spinner.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spinner.stop()


def published_facts(result: PublishResult) -> dict[str, Any]:
    """Return what `publish --json` prints."""
    manifest = result.version.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "place": result.place,
        "folder": str(result.version.folder),
        "already_published": result.already_published,
        "golden": manifest.golden.model_dump(),
        TASK_CONFIG_FROM: manifest.metadata.get(TASK_CONFIG_FROM),
    }


def print_published(result: PublishResult) -> None:
    """Print what was published and how to serve it."""
    manifest = result.version.manifest
    known = "was published already" if result.already_published else "published"
    golden = f"{manifest.golden.count} golden example{'s' if manifest.golden.count != 1 else ''}"
    what = f"{manifest.name} {manifest.version} {known}: {result.place}"
    say(Text.assemble(("✓ ", "green"), what))
    say(f"  {manifest.architecture}, {manifest.parameter_count:,} parameters, task {manifest.task}")
    say(f"  {golden} ({GOLDEN_SOURCES[manifest.golden.source]})")
    say(f"  digest {manifest.digest}")
    if whose := manifest.metadata.get(TASK_CONFIG_FROM):
        say(f"  preprocessing and labels as far as not given: {whose}")
    if code := manifest.architecture_code:
        say(
            f"  its code, {code.module}, {'is kept' if result.has_code else 'is not'} here, digest {code.digest[:12]}"
        )
        if not result.has_code:
            command = f"statehouse architecture add {code.module} --digest {code.digest} --from FOLDER"
            say(Text.assemble(("  note: ", "yellow"), f"before it is served, add it: {command}"))
    if result.other_code:
        say(Text.assemble(("  note: ", "yellow"), result.other_code))
    say(f"Serve it: statehouse swap {manifest.name} {manifest.version}")
