"""Applies renaming rules to names: `renaming` runs this file as a process that it can end.

A regular expression may take for ever on a name that somebody else chose, and Python's cannot be told to stop.
Reads `{"names": […], "rules": [[pattern, replacement], …]}` from stdin; writes `{"names": [name or null, …],
"matched": [count, …], "problems": […]}`. Needs nothing but Python's own modules.
"""

from __future__ import annotations

import json
import re
import sys

MAX_NAME_CHARACTERS = 1024  # rules in a row may double a name each


def match(names: list[str], rules: list[tuple[str, str]]) -> dict[str, object]:
    """Return each name as the rules leave it, each in turn on what the ones before made; null is left out."""
    results: list[str | None] = list(names)
    counts: list[int] = []
    problems: list[str] = []
    for pattern, replacement in rules:
        try:
            results, count = _apply(results, re.compile(pattern), replacement)
        except (re.error, IndexError, OverflowError, RecursionError, ValueError) as error:
            problems.append(f"--rename {pattern}={replacement}: {error}")
            count = -1
        counts.append(count)
    return {"names": results, "matched": counts, "problems": problems}


def _apply(
    names: list[str | None], pattern: re.Pattern[str], replacement: str
) -> tuple[list[str | None], int]:
    matches = [None if name is None else pattern.fullmatch(name) for name in names]
    new = [
        name if found is None else (found.expand(replacement) or None)
        for name, found in zip(names, matches, strict=True)
    ]
    longest = max(filter(None, new), key=len, default="")
    if len(longest) > MAX_NAME_CHARACTERS:
        raise ValueError(
            f"makes a name of {len(longest):,} characters; expected up to {MAX_NAME_CHARACTERS:,}"
        )
    return new, sum(found is not None for found in matches)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(match(asked["names"], asked["rules"]), sys.stdout)
