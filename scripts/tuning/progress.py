"""What `statehouse tune` shows while it runs: a bar on a terminal, a line for each candidate; all on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from statehouse.scripts.progress import Step
from statehouse.scripts.terminal import console
from statehouse.scripts.terminal.console import seconds_text
from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.tuning.bench import told
from statehouse.scripts.tuning.choice import Goal, Measured


class TuneProgress:
    """Says which candidate is measured, and what the last one was like; nothing unless ``shown``."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar = Progress(
            BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console.err, transient=True, disable=not (shown and console.err.is_terminal),
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=None)
        self._tried = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def expect(self, count: int) -> None:
        """Say how many are still to be tried, as far as is known."""
        self._bar.update(self._task, total=self._tried + count)

    def say(self, text: str) -> None:
        """Say what is being done."""
        self._bar.update(self._task, description=text)

    def note(self, text: str) -> None:
        """Leave a line that stays."""
        if self._shown:
            console.say_message(("  · ", "dim"), text, console.err)

    def tried(self, measured: Measured, goal: Goal) -> None:
        """Say what a candidate was like."""
        self._tried += 1
        self._bar.update(self._task, completed=self._tried)
        if not self._shown:
            return
        if measured.problem is not None:
            problem = f"{told(measured.settings)}: {measured.problem}"
            console.say_message(("  ✗ ", "red"), problem, console.err)
            return
        line = Text.assemble(("  ✓ ", "green"), told(measured.settings), (f"  {_figures(measured)}", "dim"))
        if not goal.score(measured.figures):
            line.append("  lost requests or fell behind", style="red")
        console.say(line, console.err)

    def step(self, step: Step) -> None:
        """Show what the supervisor says of a change, where it is no success."""
        if self._shown and step.state == "failed":
            console.print_step(step)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def _figures(measured: Measured) -> str:
    rates = " / ".join(f"{each.requests_per_second:,.0f}" for each in measured.figures)
    p99 = " / ".join(seconds_text(each.p99_seconds) for each in measured.figures)
    return f"{rates} requests/s, p99 {p99}"
