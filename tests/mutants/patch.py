"""The mutants: one small patch per promise of README, found by the function that it is in, not by a line."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("mutants.toml")


class AnchorError(Exception):
    """A patch fits its file no more."""


@dataclass(frozen=True)
class Mutant:
    """A promise broken: ``old`` is ``new`` within one function, class or section of a file.

    ``file`` may be a pattern, and then every ``old`` in all of them is replaced. ``case`` is the one case of the
    promise's test that has to fail, where that has several.
    """

    name: str
    promise: str
    file: str
    old: str
    new: str
    within: str = ""
    case: str = ""

    def apply(self, root: Path) -> None:
        """Patch the files under ``root``; AnchorError when they are not as the patch knows them."""
        if "*" in self.file:
            found = [path for path in sorted(root.glob(self.file)) if self.old in path.read_text()]
            if not found:
                raise AnchorError(f"{self.name}: no {self.file} has {self.old!r} any more")
            for path in found:
                path.write_text(path.read_text().replace(self.old, self.new))
            return
        path = root / self.file
        if not path.is_file():
            raise AnchorError(f"{self.name}: there is no {self.file} any more")
        path.write_text(self._patched(path.read_text()))

    def _patched(self, text: str) -> str:
        begin, end = self._place(text)
        count = text[begin:end].count(self.old)
        if count != 1:
            where = f"{self.within} of {self.file}" if self.within else self.file
            raise AnchorError(f"{self.name}: {where} has {self.old!r} {count} times; expected once")
        return text[:begin] + text[begin:end].replace(self.old, self.new) + text[end:]

    def _place(self, text: str) -> tuple[int, int]:
        """Return where the function, class or section is: everything, where none is named."""
        if not self.within:
            return 0, len(text)
        if self.file.endswith(".py"):
            places = [place for name, place in _definitions(text, ast.parse(text), "") if name == self.within]
        else:  # HAProxy's: from its line to the next that is not indented
            found = re.finditer(
                rf"^{re.escape(self.within)}$.*?(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL
            )
            places = [each.span() for each in found]
        if len(places) != 1:
            raise AnchorError(
                f"{self.name}: {self.file} has {self.within!r} {len(places)} times; expected once"
            )
        return places[0]


def _definitions(text: str, node: ast.AST, prefix: str) -> Iterator[tuple[str, tuple[int, int]]]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])
            yield prefix + each.name, (starts[first - 1], starts[each.end_lineno or first])
            yield from _definitions(text, each, f"{prefix}{each.name}.")


def read_mutants(file: Path = FILE) -> Sequence[Mutant]:
    """All of them, in README's order."""
    return [Mutant(**each) for each in tomllib.loads(file.read_text())["mutant"]]
