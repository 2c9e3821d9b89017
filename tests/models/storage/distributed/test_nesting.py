"""Flat names and paths to dicts and lists."""

from __future__ import annotations

import pytest

from statehouse.models.storage.distributed.nesting import Path, nest


def test_values_are_where_their_paths_say() -> None:
    values = {"model.a.b": 1, "optim.lr": 2, "extra.t.0": 3, "extra.t.1": 4, "epoch": 5, "alone.x": 6}
    paths: dict[str, Path] = {
        "model.a.b": ("model", "a.b"),
        "optim.lr": ("optim", "lr"),
        "extra.t.0": ("extra", "t", 0),
        "extra.t.1": ("extra", "t", 1),
        "epoch": ("epoch",),
    }
    held, problems = nest(values, paths)
    assert problems == []
    assert held == {
        "model": {"a.b": 1},
        "optim": {"lr": 2},
        "extra": {"t": [3, 4]},
        "epoch": 5,
        "alone.x": 6,
    }


def test_a_list_is_never_longer_than_what_is_there() -> None:
    held, problems = nest({"a": 1, "b": 2}, {"a": ("list", 0), "b": ("list", 10**12)})
    assert (held, problems) == ({"list": {0: 1, 10**12: 2}}, [])


@pytest.mark.parametrize("first", [{}, {"x": 0}, 3, []])
def test_no_path_goes_into_a_value(first: object) -> None:
    held, problems = nest({"a": first, "b": 1}, {"b": ("a", "x")})
    assert held == {"a": first}
    assert problems == ["'b': its path goes through, or ends at, another value's"]


def test_two_values_are_never_at_one_path() -> None:
    _, problems = nest({"a": 1, "b": 2}, {"b": ("a",)})
    assert len(problems) == 1
    _, problems = nest({"a.b": 1, "c": 2}, {"a.b": ("a", "b"), "c": ("a",)})
    assert len(problems) == 1
