"""A name that is nearly right."""

from __future__ import annotations

from statehouse.models.libraries.close_names import close_names

KNOWN = ["resnet18", "resnet34", "resnet50", "vgg11", "alexnet"]


def test_the_nearest_three_are_named():
    assert close_names("resnet81", KNOWN).startswith("; did you mean 'resnet18'")
    assert close_names("resnet", KNOWN).count("'") == 6
    assert close_names("alexnett", KNOWN) == "; did you mean 'alexnet'?"


def test_where_nothing_is_near_the_first_ones_say_what_names_are_like():
    assert close_names("xyz", KNOWN) == "; it has 5, such as 'resnet18', 'resnet34', 'resnet50'"
    assert close_names("xyz", []) == "; it has none"
