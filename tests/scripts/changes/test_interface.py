"""What clients would meet: told field by field, and optional additions are none of it."""

from __future__ import annotations

from typing import Any

import pytest

from statehouse.scripts.changes.interface import interface_differences, refuse_new_interface
from statehouse.scripts.errors import InterfaceError
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import TensorMetadata

TENSOR = TensorMetadata(name="input", datatype="FP32", shape=[-1, 784])
AGE = {"type": "number", "minimum": 0, "maximum": 120}
ROW = {"type": "object", "properties": {"age": AGE}, "required": ["age"], "additionalProperties": False}
ANSWER = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}


@pytest.fixture
def manifest(make_version):
    published = read_folder(make_version("digits", "1.0")).manifest

    def make(**changed: Any):
        tensors = {"inputs": [TENSOR], "outputs": [TENSOR]}
        fields = {"input_schema": ROW, "output_schema": ANSWER, "labels": ["a", "b"]} | tensors | changed
        return published.model_copy(update=fields)

    return make


def differences(old, new) -> list[str]:
    return list(interface_differences(old, new))


def row(**properties: Any) -> dict[str, Any]:
    return ROW | {"properties": {"age": AGE} | properties}


def test_the_same_interface_is_no_difference(manifest):
    assert differences(manifest(), manifest()) == []


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (row(age=AGE | {"maximum": 99}), "request.age.maximum: 120 → 99"),
        (row(age=AGE | {"minimum": 18}), "request.age.minimum: 0 → 18"),
        (row(age={"type": "string"}), "request.age.type: number → string"),
        (ROW | {"properties": {"size": AGE}, "required": ["size"]}, "request.age: is gone"),
        (row(sex={}) | {"required": ["age", "sex"]}, "request.sex: is new, and is asked for"),
    ],
)
def test_what_a_client_must_send_otherwise_is_told(manifest, schema, told):
    assert told in differences(manifest(), manifest(input_schema=schema))


@pytest.mark.parametrize(
    "schema",
    [
        row(sex={"enum": ["f", "m"]}),
        row(age=AGE | {"maximum": 130}),
        row(age=AGE | {"minimum": -1}),
        row(age=AGE | {"description": "in years"}),
    ],
)
def test_what_takes_all_that_was_taken_before_is_no_difference(manifest, schema):
    assert differences(manifest(), manifest(input_schema=schema)) == []


def test_an_optional_field_that_is_asked_for_now_is_told(manifest):
    old = ROW | {"required": []}
    assert differences(manifest(input_schema=old), manifest()) == [
        "request.age: was optional, and is asked for"
    ]


def test_more_in_an_answer_is_no_difference_and_less_is(manifest):
    more = ANSWER | {"properties": ANSWER["properties"] | {"score": {"type": "number"}}}
    assert differences(manifest(), manifest(output_schema=more)) == []
    assert differences(manifest(output_schema=more), manifest()) == ["answer.score: is gone"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["b", "a"], "labels: the same in another order: 'a', 'b' → 'b', 'a'"),
        (["a", "c"], "labels: gone: 'b', new: 'c'"),
        (["a", "b", "c"], "labels: new: 'c'"),
        (None, "labels: 'a', 'b' → none"),
    ],
)
def test_labels_and_their_order(manifest, labels, told):
    assert differences(manifest(), manifest(labels=labels)) == [told]


def test_tensors_by_name_datatype_and_shape(manifest):
    old = manifest()
    [tensor] = old.inputs
    other = tensor.model_copy(update={"shape": [-1, 4]})
    assert differences(old, manifest(inputs=[other])) == [
        f"input {tensor.name!r}: shape {tensor.shape} → [-1, 4]"
    ]
    renamed = tensor.model_copy(update={"name": "x"})
    assert differences(old, manifest(inputs=[renamed])) == [
        f"input {tensor.name!r}: is gone",
        "input 'x': is new, and is asked for",
    ]
    more = tensor.model_copy(update={"name": "more"})
    assert differences(old, manifest(outputs=[*old.outputs, more])) == []
    assert differences(manifest(outputs=[*old.outputs, more]), old) == ["output 'more': is gone"]


def test_the_refusal_says_what_to_do(manifest):
    with pytest.raises(InterfaceError) as caught:
        refuse_new_interface(
            *(manifest(), manifest(labels=["b", "a"])),
            before="1.0",
            after="net 1.1",
            command="statehouse swap net 1.1",
        )
    text = str(caught.value)
    assert text.startswith("net 1.1 has another interface than 1.0, which serves; nothing was changed.")
    assert text.endswith("statehouse swap net 1.1 --allow-new-interface")


TEXT = {"type": "string", "minLength": 1}
NAMED = {"type": "object", "properties": {"text": TEXT}, "required": ["text"]}
PROMPTED = NAMED | {"properties": {"text": TEXT, "prompt": {"enum": ["query", "passage"]}}}
ONE_PROMPT = NAMED | {"properties": {"text": TEXT, "prompt": {"enum": ["query"]}}}


def test_another_form_of_the_same_row_is_an_addition(manifest):
    plain = manifest(input_schema=TEXT)
    some, more = (manifest(input_schema={"anyOf": [form, TEXT]}) for form in (ONE_PROMPT, PROMPTED))
    assert differences(plain, some) == differences(some, more) == []
    assert "request.type: object → string" in differences(some, plain)
    assert differences(more, some) == ["request.prompt.enum: ['query', 'passage'] → ['query']"]
