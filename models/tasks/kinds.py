"""Kinds of named inputs and outputs: what each has to say, and the registry that people add their own to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from pydantic import JsonValue

from statehouse.models.errors import KindRegistrationError
from statehouse.models.tasks.config import PlainConfig

if TYPE_CHECKING:  # the supervisor knows the tasks, and must not wait for torch
    import numpy as np
    import torch
    from numpy.typing import NDArray

BUILT_IN_INPUTS = ("tensor", "image", "features", "text")
BUILT_IN_OUTPUTS = ("tensor", "labels", "value", "embedding", "image")

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"
"""What one input gives the module: arrays of one row by argument of `forward`; "" is the argument called like it."""


class InputKind(ABC):
    """Reads one named input of a request, and says what it takes.

    A subclass takes the fields of its config as arguments of `__init__`, annotated, as an architecture does. `decode`
    and `example` are all that it must have.
    """

    media_types: ClassVar[tuple[str, ...]] = ()
    """Of bodies and parts that are this input's own bytes: `audio/wav`."""

    @abstractmethod
    def decode(self, value: Any) -> NDArray[Any] | Arrays:  # noqa: ANN401 - whatever a client sent
        """Return the arrays of one row: of `value`, JSON as it was sent, or bytes that came as a part or a body.

        Raise ValueError with what is wrong and what was expected: the client is told so.
        """

    @abstractmethod
    def example(self, random: np.random.Generator) -> Any:  # noqa: ANN401 - JSON
        """Return a JSON value that `decode` takes; different ones as `random` draws."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a value; any JSON unless this says otherwise."""
        return {}

    def tensor(self) -> tuple[str, list[int]]:
        """Return datatype and shape of a row as a tensor of the Open Inference Protocol; -1 is a free dimension.

        Of `BYTES` without a shape `decode` gets the element's bytes, which JSON has as base64.
        """
        return "BYTES", []

    def prepare(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return what the module gets of a batch of rows, which is on its device: scaled, standardised."""
        return batch


class OutputKind(ABC):
    """Makes an answer of one named output. `encode` is all that a subclass must have."""

    @abstractmethod
    def encode(self, values: NDArray[Any]) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON value that answers a row; `values` is the module's output for it."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of an answer; any JSON unless this says otherwise."""
        return {}


class InputConfig(PlainConfig):
    """What the configs of all input kinds share.

    An input with `default`, a JSON value, may be left out of a request.
    """

    kind: str
    default: JsonValue = None

    @property
    def is_optional(self) -> bool:
        """Whether a request may leave the input out."""
        return self.default is not None


class OutputConfig(PlainConfig):
    """What the configs of all output kinds share.

    `source` says where in what the module returns the output is: a key, an attribute or a place, one after another with
    dots (`logits`, `heads.risk`, `0`). Without it that is the output's own name, or the whole of what is returned where
    that is one tensor and this the only output.
    """

    kind: str
    source: str | None = None


InputT = TypeVar("InputT", bound=type[InputKind])
OutputT = TypeVar("OutputT", bound=type[OutputKind])
_INPUTS: dict[str, tuple[type[InputConfig], type[InputKind]]] = {}
_OUTPUTS: dict[str, tuple[type[OutputConfig], type[OutputKind]]] = {}


def register_input_kind(name: str) -> Callable[[InputT], InputT]:
    """Register the decorated InputKind under `name`, as `register_architecture` does a module.

    Raises:
        KindRegistrationError: the name is taken, or no config can be derived from `__init__`.
    """

    def register(kind: InputT) -> InputT:
        _refuse_name(name, kind, _INPUTS.get(name), BUILT_IN_INPUTS)
        # Late: it imports torch, which whoever registers a kind has imported.
        from statehouse.models.derived_config import derive_kind_config

        _INPUTS[name] = (derive_kind_config(name, kind, InputConfig), kind)
        return kind

    return register


def register_output_kind(name: str) -> Callable[[OutputT], OutputT]:
    """Register the decorated OutputKind under `name`; raises as `register_input_kind` does."""

    def register(kind: OutputT) -> OutputT:
        _refuse_name(name, kind, _OUTPUTS.get(name), BUILT_IN_OUTPUTS)
        # Late: it imports torch, which whoever registers a kind has imported.
        from statehouse.models.derived_config import derive_kind_config

        _OUTPUTS[name] = (derive_kind_config(name, kind, OutputConfig), kind)
        return kind

    return register


def registered_inputs() -> dict[str, tuple[type[InputConfig], type[InputKind]]]:
    """Return people's own input kinds by name: config and class."""
    return dict(_INPUTS)


def registered_outputs() -> dict[str, tuple[type[OutputConfig], type[OutputKind]]]:
    """Return people's own output kinds by name: config and class."""
    return dict(_OUTPUTS)


def forget_kinds(which: Callable[[type], bool]) -> None:
    """Take back the registration of those whose class is one of `which`."""
    for name in [name for name, (_, kind) in _INPUTS.items() if which(kind)]:
        del _INPUTS[name]
    for name in [name for name, (_, kind) in _OUTPUTS.items() if which(kind)]:
        del _OUTPUTS[name]


def own_fields(config: InputConfig | OutputConfig) -> dict[str, Any]:
    """Return what a registered kind's `__init__` is called with."""
    shared = {*InputConfig.model_fields, *OutputConfig.model_fields}
    return {name: getattr(config, name) for name in type(config).model_fields if name not in shared}


def _refuse_name(name: str, kind: type, known: tuple[Any, type] | None, built_in: tuple[str, ...]) -> None:
    if name in built_in:
        raise KindRegistrationError(
            f"kind {name!r} is built in; register {kind.__qualname__} under another name"
        )
    if known is None:
        return
    first, second = (f"{cls.__module__}.{cls.__qualname__}" for cls in (known[1], kind))
    if first != second:  # the same class again is a module that was imported again
        raise KindRegistrationError(f"kind {name!r} is {first} already; register {second} under another name")
