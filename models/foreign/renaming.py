r"""Names of tensors changed by rules of the user's: `encoder\.(.*)=backbone.\1`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")

TIMEOUT_SECONDS = 10.0
MAX_LISTED = 20  # names of one problem

_MATCHING = Path(__file__).with_name("rule_matching.py")


@dataclass(frozen=True)
class Renaming:
    """What rules made of the names of a state_dict."""

    names: Mapping[str, str | None] = field(
        default_factory=dict
    )  # of the matched ones: old → new, None: left out
    matched: Mapping[str, int] = field(default_factory=dict)  # rule → how many names it matched

    def apply(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return `values` by their new names, without those that are left out."""
        renamed = {self.names.get(name, name): value for name, value in values.items()}
        return {name: value for name, value in renamed.items() if name is not None}

    def to_plain(self) -> dict[str, Any]:
        """Return plain data: each rule with how many names it matched, then every name that changed."""
        rules = [{"rule": rule, "matched": count} for rule, count in self.matched.items()]
        return {"rules": rules, "names": dict(self.names)}


def rename(names: Collection[str], rules: Sequence[str]) -> tuple[Renaming, list[str]]:
    r"""Apply `rules` to `names`, each in turn to what the ones before made of them, and return every problem.

    A rule is `PATTERN=REPLACEMENT`: a regular expression (Python's) that must match a whole name, and what
    the name becomes, with `\1` for groups. An empty replacement leaves the tensor out. Problems: what is no
    rule, matches nothing, or gives two tensors one name; and expressions that take too long.
    """
    split = [rule.rpartition("=") for rule in rules]
    unsplit = [
        f"--rename {rule}: is no rule; expected PATTERN=REPLACEMENT, such as 'encoder.(.*)=backbone.\\1'"
        for rule, (pattern, _, _) in zip(rules, split, strict=True)
        if not pattern
    ]
    if unsplit or not rules:
        return Renaming(), unsplit
    try:
        answer = _match(list(names), [(pattern, replacement) for pattern, _, replacement in split])
    except subprocess.TimeoutExpired:
        return Renaming(), [
            f"--rename: {len(rules)} rules on {len(names):,} names took over {TIMEOUT_SECONDS:.0f} s; "
            "write the expressions without nested repetitions such as (.*)*"
        ]
    new_names: list[str | None] = answer["names"]
    changed = {old: new for old, new in zip(names, new_names, strict=True) if old != new}
    matched = {rule: count for rule, count in zip(rules, answer["matched"], strict=True) if count >= 0}
    idle = [f"--rename {rule}: matches no name" for rule, count in matched.items() if not count]
    return Renaming(changed, matched), [*answer["problems"], *idle, *_collisions(names, new_names)]


def _match(names: list[str], rules: list[tuple[str, str]]) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(_MATCHING)]
    asked = json.dumps({"names": names, "rules": rules})
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _collisions(old: Collection[str], new: Sequence[str | None]) -> list[str]:
    sources: dict[str, list[str]] = {}
    for name, result in zip(old, new, strict=True):
        if result is not None:
            sources.setdefault(result, []).append(name)
    return [
        f"--rename: {len(names)} tensors would be called {result!r}: {_listed(names)}"
        for result, names in sources.items()
        if len(names) > 1
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
