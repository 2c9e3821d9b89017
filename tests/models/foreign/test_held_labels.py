"""Labels that a trainer wrote beside the weights are found and offered, never taken."""

from __future__ import annotations

import pytest
import torch

from statehouse.models.foreign.held_labels import HeldLabels, held_labels

ANIMALS = ("cat", "dog", "owl")


class Arguments:
    def attributes(self):
        return {"lr": 0.1, "class_names": list(ANIMALS)}


@pytest.mark.parametrize(
    ("held", "key"),
    [
        ({"model": {}, "classes": list(ANIMALS)}, "classes"),
        ({"idx_to_class": dict(enumerate(ANIMALS))}, "idx_to_class"),
        ({"config": {"id2label": {str(index): name for index, name in enumerate(ANIMALS)}}}, "id2label"),
        ({"class_to_idx": {name: index for index, name in enumerate(ANIMALS)}}, "class_to_idx"),
        ({"args": Arguments()}, "class_names"),
    ],
)
def test_labels_are_found_in_the_order_of_the_classes(held, key):
    assert held_labels(held) == HeldLabels(key, ANIMALS)


@pytest.mark.parametrize(
    "value",
    [
        3,
        ["one"],
        ["a", "a"],
        ["a", 1],
        ["a", "b\x1b[31m"],
        ["a", "b" * 201],
        torch.ones(3),
        {0: "a", 2: "b"},
        {"a": 0, "b": 0},
    ],
)
def test_what_are_no_labels_is_left_alone(value):
    assert held_labels({"classes": value}) is None


def test_what_refers_to_itself_ends():
    held = {}
    held["again"] = [held, held]
    held["args"] = held
    assert held_labels(held) is None


def test_they_are_offered_with_what_was_given_already():
    labels = HeldLabels("classes", ANIMALS)
    assert labels.note() == 'labels in the file (classes): ["cat", "dog", "owl"]'
    assert labels.hint({"height": 8}) == (
        """; the file has them as classes: --task-config '{"height": 8, "labels": ["cat", "dog", "owl"]}'"""
    )
    many = HeldLabels("classes", tuple(f"class {number}" for number in range(1000)))
    assert many.note().endswith('"class 4"] and 995 more')
    assert many.hint({}) == "; the file has 1,000 as classes: give them in --task-config FILE.json"
