"""Named features to the columns of a row: numbers standardised, categories one-hot, in the task's order."""

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statehouse.handlers.bodies.numbers import shorten, type_name
from statehouse.handlers.errors import InvalidInputError
from statehouse.models.tasks.input_kinds import FeaturesInput
from statehouse.models.tasks.registry import CategoricalFeature, NumericFeature, TabularTask

NUMBER_TYPES = {int, float}
FLOAT32_MAX = float(np.finfo(np.float32).max)
TOLD_IN_DETAIL = 3  # problems of a row; more are listed in `errors`
MAX_GUESSES = 100  # at what unknown names mean: each is compared with every missing one


class FeatureTable:
    """Reads rows given as objects, feature to value, into float64 columns, and standardises them.

    Columns stay as sent until `standardise`, and are float64 until then: the difference of a large number and
    a large mean would be lost in float32.
    """

    def __init__(self, task: TabularTask | FeaturesInput) -> None:
        self.features = {feature.name: feature for feature in task.features}
        self.width = task.width
        starts = np.cumsum([0, *(_width(feature) for feature in task.features)]).tolist()
        self._starts = dict(zip(self.features, starts, strict=False))
        numeric = [feature for feature in task.features if isinstance(feature, NumericFeature)]
        self._numeric = [feature.name for feature in numeric]
        self._numeric_columns = [self._starts[name] for name in self._numeric]
        self._minimum = np.array([-math.inf if f.minimum is None else f.minimum for f in numeric])
        self._maximum = np.array([math.inf if f.maximum is None else f.maximum for f in numeric])
        self._one_hot = {
            feature.name: {
                category: self._starts[feature.name] + i for i, category in enumerate(feature.categories)
            }
            for feature in task.features
            if isinstance(feature, CategoricalFeature)
        }
        self._mean, self._std = np.zeros(self.width), np.ones(self.width)
        self._mean[self._numeric_columns] = [feature.mean for feature in numeric]
        self._std[self._numeric_columns] = [feature.std for feature in numeric]

    def read(self, row: object) -> NDArray[np.float64]:
        """One row's columns; raises InvalidInputError with everything that is wrong with it."""
        columns = np.zeros(self.width)
        try:
            if row.keys() != self.features.keys():  # type: ignore[attr-defined]
                raise _explained(self.features, row)
            numbers = [row[name] for name in self._numeric]  # type: ignore[index]
            columns[self._numeric_columns] = numbers
            for name, places in self._one_hot.items():
                columns[places[row[name]]] = 1.0  # type: ignore[index]
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise _explained(self.features, row) from error
        values = columns[self._numeric_columns]
        with np.errstate(over="ignore"):
            finite = np.isfinite(self.standardise(columns).astype(np.float32)).all()
        in_range = finite and ((values >= self._minimum) & (values <= self._maximum)).all()
        if not in_range or not set(map(type, numbers)) <= NUMBER_TYPES:
            raise _explained(self.features, row)
        return columns

    def standardise(self, rows: NDArray[Any]) -> NDArray[Any]:
        """`(value - mean) / std` of the numeric columns."""
        return (rows - self._mean) / self._std


def _width(feature: NumericFeature | CategoricalFeature) -> int:
    return len(feature.categories) if isinstance(feature, CategoricalFeature) else 1


def _explained(features: Mapping[str, NumericFeature | CategoricalFeature], row: object) -> InvalidInputError:
    if not isinstance(row, dict):
        return InvalidInputError(
            f"The row is {type_name(row)}; expected an object with the features {_listed(features)}."
        )
    problems = _wrong_names(features, row)
    problems += [
        problem
        for name, feature in features.items()
        if name in row and (problem := _problem(feature, row[name]))
    ]
    if len(problems) <= TOLD_IN_DETAIL:
        return InvalidInputError(f"The features do not fit: {'; '.join(problems)}.")
    return InvalidInputError(
        f"The features do not fit, for {len(problems):,} reasons; the first: {problems[0]}.",
        errors=[{"detail": problem} for problem in problems[:1000]],
    )


def _wrong_names(features: Mapping[str, Any], row: Mapping[str, object]) -> list[str]:
    """Say which features are unknown, then which are missing; not both of one that is misspelt."""
    missing = [name for name in features if name not in row]
    unknown = [name for name in row if name not in features]
    misspelt = {name: close[0] for name in unknown[:MAX_GUESSES] if (close := _close(name, missing))}
    problems = [
        f"{shorten(name)} is unknown" + (f" (did you mean {misspelt[name]!r}?)" if name in misspelt else "")
        for name in unknown
    ]
    return problems + [f"{name!r} is missing" for name in missing if name not in misspelt.values()]


def _problem(feature: NumericFeature | CategoricalFeature, value: object) -> str | None:
    found = f"{feature.name!r} is {shorten(value)} ({type_name(value)})"
    if isinstance(feature, CategoricalFeature):
        if value in feature.categories:
            return None
        close = _suggestion(value, feature.categories) if isinstance(value, str) else ""
        return f"{found}; expected one of {_listed(feature.categories)}{close}"
    if type(value) not in NUMBER_TYPES:
        return f"{found}; expected a number"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{found}; expected a finite number"
    if abs((value - feature.mean) / feature.std) > FLOAT32_MAX:  # type: ignore[operator]
        return f"{found}; expected a number that float32 can hold once standardised"
    if feature.minimum is not None and value < feature.minimum:  # type: ignore[operator]
        return f"{found}; expected at least {feature.minimum}"
    if feature.maximum is not None and value > feature.maximum:  # type: ignore[operator]
        return f"{found}; expected at most {feature.maximum}"
    return None


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = _close(name, known)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _close(name: str, known: Sequence[str]) -> list[str]:
    return get_close_matches(name[:100], known, n=1)


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
