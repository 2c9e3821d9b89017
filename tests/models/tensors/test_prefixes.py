from __future__ import annotations

from statehouse.models.tensors.prefixes import strip_prefixes


def test_wrapper_prefixes_are_stripped_at_any_depth():
    named = {"module._orig_mod.a.weight": 1, "b._orig_mod.c.module.weight": 2, "d": 3}
    assert strip_prefixes(named) == {"a.weight": 1, "b.c.weight": 2, "d": 3}


def test_a_tensor_that_is_itself_called_module_keeps_its_name():
    assert strip_prefixes({"a.module": 1}) == {"a.module": 1}


def test_names_that_would_become_equal_stay():
    assert strip_prefixes({"module.a": 1, "a": 2, "module.b": 3}) == {"module.a": 1, "a": 2, "b": 3}
