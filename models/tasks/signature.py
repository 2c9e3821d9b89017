"""Task `signature`: named inputs by kind, named outputs by kind; each of them data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, PrivateAttr, model_validator

from statehouse.models.plain import suggestion, validate_plain
from statehouse.models.tasks.config import TaskConfig, refuse
from statehouse.models.tasks.input_kinds import FeaturesInput, ImageInput, TensorInput, TextInput
from statehouse.models.tasks.kinds import InputConfig, OutputConfig, registered_inputs, registered_outputs
from statehouse.models.tasks.output_kinds import (
    EmbeddingOutput,
    ImageOutput,
    LabelsOutput,
    TensorOutput,
    ValueOutput,
)

INPUTS: dict[str, type[InputConfig]] = {
    "tensor": TensorInput,
    "image": ImageInput,
    "features": FeaturesInput,
    "text": TextInput,
}
OUTPUTS: dict[str, type[OutputConfig]] = {
    "tensor": TensorOutput,
    "labels": LabelsOutput,
    "value": ValueOutput,
    "embedding": EmbeddingOutput,
    "image": ImageOutput,
}
# As arguments of Python are called; a dot parts an input's or output's name from those of its tensors.
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_REGISTER = "or name the module that registers your own under `architectures`"


class SignatureTask(TaskConfig):
    """Named inputs, which are the arguments of the module's `forward`, and named outputs, taken from what it returns.

    Both are by name: `{"kind": …}` with the fields of that kind.
    """

    task: Literal["signature"] = "signature"
    inputs: dict[Name, dict[str, JsonValue]] = Field(min_length=1)
    outputs: dict[Name, dict[str, JsonValue]] = Field(min_length=1)
    _inputs: dict[str, InputConfig] = PrivateAttr(default_factory=dict)
    _outputs: dict[str, OutputConfig] = PrivateAttr(default_factory=dict)

    @property
    def input_configs(self) -> Mapping[str, InputConfig]:
        """The inputs' configs by name, typed."""
        return self._inputs

    @property
    def output_configs(self) -> Mapping[str, OutputConfig]:
        """The outputs' configs by name, typed."""
        return self._outputs

    @model_validator(mode="after")
    def _kinds_are_known_and_fit(self) -> SignatureTask:
        own_inputs = {name: config for name, (config, _) in registered_inputs().items()}
        own_outputs = {name: config for name, (config, _) in registered_outputs().items()}
        inputs, problems = _typed("inputs", self.inputs, INPUTS | own_inputs)
        outputs, more = _typed("outputs", self.outputs, OUTPUTS | own_outputs)
        self._inputs, self._outputs = inputs, outputs
        return refuse(self, problems + more)

    def to_plain(self) -> dict[str, Any]:
        """Return the config as plain data; a kind's fields that are as usual are left out."""
        plain = super().to_plain()
        plain["inputs"] = {name: _plain(config) for name, config in self._inputs.items()}
        plain["outputs"] = {name: _plain(config) for name, config in self._outputs.items()}
        return plain

    def to_facts(self) -> dict[str, Any]:
        """Return what to tell people: without tokenizers, which are too long to be read."""
        plain = self.to_plain()
        for each in plain["inputs"].values():
            if "tokenizer" in each:
                each["tokenizer"] = f"{len(each['tokenizer'].encode()):,} bytes"
        return plain


def _plain(config: InputConfig | OutputConfig) -> dict[str, Any]:
    fields = type(config).model_fields
    usual = [name for name, field in fields.items() if getattr(config, name) == field.get_default()]
    return {"kind": config.kind} | config.model_dump(mode="json", exclude=set(usual))


def _typed(
    where: str, given: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, type[Any]]
) -> tuple[dict[str, Any], list[str]]:
    typed: dict[str, Any] = {}
    problems: list[str] = []
    for name, plain in given.items():
        kind = plain.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            wrong = (
                suggestion(str(kind), kinds) if kind is not None else f"; expected one of {', '.join(kinds)}"
            )
            problems.append(f"{where}.{name}.kind: {kind!r}{wrong}; {_REGISTER}")
            continue
        config, wrongs = validate_plain(kinds[kind], plain, f"{where}.{name}")
        problems += wrongs
        if config is not None:
            typed[name] = config
    return typed, problems
