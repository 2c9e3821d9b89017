from __future__ import annotations

import math
from collections import OrderedDict

import pytest

from statehouse.models.plain import MAX_DEPTH, canonical_json, plain_problems, walk


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == canonical_json({"a": (1.5, "é"), "b": 1})
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'


def test_plain_data_has_no_problems():
    assert plain_problems({"a": [None, True, 1, 1.5, "x", (1, 2)], "b": {}}) == []


def test_every_problem_is_said_with_its_place():
    assert plain_problems({"a": [1, b"x"], "b": {1: 2}, "c": math.nan}, "metadata") == [
        "metadata.a[1]: a builtins.bytes is not plain data; "
        "expected None, bool, int, float, str, list or dict",
        "metadata.b: key 1 is not a str",
        "metadata.c: nan is not a finite number",
    ]


def test_what_json_cannot_say_is_let_through_where_allowed():
    assert plain_problems({1: math.inf, "z": 1j}, also=(complex,), json_only=False) == []
    assert plain_problems({"\udcff": "\udcff"}, json_only=False) == []


def test_half_a_character_is_no_text():
    assert plain_problems({"labels": ["é", "\ud800"], "\udcff": 1}, "task_config") == [
        "task_config: key '\\udcff' is no Unicode text: it has half a character, a lone surrogate",
        "task_config.labels[1]: '\\ud800' is no Unicode text: it has half a character, a lone surrogate",
    ]


def test_data_that_unfolds_without_end_is_refused_quickly():
    bomb: list[object] = []
    for _ in range(MAX_DEPTH - 2):
        bomb = [bomb] * 10
    assert "nested beyond 1,000,000 values" in plain_problems(bomb)[0]
    circle: list[object] = []
    circle.append(circle)
    assert f"nested beyond {MAX_DEPTH} levels deep" in plain_problems(circle)[0]


def test_walking_trusts_no_method_that_a_pickle_could_shadow():
    hostile = OrderedDict(a=1)
    hostile.items = hostile.keys = hostile.values = None
    assert [item for _, _, item in walk(hostile, "")][1:] == [1]


@pytest.mark.parametrize("value", [{"a": math.inf}, {"a": math.nan}])
def test_canonical_json_refuses_what_is_not_json(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)
