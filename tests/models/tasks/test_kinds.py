"""Kinds of one's own: registered by a line, with a strict config out of `__init__`, taken back with their module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from statehouse.models.errors import KindRegistrationError, TaskConfigError
from statehouse.models.tasks.kinds import (
    BUILT_IN_INPUTS,
    BUILT_IN_OUTPUTS,
    InputKind,
    OutputKind,
    forget_kinds,
    own_fields,
    register_input_kind,
    register_output_kind,
    registered_inputs,
    registered_outputs,
)
from statehouse.models.tasks.signature import INPUTS, OUTPUTS, SignatureTask

Y = {"y": {"kind": "tensor"}}


class Reading(InputKind):
    def __init__(self, rate: int, gain: float = 1.0) -> None:
        self.rate, self.gain = rate, gain

    def decode(self, value: Any) -> Any:
        return np.array([value])

    def example(self, random: np.random.Generator) -> Any:
        return 1


class Doubled(OutputKind):
    def encode(self, values: Any) -> Any:
        return float(values) * 2


def test_its_config_is_what_its_init_takes() -> None:
    register_input_kind("kinds_test_reading")(Reading)
    config, kind = registered_inputs()["kinds_test_reading"]
    assert kind is Reading
    task = SignatureTask(inputs={"x": {"kind": "kinds_test_reading", "rate": 8000}}, outputs=Y)
    typed = task.input_configs["x"]
    assert isinstance(typed, config)
    assert own_fields(typed) == {"rate": 8000, "gain": 1.0}
    with pytest.raises(TaskConfigError, match=r"inputs\.x\.rate.*inputs\.x\.speed"):
        SignatureTask(inputs={"x": {"kind": "kinds_test_reading", "rate": "8", "speed": 1}}, outputs=Y)


def test_an_output_kind_is_registered_alike_and_both_are_forgotten_with_their_module() -> None:
    register_output_kind("kinds_test_doubled")(Doubled)
    register_input_kind("kinds_test_reading")(Reading)
    assert registered_outputs()["kinds_test_doubled"][1] is Doubled
    forget_kinds(lambda kind: kind.__module__ == __name__)
    assert "kinds_test_doubled" not in registered_outputs()
    assert "kinds_test_reading" not in registered_inputs()


def test_the_same_class_again_is_a_module_that_was_imported_again() -> None:
    for _ in range(2):
        register_input_kind("kinds_test_again")(Reading)


def test_names_that_are_taken_are_refused() -> None:
    register_input_kind("kinds_test_taken")(Reading)

    class Other(Reading):
        pass

    with pytest.raises(KindRegistrationError, match="under another name"):
        register_input_kind("kinds_test_taken")(Other)
    with pytest.raises(KindRegistrationError, match="'tensor' is built in"):
        register_input_kind("tensor")(Other)


def test_an_argument_without_annotation_is_refused() -> None:
    class Bare(Reading):
        def __init__(self, rate) -> None:  # type: ignore[no-untyped-def]
            super().__init__(rate)

    with pytest.raises(KindRegistrationError, match="rate: has no annotation"):
        register_input_kind("kinds_test_bare")(Bare)


def test_no_built_in_name_is_free() -> None:
    assert set(BUILT_IN_INPUTS) == set(INPUTS)
    assert set(BUILT_IN_OUTPUTS) == set(OUTPUTS)


def test_what_no_field_can_be_is_refused() -> None:
    class Loose(Reading):
        def __init__(self, *rates: int) -> None:
            super().__init__(rates[0])

    with pytest.raises(KindRegistrationError, match="name every parameter"):
        register_input_kind("kinds_test_loose")(Loose)
