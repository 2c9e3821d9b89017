"""Golden examples: stored requests, the answers they must give, and how near is near enough where."""

import json
import math
from pathlib import Path
from typing import Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statehouse.handlers.errors import GoldenMismatchError
from statehouse.models.example import Example

GOLDEN_FILE = "golden.json"
DEFAULT_TOLERANCES = {
    f"{device}/{dtype}": tolerance
    for device, tolerances in {
        "cpu": {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2},
        "cuda": {"float64": 1e-6, "float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2},
    }.items()
    for dtype, tolerance in tolerances.items()
}

Source = Literal["checkpoint", "file", "made"]


class Golden(BaseModel):
    """`golden.json` of a version. `tolerances`: by `device/dtype`, relative for numbers beyond ±1."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: Source
    tolerances: dict[str, float] = Field(default=DEFAULT_TOLERANCES)
    examples: list[Example] = Field(min_length=1)

    def to_plain(self) -> dict[str, Any]:
        """Plain data, as the file holds it."""
        examples = [example.to_plain() for example in self.examples]
        return {"source": self.source, "tolerances": self.tolerances, "examples": examples}


def write_golden(path: Path, golden: Golden) -> None:
    """Write `golden` to `path`."""
    path.write_text(json.dumps(golden.to_plain(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_golden(path: Path) -> Golden:
    """The golden examples in `path`; raises GoldenMismatchError when it holds none that can be read."""
    try:
        plain = json.loads(path.read_bytes())
        examples = [Example.from_plain(example) for example in plain["examples"]]
        return Golden.model_validate({**plain, "examples": examples})
    except OSError as error:
        raise GoldenMismatchError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise GoldenMismatchError(f"{path} holds no golden examples: {error}") from error


def compare(expected: object, actual: object, tolerance: float, path: str = "$") -> list[str]:
    """Every difference between two JSON documents, each with its path; numbers may differ by `tolerance`.

    Where two labels are nearer than the tolerance either may come first, so rankings are compared by score.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for member, compare_answers in _OF_TASKS.items():
            if member in expected and member in actual:
                return compare_answers(expected, actual, tolerance, path)
        return _compare_members(expected, actual, tolerance, path)
    if isinstance(expected, list) and isinstance(actual, list):
        return _compare_elements(expected, actual, tolerance, path)
    if _is_number(expected) and _is_number(actual):
        near = math.isclose(expected, actual, rel_tol=tolerance, abs_tol=tolerance)
        return [] if near else [f"{path}: expected {expected} ± {tolerance}, got {actual}"]
    if type(expected) is type(actual) and expected == actual:
        return []
    return [f"{path}: expected {_shown(expected)}, got {_shown(actual)}"]


def _compare_members(
    expected: dict[str, Any], actual: dict[str, Any], tolerance: float, path: str
) -> list[str]:
    differences = [f"{path}.{name}: missing" for name in expected if name not in actual]
    differences += [f"{path}.{name}: not expected" for name in actual if name not in expected]
    for name in expected.keys() & actual.keys():
        differences += compare(expected[name], actual[name], tolerance, f"{path}.{name}")
    return differences


def _compare_elements(expected: list[Any], actual: list[Any], tolerance: float, path: str) -> list[str]:
    if len(expected) != len(actual):
        return [f"{path}: expected {len(expected)} elements, got {len(actual)}"]
    return [
        difference
        for index, (one, other) in enumerate(zip(expected, actual, strict=True))
        for difference in compare(one, other, tolerance, f"{path}[{index}]")
    ]


def _compare_rankings(
    expected: dict[str, Any], actual: dict[str, Any], tolerance: float, path: str
) -> list[str]:
    before = {entry["label"]: entry["score"] for entry in expected["top_k"]}
    after = {entry["label"]: entry["score"] for entry in actual["top_k"]}
    differences = compare(expected["score"], actual["score"], tolerance, f"{path}.score")
    if actual["label"] != expected["label"]:
        score = before.get(actual["label"], -math.inf)
        if not math.isclose(score, expected["score"], abs_tol=tolerance):
            differences.append(f"{path}.label: expected {expected['label']!r}, got {actual['label']!r}")
    # A label that only one list has must be a near tie with the last place of the other.
    for label in before.keys() | after.keys():
        one, other = before.get(label, min(before.values())), after.get(label, min(after.values()))
        differences += compare(one, other, tolerance, f"{path}.top_k[{label}]")
    return differences


def _compare_detections(
    expected: dict[str, Any], actual: dict[str, Any], tolerance: float, path: str
) -> list[str]:
    """Each detection beside the one of its label that is nearest; where two scores tie, either may come first."""
    left = list(actual["detections"])
    differences = []
    if len(left) != len(expected["detections"]):
        return [f"{path}: expected {len(expected['detections'])} detections, got {len(left)}"]
    for index, one in enumerate(expected["detections"]):
        found = [compare(one, other, tolerance, f"{path}.detections[{index}]") for other in left]
        nearest = min(range(len(left)), key=lambda place: len(found[place]))
        differences += found[nearest]
        del left[nearest]
    return differences


def _compare_masks(
    expected: dict[str, Any], actual: dict[str, Any], tolerance: float, path: str
) -> list[str]:
    """Masks may differ in a share of their pixels: where two classes tie."""
    from statehouse.handlers.images.masks import read_mask

    before, after = read_mask(expected), read_mask(actual)
    if before.shape != after.shape:
        return [f"{path}.mask: expected {list(before.shape)} pixels, got {list(after.shape)}"]
    wrong = int((before != after).sum())
    if wrong <= tolerance * before.size:
        return []
    return [f"{path}.mask: {wrong} of {before.size} pixels are of another class"]


_OF_TASKS = {"top_k": _compare_rankings, "detections": _compare_detections, "mask": _compare_masks}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
