"""Task `signature`: named inputs of several kinds in, named outputs out."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.inference_tensors import InputTensor, datatype_of, unexpected_names
from statehouse.handlers.bodies.numbers import shorten, type_name
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import (
    InvalidInputError,
    ModuleMismatchError,
    OptimizationError,
    RequestError,
    UnsupportedMediaError,
)
from statehouse.handlers.kinds.batches import BoundedReading, Given, in_order, stacked
from statehouse.handlers.kinds.contract import NamedInput
from statehouse.handlers.kinds.grouping import Row, RowGroup, grouped
from statehouse.handlers.kinds.inputs import named_input
from statehouse.handlers.kinds.outputs import named_output, taken
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.request import JSON_TYPE, Body, Part, Request
from statehouse.handlers.worker.settings import Optimization
from statehouse.models.tasks.input_kinds import TensorInput
from statehouse.models.tasks.kinds import Arrays
from statehouse.models.tasks.signature import SignatureTask

MAX_ROWS = 1000


class SignatureHandler(CheckpointHandler[SignatureTask]):
    """A row is a `Row`: arrays by argument of the module's `forward`. Rows of one size are computed together."""

    task_class = SignatureTask
    parts_by_name: ClassVar[bool] = True

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Put the kinds to work, and see that `forward` has the arguments that they give."""
        self.row_shape, self.row_dtype = (), np.dtype(object)
        self.inputs = {name: named_input(name, config) for name, config in self.task.input_configs.items()}
        self.outputs = {name: named_output(name, config) for name, config in self.task.output_configs.items()}
        self.media_types = tuple({kind for each in self.inputs.values() for kind in each.media_types})
        self.fillings = {
            name: filling for each in self.inputs.values() for name, filling in each.fillings.items()
        }
        self._require_arguments()

    def _require_arguments(self) -> None:
        parameters = inspect.signature(self.module.forward).parameters
        named = [
            each.name
            for each in parameters.values()
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        ]
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        given = [argument for each in self.inputs.values() for argument in each.arguments]
        problems = [
            f"{name} is given by several inputs" for name in sorted({n for n in given if given.count(n) > 1})
        ]
        if not takes_any:
            problems += [f"{name} is no argument of it" for name in given if name not in named]
        problems += [
            f"{name} has no input"
            for name in named
            if name not in given and parameters[name].default is inspect.Parameter.empty
        ]
        if problems:
            raise ModuleMismatchError(
                f"the inputs give {', '.join(given)}, and the module's forward takes ({', '.join(parameters)}): "
                + "; ".join(problems)
            )

    @property
    def row_limit(self) -> int:
        """Most rows in one request; what they take in memory is bounded as they are read."""
        return MAX_ROWS

    # Requests to rows.

    def row_from_value(self, value: object) -> Rows:
        """One row from an object, input to value."""
        if not isinstance(value, dict):
            raise InvalidInputError(
                f"The row is {type_name(value)}; expected an object with the inputs {', '.join(self.inputs)}."
            )
        return self._row({name: ("json", given) for name, given in value.items()})

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """Several rows, which together may take MAX_DECODED_BYTES."""
        return collect_rows(values, BoundedReading(self.row_from_value))

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from the bytes of its only input."""
        required = [name for name, each in self.inputs.items() if not each.config.is_optional]
        wanted = required or list(self.inputs)
        if len(wanted) != 1:
            raise UnsupportedMediaError(
                f"A body of {shorten(content_type)} does not say which input it is; expected a form with one part per "
                f"input ({', '.join(self.inputs)}), or application/json."
            )
        return self._row({wanted[0]: ("bytes", Part(body, content_type))})

    def row_from_parts(self, parts: Mapping[str, Part]) -> Rows:
        """One row from a form, one part per input."""
        return self._row({name: ("bytes", part) for name, part in parts.items()})

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of one tensor per input; of features one per feature."""
        count = self._require_tensors(tensors)
        given = [
            {
                name: ("elements", {suffix: tensors[name + suffix].data[row] for suffix in each.tensors()})
                for name, each in self.inputs.items()
                if all(name + suffix in tensors for suffix in each.tensors())
            }
            for row in range(count)
        ]
        return collect_rows(given, BoundedReading(self._row))

    def _require_tensors(self, tensors: Mapping[str, InputTensor]) -> int:
        """How many rows they have; raises InvalidInputError that names each which is missing, unknown or different."""
        declared = {each["name"]: each for each in self.tensor_inputs()}
        optional = {
            name + suffix
            for name, each in self.inputs.items()
            if each.config.is_optional and not any(name + suffix in tensors for suffix in each.tensors())
            for suffix in each.tensors()
        }
        problems = [
            problem
            for problem in unexpected_names(tensors, list(declared))
            if not any(problem == f"input {name!r} is missing." for name in optional)
        ]
        known = [tensor for name, tensor in tensors.items() if name in declared]
        count = known[0].shape[0] if known and known[0].shape else 0
        for tensor in known:
            wanted = declared[tensor.name]
            shape = tensor.shape[1:] if wanted["datatype"] != "BYTES" or tensor.shape != (count, 1) else ()
            fits = len(shape) == len(wanted["shape"]) - 1 and tensor.shape[:1] == (count,)
            if not fits or (tensor.datatype == "BYTES") != (wanted["datatype"] == "BYTES"):
                problems.append(
                    f"input {tensor.name!r} is {tensor.datatype} of {list(tensor.shape)}; expected "
                    f"{wanted['datatype']} of {[count, *wanted['shape'][1:]]}, as many rows as the first input."
                )
        if problems:
            raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
        return count

    def _row(self, given: Mapping[str, tuple[str, Any]]) -> Rows:
        """One row of what was given by input; raises InvalidInputError that names everything that is wrong."""
        arrays: dict[str, NDArray[Any]] = {}
        dimensions: dict[str, dict[str, int]] = {}
        missing = [name for name, each in self.inputs.items() if not each.config.is_optional]
        problems = unexpected_names(given, [name for name in self.inputs if name in given or name in missing])
        first: RequestError | None = None
        for name, each in self.inputs.items():
            if name not in given and name in missing:
                continue
            how, value = given.get(name, ("json", each.config.default))
            try:
                read = _read(each, how, value)
            except RequestError as error:
                first = first or error
                problems.append(f"input {name!r}: {error.detail}")
                continue
            arrays |= read
            for dimension, size in each.dimensions(read).items():
                dimensions.setdefault(dimension, {})[name] = size
        problems += [
            f"{dimension!r} is {' and '.join(f'{size} in {name!r}' for name, size in sizes.items())}; "
            "expected one size."
            for dimension, sizes in dimensions.items()
            if len(set(sizes.values())) > 1
        ]
        if problems:
            if first is not None and len(problems) == 1:  # its kind of problem is its own: an image too large
                raise type(first)(problems[0]) from first
            raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
        row = np.empty((), dtype=object)
        row[()] = Row(
            arrays, {dimension: next(iter(sizes.values())) for dimension, sizes in dimensions.items()}
        )
        return row

    # Rows to answers.

    def preprocess(self, rows: Rows) -> list[RowGroup]:
        """Rows of one size together, on the serving device, as the module takes them."""
        groups = grouped(list(rows), self.fillings, self.task.rows_per_batch or self.chunk_rows)
        for group in groups:
            tensors = {name: torch.from_numpy(array).to(self.device) for name, array in group.arrays.items()}
            for each in self.inputs.values():
                tensors = each.prepare(tensors)
            group.tensors = {name: self._as_parameters(name, tensor) for name, tensor in tensors.items()}
        return groups

    def _as_parameters(self, name: str, tensor: Tensor) -> Tensor:
        """Floating-point numbers in the module's own dtype, unless the signature says another than float32."""
        declared = self.inputs[name].config if name in self.inputs else None
        says_another = isinstance(declared, TensorInput) and declared.dtype != "float32"
        return tensor if says_another or not tensor.is_floating_point() else tensor.to(self.dtype)

    def call_module(self, inputs: Sequence[RowGroup]) -> Any:  # noqa: ANN401 - whatever the module returns
        """What the module returns for the first group."""
        return self.module(**inputs[0].tensors)

    def inference(self, inputs: Sequence[RowGroup]) -> list[Given]:
        """What the module returns for each group of rows."""
        outputs = list(self.outputs.values())
        with torch.inference_mode():
            return [
                Given(group, taken(self.module(**group.tensors), outputs, len(group.places)))
                for group in inputs
            ]

    def postprocess(self, outputs: Sequence[Given]) -> Outputs:
        """Arrays of each output, all rows in their order."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, output in self.outputs.items():
            shape = getattr(output.config, "shape", None) or []
            values = in_order([(each.group, each.tensors[name]) for each in outputs], shape)
            arrays |= {name + suffix: array for suffix, array in output.arrays(values).items()}
        return arrays

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """An object per row, output to answer."""
        answers = {name: self.outputs[name].answers(self._own(name, outputs)) for name in self.outputs}
        return [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]

    def inference_outputs(self, outputs: Outputs) -> Outputs:
        """As tensors: rows of one size in one array."""
        return {name: stacked(name, array) for name, array in outputs.items()}

    def _own(self, name: str, outputs: Outputs) -> dict[str, NDArray[Any]]:
        return {
            key[len(name) :]: array
            for key, array in outputs.items()
            if key == name or (key.startswith(f"{name}.") and key not in self.outputs)
        }

    def optimized(self, optimizations: Sequence[Optimization]) -> torch.nn.Module:
        """Refused: what makes modules faster takes one tensor."""
        raise OptimizationError(
            f"optimization {optimizations[0]!r} cannot be applied to a signature yet; leave it out of the deployment"
        )

    # What is told of it.

    def make_example(self, seed: int = 0) -> Request:
        """A value of each input."""
        sizes: dict[str, int] = {}
        row = {name: each.example(seed, sizes) for name, each in self.inputs.items()}
        return Request(orjson.dumps({"inputs": row}, option=orjson.OPT_SERIALIZE_NUMPY), JSON_TYPE)

    def input_schema(self) -> dict[str, Any]:
        """An object with every input; those with a default may be left out."""
        schema = object_schema({name: each.schema() for name, each in self.inputs.items()})
        required = [name for name, each in self.inputs.items() if not each.config.is_optional]
        return schema | {"required": required}

    def output_schema(self) -> dict[str, Any]:
        """An object with every output."""
        return object_schema(
            {name: each.schema(self._own(name, self.example_outputs)) for name, each in self.outputs.items()}
        )

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor per input; of features one per feature."""
        return [
            {"name": name + suffix, "datatype": datatype, "shape": [-1, *shape]}
            for name, each in self.inputs.items()
            for suffix, (datatype, shape) in each.tensors().items()
        ]

    def tensor_outputs(self) -> list[dict[str, Any]]:
        """As of every task; a dimension that is said to be free is -1."""
        told = []
        for name, array in self.example_outputs.items():
            declared = getattr(self.outputs[name].config, "shape", None) if name in self.outputs else None
            example = array[0] if array.dtype == object and isinstance(array[0], np.ndarray) else None
            shape = list(array.shape[1:] if example is None else example.shape)
            if declared:
                shape = [size if isinstance(size, int) else -1 for size in declared]
            elif example is not None:
                shape = [-1] * len(shape)
            told.append(
                {
                    "name": name,
                    "datatype": datatype_of(array if example is None else example),
                    "shape": [-1, *shape],
                }
            )
        return told


def _read(each: NamedInput, how: str, value: Any) -> Arrays:  # noqa: ANN401 - as `how` says
    if how == "bytes":
        return each.from_bytes(value.body, value.content_type)
    return each.from_elements(value) if how == "elements" else each.from_json(value)
