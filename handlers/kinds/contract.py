"""What every kind of named input says at work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from statehouse.handlers.bodies.json_body import decode_text, parse_json
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.request import JSON_TYPE, Body
from statehouse.models.tasks.kinds import Arrays, InputConfig, OutputConfig, own_fields

Json = dict[str, Any]
KindT = TypeVar("KindT")


@dataclass(frozen=True)
class Filling:
    """How one argument's rows of unequal sizes are made equal; `axes` are those of a row."""

    axes: tuple[int, ...]
    value: float = 0.0
    left: bool = False


class NamedInput:
    """One input of a signature. Arrays are by argument of the module's `forward`."""

    fillings: Mapping[str, Filling] = {}
    """Of the arguments whose rows may differ in size and yet go together."""
    media_types: tuple[str, ...] = ()

    def __init__(self, name: str, config: InputConfig) -> None:
        self.name, self.config = name, config

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of `forward` that it gives."""
        return (self.name,)

    # What reads raises RequestError. `budget` is what all images of the request may have of pixels.

    def from_json(self, value: object, budget: PixelBudget) -> Arrays:
        """Arrays of a JSON value."""
        raise NotImplementedError

    def from_bytes(self, body: Body, content_type: str, budget: PixelBudget) -> Arrays:
        """Arrays of a part or a body of its own."""
        if content_type == JSON_TYPE or not content_type:
            return self.from_json(parse_json(body), budget)
        return self.from_json(decode_text(body), budget)

    def from_elements(self, elements: Mapping[str, Any], budget: PixelBudget) -> Arrays:
        """Arrays of one row of its tensors, by what follows the input's name in theirs."""
        [element] = elements.values()
        return self.from_json(element, budget)

    def tensors(self) -> dict[str, tuple[str, list[int]]]:
        """Datatype and row's shape of each of its tensors, by what follows the input's name in theirs."""
        return {"": ("BYTES", [])}

    def prepare(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the module gets of a batch that is on its device."""
        return batch

    def schema(self) -> Json:
        """JSON Schema of a value."""
        return {}

    def example(self, seed: int, sizes: dict[str, int]) -> Any:  # noqa: ANN401 - JSON
        """A value that is accepted; `sizes` are of the free dimensions by their names."""
        raise NotImplementedError

    def dimensions(self, arrays: Arrays) -> dict[str, int]:
        """The sizes of its named free dimensions in a row."""
        return {}


def made(what: str, kind: type[KindT], config: InputConfig | OutputConfig) -> KindT:
    """Make somebody's own kind for `what`, "input 'x'"; raises ModuleMismatchError with whatever that raises."""
    try:
        return kind(**own_fields(config))
    except Exception as error:
        raise ModuleMismatchError(
            f"{what}: {kind.__qualname__} raised {type(error).__name__}: {error}"
        ) from error
