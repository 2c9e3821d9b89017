"""Whether a bare state_dict is told by names and shapes: `python -m benchmarks.which_architecture`, about two minutes.

200 random architectures of torchvision and timm are built without values and given another head. The group that has
the right one should come first. Half of them are changed further: a prefix, one channel, a classifier with names of
the user's own, no classifier.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from statehouse.models.errors import ArchitectureError
from statehouse.models.libraries.index import Group, candidates
from statehouse.models.libraries.index.make import all_names, build_on_meta, tensors_of
from statehouse.models.libraries.index.stored import Shape, read_index

GOAL = 0.97
COUNT = 200
SEED = 16
CHANGES = ("num_classes", "prefix", "in_chans", "own head", "no head")
SHARES = (4, 1, 1, 1, 1)
WITH_HEAD = ("num_classes", "prefix", "in_chans")


@dataclass(frozen=True)
class Case:
    """One state_dict, what was done to it, and what was found."""

    name: str
    change: str
    classes: int
    found: tuple[Group, ...]
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether the right group comes first."""
        return bool(self.found) and self.name in self.found[0].architectures

    @property
    def is_told(self) -> bool:
        """Whether the number of classes is right as well, where the file has its head."""
        if self.change not in WITH_HEAD:
            return self.is_right
        return self.is_right and self.found[0].num_classes == self.classes


def choose(count: int, seed: int) -> list[tuple[str, str, int]]:
    """Return names, what is changed, and a number of classes; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a choice of cases
    names = chance.sample(all_names(), count)
    return [(name, chance.choices(CHANGES, SHARES)[0], chance.randrange(2, 400)) for name in names]


def changed(name: str, change: str, classes: int) -> tuple[str, dict[str, Shape]]:
    """Return what was done, "nothing" where the architecture cannot have it, and names and shapes."""
    wishes = [{"num_classes": classes, "in_chans": 1}] if change == "in_chans" else []
    for config in (*wishes, {"num_classes": classes}, {}):
        try:
            tensors = tensors_of(build_on_meta(name, config))
        except ArchitectureError:
            continue
        if "num_classes" not in config:
            return "nothing", tensors
        done = "num_classes" if change == "in_chans" and "in_chans" not in config else change
        return done, _renamed(tensors, done, classes)
    raise ValueError(f"{name} cannot be built")


def _renamed(tensors: dict[str, Shape], change: str, classes: int) -> dict[str, Shape]:
    if change == "prefix":
        return {f"module.model.{name}": shape for name, shape in tensors.items()}
    if not change.endswith("head"):
        return tensors
    heads = [name for name, shape in tensors.items() if shape and shape[0] == classes]
    kept = {name: shape for name, shape in tensors.items() if name not in heads}
    own = {"my_head.1.weight": (classes, 256), "my_head.1.bias": (classes,)} if change == "own head" else {}
    return kept | own


def measure(count: int, seed: int) -> list[Case]:
    """Build every case and ask for it."""
    read_index()
    return [_case(*chosen) for chosen in choose(count, seed)]


def _case(name: str, change: str, classes: int) -> Case:
    done, tensors = changed(name, change, classes)
    began = time.process_time()
    found = candidates(tensors)
    return Case(name, done, classes, tuple(found), time.process_time() - began)


def table(cases: list[Case]) -> Table:
    """Return the figures, a row for each change."""
    shown = Table("changed", "state_dicts", "right group first", "num_classes told", "slowest, ms of CPU")
    by_change: Mapping[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_change[case.change].append(case)
    for change, own in (*sorted(by_change.items()), ("all", cases)):
        told = [case for case in own if case.change in WITH_HEAD]
        shown.add_row(
            change,
            str(len(own)),
            f"{sum(case.is_right for case in own) / len(own):.1%}",
            f"{sum(case.is_told for case in told)} of {len(told)}" if told else "",
            f"{max(case.seconds for case in own) * 1000:.0f}",
        )
    return shown


def main() -> None:
    """Print the table and every failure by name; exit with 1 below the goal."""
    parser = argparse.ArgumentParser(description="Which architecture is a bare state_dict of?")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    cases = measure(chosen.count, chosen.seed)
    out = Console()
    out.print(table(cases))
    for case in cases:
        if not case.is_right or not case.is_told:
            first = case.found[0] if case.found else None
            told = f"{first.architectures}, num_classes {first.num_classes}" if first else "nothing"
            out.print(f"{case.name}, {case.change}, {case.classes} classes: {told} came first", markup=False)
    unbuilt = read_index().unbuilt
    out.print(f"not in the index, as it cannot be built: {', '.join(unbuilt) or 'none'}", markup=False)
    sys.exit(sum(case.is_right for case in cases) < GOAL * len(cases))


if __name__ == "__main__":
    main()
