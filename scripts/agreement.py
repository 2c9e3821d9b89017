"""Do two versions' answers to one request agree?

Two classifications agree when they name the same label: a version that was trained again has other
scores. All other answers agree when every number is within the tolerance and everything else is equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handlers.golden import compare


@dataclass(frozen=True)
class Comparison:
    """``differences`` are empty when the two agree; ``largest`` is over all their numbers, agreeing or not."""

    differences: list[str]
    largest: float

    @property
    def agrees(self) -> bool:
        """Whether there is nothing to tell apart."""
        return not self.differences


def compare_answers(old: Any, new: Any, tolerance: float) -> Comparison:  # noqa: ANN401 - any JSON
    """Compare two answers to one request, row by row where they have several."""
    differences: list[str] = []
    largest = 0.0
    for place, old_row, new_row in _rows(old, new):
        if _is_classification(old_row) and _is_classification(new_row):
            if old_row["label"] != new_row["label"]:
                differences.append(f"{place}: {old_row['label']!r} became {new_row['label']!r}")
            largest = max(largest, _largest(_scores(old_row), _scores(new_row)))
        else:
            differences += compare(old_row, new_row, tolerance, place)
            largest = max(largest, _largest(old_row, new_row))
    return Comparison(differences, largest)


def _rows(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - any JSON
    several = all(isinstance(each, dict) and isinstance(each.get("predictions"), list) for each in (old, new))
    if several and len(old["predictions"]) == len(new["predictions"]):
        for index, (one, other) in enumerate(zip(old["predictions"], new["predictions"], strict=True)):
            yield f"row {index}", one, other
    else:
        yield "$", old, new


def _is_classification(row: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(row, dict) and "label" in row and "top_k" in row


def _scores(row: dict[str, Any]) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in row["top_k"]}


def _largest(old: Any, new: Any) -> float:  # noqa: ANN401 - any JSON
    """Return the largest difference between numbers in the same place of both."""
    if isinstance(old, dict) and isinstance(new, dict):
        return max((_largest(old[key], new[key]) for key in old.keys() & new.keys()), default=0.0)
    if isinstance(old, list) and isinstance(new, list):
        return max((_largest(*pair) for pair in zip(old, new, strict=False)), default=0.0)
    numbers = [
        value for value in (old, new) if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return math.fabs(numbers[0] - numbers[1]) if len(numbers) == 2 else 0.0
