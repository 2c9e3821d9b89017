"""Prefixes of wrappers."""

from __future__ import annotations

from statehouse.models.libraries.index.prefixes import MOST_DEEP, without_prefixes


def prefixes(*names):
    return [prefix for prefix, _ in without_prefixes(dict.fromkeys(names))]


def test_each_common_prefix_is_tried():
    assert prefixes("a.b.x", "a.b.y") == ["", "a.", "a.b."]


def test_a_known_prefix_of_most_is_tried_and_stays_on_no_other_name():
    *_, (prefix, left) = without_prefixes({"backbone.x": 1, "backbone.y": 2, "head": 3})
    assert (prefix, left) == ("backbone.", {"x": 1, "y": 2, "head": 3})


def test_an_unknown_prefix_of_most_is_a_name():
    assert prefixes("layer.x", "layer.y", "head") == [""]


def test_prefixes_are_tried_to_a_depth():
    assert len(prefixes("a.b.c.d.e.f.g")) == MOST_DEEP + 1


def test_no_names():
    assert prefixes() == [""]
