from typing import Any

import pytest

from statehouse.scripts.changes.shadow import compare_answers


def classified(label: str, **scores: float) -> dict[str, Any]:
    top_k = [{"label": each, "score": score} for each, score in scores.items()]
    return {"label": label, "score": max(scores.values()), "top_k": top_k}


def test_classifications_agree_by_label_whatever_the_scores() -> None:
    found = compare_answers(classified("a", a=0.9, b=0.1), classified("a", a=0.6, b=0.4), tolerance=1e-6)
    assert found.agrees
    assert found.largest == pytest.approx(0.3)


def test_another_label_is_a_difference_with_its_row() -> None:
    old = {"predictions": [classified("a", a=0.9, b=0.1), classified("a", a=0.6, b=0.4)]}
    new = {"predictions": [classified("a", a=0.9, b=0.1), classified("b", a=0.4, b=0.6)]}
    assert compare_answers(old, new, tolerance=1.0).differences == ["row 1: 'a' became 'b'"]


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "agrees", "largest"),
    [
        ({"value": 10.0}, {"value": 10.001}, 1e-3, True, 0.001),
        ({"value": 10.0}, {"value": 11.0}, 1e-3, False, 1.0),
        ({"outputs": [1.0, 2.0]}, {"outputs": [1.0, 2.5]}, 1e-3, False, 0.5),
        ({"outputs": [1.0]}, {"outputs": [1.0, 2.0]}, 1.0, False, 0.0),
        ({"status": 422}, {"status": 422}, 0.0, True, 0.0),
        ({"status": 422}, {"value": 1.0}, 1.0, False, 0.0),
    ],
)
def test_numbers_agree_within_the_tolerance(
    old: Any, new: Any, tolerance: float, agrees: bool, largest: float
) -> None:
    found = compare_answers(old, new, tolerance)
    assert found.agrees is agrees
    assert found.largest == pytest.approx(largest)
