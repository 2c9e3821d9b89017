"""What `load_pretrained` did, name by name, and printed part by part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from statehouse.models.tensors.state_dict import Mismatch
from statehouse.models.tensors.tensor_info import TensorInfo

_MAX_LINES = 20


@dataclass(frozen=True)
class PretrainedReport:
    """All names are those without wrapper prefixes.

    `loaded`: what the module took over. `skipped`: what has another shape or kind in the file. `not_chosen`:
    what the patterns left out. `unexpected`: what the module has no place for. `frozen`: parameters out of
    training. `held`: norm layers that stay at their loaded statistics.
    """

    path: Path
    expected: Mapping[str, TensorInfo]
    loaded: tuple[str, ...]
    skipped: tuple[Mismatch, ...] = ()
    not_chosen: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """What stays at its initial value."""
        return tuple(name for name in self.expected if name not in set(self.loaded))

    def __str__(self) -> str:
        return "\n".join(
            [f"{len(self.loaded)} of {len(self.expected)} tensors from {self.path}", *self.lines()]
        )

    def lines(self) -> list[str]:
        """Return one line per part of the module, then one per tensor that the module could not take."""
        lines = self._parts("loaded", self.loaded) + self._parts("left at its initial value", self.left)
        lines += self._parts("frozen", self.frozen)
        if self.held:
            lines.append(f"  held at its loaded statistics: {_some(self.held)}")
        lines += [f"  skipped: {m.name} is {m.given} in the file, {m.expected} here" for m in self.skipped]
        if self.unexpected:
            lines.append(f"  no place here for: {_some(self.unexpected)}")
        if self.not_chosen:
            lines.append(f"  not chosen: {_some(sorted(self.not_chosen))}")
        return lines

    def _parts(self, word: str, names: Iterable[str]) -> list[str]:
        parts: dict[str, list[str]] = {}
        for name in names:
            parts.setdefault(name.partition(".")[0], []).append(name)
        return [f"  {word}: {self._part(part, members)}" for part, members in parts.items()]

    def _part(self, part: str, names: list[str]) -> str:
        values = sum(self.expected[name].numel for name in names if name in self.expected)
        called = names[0] if len(names) == 1 else f"{part}.*"
        count = "" if len(names) == 1 else f"{len(names)} tensors, "
        return f"{called} ({count}{values:,} values)"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _MAX_LINES
    return ", ".join(listed[:_MAX_LINES]) + (f" and {rest} more" if rest > 0 else "")
