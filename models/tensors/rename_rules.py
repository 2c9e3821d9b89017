"""The fewest rules that make the likely renamings of a state_dict, to be copied: `0\\.(.*)=layers.0.\\1`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping


def rules_of(renamings: Mapping[str, str], names: Collection[str]) -> tuple[str, ...]:
    """Return rules that rename as `renamings` say and leave the rest of `names` as they are.

    Names that differ in what stands before a common end share a rule, where it matches no other name.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for old, new in renamings.items():
        groups.setdefault(_beginnings(old, new), []).append(old)
    rules: list[str] = []
    for (old, new), members in groups.items():
        matched = [name for name in names if name.startswith(old)]
        if len(members) > 1 and sorted(matched) == sorted(members):
            rules.append(f"{re.escape(old)}(.*)={_literal(new)}\\1")
        else:
            rules += [f"{re.escape(name)}={_literal(renamings[name])}" for name in members]
    return tuple(rules)


def _beginnings(old: str, new: str) -> tuple[str, str]:
    """Return what stands before the longest common end of two names, which begins behind a dot."""
    olds, news = old.split("."), new.split(".")
    while olds and news and olds[-1] == news[-1]:
        olds.pop()
        news.pop()
    return "".join(f"{part}." for part in olds), "".join(f"{part}." for part in news)


def _literal(name: str) -> str:
    return name.replace("\\", r"\\")
