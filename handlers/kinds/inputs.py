"""A named input by its config: of the built-in kinds, and of those that people register."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.errors import InvalidInputError, ModuleMismatchError, RequestError
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.contract import Json, NamedInput, made
from statehouse.handlers.kinds.features_input import NamedFeatures
from statehouse.handlers.kinds.image_input import NamedImage
from statehouse.handlers.kinds.tensor_input import NamedTensor
from statehouse.handlers.kinds.text_input import NamedText
from statehouse.handlers.request import JSON_TYPE, Body
from statehouse.models.tasks.kinds import Arrays, InputConfig, InputKind, registered_inputs

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
        self.kind = made(f"input {name!r}", kind, config)
        self.media_types = tuple(self.kind.media_types)
        self._arguments = tuple(self._decoded(self.kind.example(np.random.default_rng(0))))

    @property
    def arguments(self) -> tuple[str, ...]:
        """As the kind's own example gives them."""
        return self._arguments

    def from_json(self, value: object, budget: PixelBudget) -> Arrays:
        """What the kind makes of it."""
        return self._decoded(value)

    def from_bytes(self, body: Body, content_type: str, budget: PixelBudget) -> Arrays:
        """JSON as such; anything else as bytes."""
        return self._decoded(parse_json(body) if content_type == JSON_TYPE else bytes(body))

    def from_elements(self, elements: Mapping[str, Any], budget: PixelBudget) -> Arrays:
        """Bytes, which JSON has as base64; numbers as an array."""
        element = elements[""]
        return self._decoded(_decoded_base64(element) if isinstance(element, str) else element)

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
            what = f"{len(value):,} bytes are" if isinstance(value, bytes) else f"{shorten(value)} is"
            raise InvalidInputError(f"{what} not read by {name}: {told}") from error
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


def _decoded_base64(element: str) -> bytes:
    try:
        return base64.b64decode(element, validate=True)
    except ValueError as error:
        raise InvalidInputError(
            f"{shorten(element)} is no standard base64, as JSON has bytes: {error}."
        ) from error


def named_input(name: str, config: InputConfig) -> NamedInput:
    """The input `name` at work."""
    if config.kind in _BUILT_IN:
        return _BUILT_IN[config.kind](name, config)
    return RegisteredInput(name, config, registered_inputs()[config.kind][1])
