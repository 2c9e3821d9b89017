"""Rules that make the likely renamings, and no other."""

from __future__ import annotations

import re

import pytest

from statehouse.models.foreign.renaming import rename
from statehouse.models.tensors.rename_rules import rules_of


@pytest.mark.parametrize(
    ("renamings", "others", "count"),
    [
        ({"net.a.weight": "a.weight", "net.a.bias": "a.bias", "net.b.weight": "b.weight"}, (), 1),
        ({"0.weight": "layers.0.weight", "0.bias": "layers.0.bias"}, ("10.weight",), 2),
        ({"enc.w": "encoder.w", "enc.b": "encoder.b"}, ("enc.other",), 2),
        ({"fc9.bias": "fc2.bias"}, ("fc9.weight",), 1),
        ({"w": "layer.w", "b": "layer.b"}, (), 1),
        ({"a+b.w": r"a\b.w"}, (), 1),
    ],
)
def test_they_rename_what_is_meant_and_leave_the_rest(
    renamings: dict[str, str], others: tuple[str, ...], count: int
) -> None:
    rules = rules_of(renamings, [*renamings, *others])
    renaming, problems = rename([*renamings, *others], rules)
    assert problems == []
    assert renaming.names == renamings
    assert len(rules) == count


def test_nothing_is_renamed_by_no_rules() -> None:
    assert rules_of({}, ["a"]) == ()
    assert re.fullmatch(rules_of({"a.b": "c.b"}, ["a.b"])[0].partition("=")[0], "a.b")
