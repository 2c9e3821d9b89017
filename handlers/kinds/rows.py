"""Requests to the rows of a signature: each input by its kind, everything wrong with a row in one problem."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from statehouse.handlers.bodies.inference_tensors import InputTensor, unexpected_names
from statehouse.handlers.bodies.numbers import type_name
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.errors import InvalidInputError, RequestError, TooLargeError
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.contract import NamedInput
from statehouse.handlers.kinds.grouping import Row
from statehouse.handlers.pipeline.task_contract import MAX_DECODED_BYTES
from statehouse.handlers.request import Part
from statehouse.models.tasks.kinds import Arrays

Read = Callable[[NamedInput], Arrays]
"""Takes from an input's kind the arrays of what was given for it."""


class RowReader:
    """Reads rows by the inputs' kinds; every method raises RequestError. Images of a request share one budget."""

    def __init__(self, inputs: Mapping[str, NamedInput]) -> None:
        self._inputs = inputs
        self.required = [name for name, each in inputs.items() if not each.config.is_optional]
        self._optional = [name for name in inputs if name not in self.required]

    def of_value(self, value: object, budget: PixelBudget) -> Rows:
        """One row from an object, input to JSON value."""
        if not isinstance(value, dict):
            expected = ", ".join(f'"{name}": …' for name in self._inputs)
            raise InvalidInputError(
                f"The row is {type_name(value)}; expected an object by input: {{{expected}}}."
            )
        return self._row({name: _from_json(given, budget) for name, given in value.items()}, budget)

    def of_values(self, values: Sequence[object]) -> Rows:
        """Several rows, which together may take MAX_DECODED_BYTES."""
        budget = PixelBudget()
        return collect_rows(values, _Bounded(lambda value: self.of_value(value, budget)))

    def of_parts(self, parts: Mapping[str, Part]) -> Rows:
        """One row from parts by input."""
        budget = PixelBudget()
        return self._row({name: _from_part(part, budget) for name, part in parts.items()}, budget)

    def of_tensors(self, tensors: Mapping[str, InputTensor], declared: Sequence[dict[str, Any]]) -> Rows:
        """The rows of one tensor per input, of features one per feature; `declared` are all that there may be."""
        count = self._require_tensors(tensors, {each["name"]: each for each in declared})
        budget = PixelBudget()
        given = [
            {
                name: _from_elements(
                    {suffix: tensors[name + suffix].data[row] for suffix in each.tensors()}, budget
                )
                for name, each in self._inputs.items()
                if self._is_given(name, tensors)
            }
            for row in range(count)
        ]
        return collect_rows(given, _Bounded(lambda row: self._row(row, budget)))

    def _is_given(self, name: str, tensors: Mapping[str, InputTensor]) -> bool:
        return any(name + suffix in tensors for suffix in self._inputs[name].tensors())

    def _require_tensors(
        self, tensors: Mapping[str, InputTensor], declared: Mapping[str, dict[str, Any]]
    ) -> int:
        """How many rows they have; raises InvalidInputError that names each which is missing, unknown or different."""
        left_out = [
            name + suffix
            for name in self._optional
            if not self._is_given(name, tensors)
            for suffix in self._inputs[name].tensors()
        ]
        problems = unexpected_names(tensors, list(declared), optional=left_out)
        known = [tensor for name, tensor in tensors.items() if name in declared]
        count = known[0].shape[0] if known and known[0].shape else 0
        problems += [
            f"input {tensor.name!r} is {tensor.datatype} of {list(tensor.shape)}; expected {wanted['datatype']} of "
            f"{[count, *wanted['shape'][1:]]}, as many rows as the first input."
            for tensor, wanted in ((each, declared[each.name]) for each in known)
            if not _fits(tensor, wanted, count)
        ]
        if problems:
            raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
        return count

    def _row(self, given: Mapping[str, Read], budget: PixelBudget) -> Rows:
        """One row of what was given by input; raises InvalidInputError that names everything that is wrong."""
        told = unexpected_names(given, list(self._inputs), optional=self._optional)
        errors = [{"detail": each} for each in told]
        refused: list[RequestError] = []
        arrays: dict[str, Arrays] = {}
        for name, each in self._inputs.items():
            if name not in given and name in self.required:
                continue
            read = given.get(name) or _from_json(each.config.default, budget)
            try:
                arrays[name] = read(each)
            except RequestError as error:
                refused.append(error)
                told.append(f"input {name!r}: {error.detail}")
                errors += [{"detail": f"input {name!r}: {error.detail}"}, *error.errors]
        sizes, unequal = self._sizes(arrays)
        told, errors = told + unequal, errors + [{"detail": each} for each in unequal]
        if told:
            # One input's problem is of its own kind: an image that is too large is 413.
            kind = type(refused[0]) if len(told) == len(refused) == 1 else InvalidInputError
            raise kind(" ".join(told), errors=errors if len(errors) > 1 else ())
        row = np.empty((), dtype=object)
        row[()] = Row({name: array for each in arrays.values() for name, array in each.items()}, sizes)
        return row

    def _sizes(self, arrays: Mapping[str, Arrays]) -> tuple[dict[str, int], list[str]]:
        """The sizes of the named free dimensions, and a problem for each that is not one size in all inputs."""
        found: dict[str, dict[str, int]] = {}
        for name, read in arrays.items():
            for dimension, size in self._inputs[name].dimensions(read).items():
                found.setdefault(dimension, {})[name] = size
        unequal = [
            f"{dimension!r} is {' and '.join(f'{size} in {name!r}' for name, size in sizes.items())}; "
            "expected one size."
            for dimension, sizes in found.items()
            if len(set(sizes.values())) > 1
        ]
        return {dimension: next(iter(sizes.values())) for dimension, sizes in found.items()}, unequal


class _Bounded:
    """Reads rows until they take more than MAX_DECODED_BYTES together."""

    def __init__(self, read: Callable[[Any], Rows]) -> None:
        self._read, self._bytes = read, 0

    def __call__(self, value: Any) -> Rows:  # noqa: ANN401 - as `read` takes it
        row = self._read(value)
        self._bytes += row[()].nbytes
        if self._bytes > MAX_DECODED_BYTES:
            raise TooLargeError(
                f"The rows take more than {MAX_DECODED_BYTES:,} bytes in memory; send fewer in a request."
            )
        return row


def _from_json(value: object, budget: PixelBudget) -> Read:
    return lambda each: each.from_json(value, budget)


def _from_part(part: Part, budget: PixelBudget) -> Read:
    return lambda each: each.from_bytes(part.body, part.content_type, budget)


def _from_elements(elements: Mapping[str, Any], budget: PixelBudget) -> Read:
    return lambda each: each.from_elements(elements, budget)


def _fits(tensor: InputTensor, wanted: Mapping[str, Any], count: int) -> bool:
    """Whether a tensor is of `count` rows as they are wanted; of BYTES also where each row is a list of one."""
    is_bytes = wanted["datatype"] == "BYTES"
    shape = () if is_bytes and tensor.shape == (count, 1) else tensor.shape[1:]
    ranks_agree = len(shape) == len(wanted["shape"]) - 1
    return ranks_agree and tensor.shape[:1] == (count,) and (tensor.datatype == "BYTES") == is_bytes
