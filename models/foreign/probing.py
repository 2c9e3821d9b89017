"""Sizes in a config by the shapes that they lead to: modules are built with two values, without memory for tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from statehouse.models.architecture import Architecture
from statehouse.models.building import build_without_values
from statehouse.models.errors import ArchitectureError
from statehouse.models.foreign.adaptation import named_as
from statehouse.models.tensors.state_dict import expected_tensors
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.models.tensors.ties import tied_names

Shapes = Mapping[str, tuple[int, ...]]

NUMBERS = (8, 16)  # two values of a number that most modules can be built with
SIDES = (224, 448)  # of images: multiples of the patches that there are
IMAGE_FIELDS = frozenset({"img_size", "image_size"})
MAX_NUMBER = 10_000_000


class Probe:
    """The shapes of a file's tensors, and of modules of one architecture that are built to be compared with them."""

    def __init__(self, architecture: Architecture, tensors: Mapping[str, TensorInfo]) -> None:
        self.architecture = architecture
        self._tensors = tensors
        self._named: dict[str, TensorInfo] | None = None

    @property
    def shapes(self) -> Shapes:
        """Return the shapes of the file, by the architecture's names as far as a module was built."""
        return {name: tuple(info.shape) for name, info in (self._named or self._tensors).items()}

    def has(self, field: str) -> bool:
        """Whether the architecture's config takes this field."""
        config_class = self.architecture.config_class
        return field in config_class.model_fields

    def built(self, config: Mapping[str, Any]) -> Shapes | None:
        """Return the shapes of a module with this config, None where it cannot be built."""
        found = self._built(config)
        return found[0] if found else None

    def _built(self, config: Mapping[str, Any]) -> tuple[Shapes, set[str]] | None:
        """Return the shapes, and the names that a file must have: all but buffers and tied ones."""
        try:
            module = build_without_values(self.architecture.name, config)
            expected = expected_tensors(module)
        except ArchitectureError:
            return None
        if self._named is None:
            self._named, _ = named_as(self.architecture.name, module, self._tensors)
        parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
        tied = {name for names in tied_names(module) for name in names}
        return {name: tuple(info.shape) for name, info in expected.items()}, parameters - tied

    def fits(self, config: Mapping[str, Any]) -> bool:
        """Whether a module with this config has the shapes of the file, and finds its parameters in it.

        What a library builds need not find all: its head may be another, which the report of names then says.
        """
        found = self._built(config)
        if found is None:
            return False
        expected, needed = found
        same = all(expected.get(name, shape) == shape for name, shape in self.shapes.items())
        is_library = self.architecture.library is not None
        return same and (is_library or all(name in self.shapes for name in needed if name in expected))


def solve(probe: Probe, config: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return those of `fields` for which the file's shapes need another value than `config` gives, and the value."""
    config_class = probe.architecture.config_class
    needed = {name for name, field in config_class.model_fields.items() if field.is_required()}
    usual = {field: _values(field)[0] for field in fields if field in needed}
    now = probe.built(config)
    solved: dict[str, Any] = {}
    for field in fields:
        low, high = (probe.built({**usual, **config, field: value}) for value in _values(field))
        if low is None or high is None:
            continue
        dims = list(_moved(low, high, probe.shapes))
        if now is not None and all(now[name][axis] == given for name, axis, _, _, given in dims):
            continue
        value = _voted(field, dims)
        if value is not None and config.get(field) != value:
            solved[field] = value
    return solved


def _values(field: str) -> tuple[int, int]:
    return SIDES if field in IMAGE_FIELDS else NUMBERS


def _moved(low: Shapes, high: Shapes, given: Shapes) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield each axis that the field changes: its tensor, number, length with both values and in the file."""
    for name, shape in low.items():
        other, own = high.get(name), given.get(name)
        if other is None or own is None or not len(shape) == len(other) == len(own):
            continue
        for axis, (first, second, length) in enumerate(zip(shape, other, own, strict=True)):
            if first != second:
                yield name, axis, first, second, length


def _voted(field: str, dims: Sequence[tuple[str, int, int, int, int]]) -> int | None:
    """Return the value that most axes need, None where none can be said."""
    read = _side if field in IMAGE_FIELDS else _number
    votes = Counter(value for _, _, *lengths in dims if (value := read(*lengths)) is not None)
    return votes.most_common(1)[0][0] if votes else None


def _number(first: int, second: int, given: int) -> int | None:
    """Return the number whose axis is `given`, where the axis grows evenly with it."""
    low, high = NUMBERS
    value, rest = divmod((given - first) * (high - low), second - first)
    return low + value if not rest and 0 < low + value <= MAX_NUMBER else None


def _side(first: int, second: int, given: int) -> int | None:
    """Return the side of a square image with `given` positions: its patches, and those that stand for no patch."""
    low, _ = SIDES
    patches, rest = divmod(second - first, 3)  # twice the side has four times the patches
    others = first - patches
    across, given_across = math.isqrt(max(patches, 0)), math.isqrt(max(given - others, 0))
    if rest or across < 1 or given_across < 1 or low % across:
        return None
    exact = across**2 == patches and given_across**2 == given - others
    return given_across * (low // across) if exact else None
