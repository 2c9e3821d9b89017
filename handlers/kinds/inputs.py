"""A named input by its config: of the built-in kinds, and of those that people register."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.errors import InvalidInputError, ModuleMismatchError, RequestError
from statehouse.handlers.kinds.contract import Json, NamedInput
from statehouse.handlers.kinds.features_input import NamedFeatures
from statehouse.handlers.kinds.image_input import NamedImage
from statehouse.handlers.kinds.tensor_input import NamedTensor
from statehouse.handlers.kinds.text_input import NamedText
from statehouse.handlers.request import JSON_TYPE, Body
from statehouse.models.tasks.kinds import Arrays, InputConfig, InputKind, own_fields, registered_inputs

_BUILT_IN: dict[str, type[NamedInput]] = {
    "features": NamedFeatures,
    "image": NamedImage,
    "tensor": NamedTensor,
    "text": NamedText,
}


class RegisteredInput(NamedInput):
    """An input of a kind that somebody registered; whatever that raises is told to the client."""

    def __init__(self, name: str, config: InputConfig, kind: type[InputKind]) -> None:
        super().__init__(name, config)
        try:
            self.kind = kind(**own_fields(config))
        except Exception as error:
            raise ModuleMismatchError(
                f"input {name!r}: {kind.__qualname__} raised {type(error).__name__}: {error}"
            ) from error
        self.media_types = tuple(self.kind.media_types)
        self._arguments = tuple(self._decoded(self.kind.example(np.random.default_rng(0))))

    @property
    def arguments(self) -> tuple[str, ...]:
        """As the kind's own example gives them."""
        return self._arguments

    def from_json(self, value: object) -> Arrays:
        """What the kind makes of it."""
        return self._decoded(value)

    def from_bytes(self, body: Body, content_type: str) -> Arrays:
        """JSON as such; anything else as bytes."""
        return self._decoded(parse_json(body) if content_type == JSON_TYPE else bytes(body))

    def tensors(self) -> dict[str, tuple[str, list[int]]]:
        """One, as the kind says."""
        return {"": self.kind.tensor()}

    def prepare(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """As the kind does."""
        return self.kind.prepare(batch)

    def schema(self) -> Json:
        """As the kind says."""
        return self.kind.schema()

    def example(self, seed: int, sizes: dict[str, int]) -> Any:  # noqa: ANN401
        """As the kind makes it."""
        return self.kind.example(np.random.default_rng(seed))

    def _decoded(self, value: object) -> dict[str, NDArray[Any]]:
        name = type(self.kind).__qualname__
        try:
            given = self.kind.decode(value)
        except RequestError:
            raise
        except Exception as error:
            told = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise InvalidInputError(f"{shorten(value)} is not read by {name}: {told}") from error
        arrays = dict(given) if isinstance(given, Mapping) else {"": given}
        wrong = [
            each
            for each in arrays.values()
            if not isinstance(each, np.ndarray) or each.dtype.kind not in "biuf"
        ]
        if wrong:
            raise ModuleMismatchError(
                f"{name}.decode returned {shorten(wrong[0])}; expected an array of numbers, or a dict of such"
            )
        return {argument or self.name: array for argument, array in arrays.items()}


def named_input(name: str, config: InputConfig) -> NamedInput:
    """The input `name` at work."""
    if config.kind in _BUILT_IN:
        return _BUILT_IN[config.kind](name, config)
    return RegisteredInput(name, config, registered_inputs()[config.kind][1])
