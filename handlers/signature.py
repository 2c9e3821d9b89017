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
from statehouse.handlers.bodies.inference_tensors import InputTensor, datatype_of
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.bodies.payload import Rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import (
    ModuleMismatchError,
    OptimizationError,
    RequestError,
    UnsupportedMediaError,
)
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.batches import Given, in_order, stacked
from statehouse.handlers.kinds.grouping import RowGroup, grouped
from statehouse.handlers.kinds.inputs import named_input
from statehouse.handlers.kinds.outputs import named_output, taken
from statehouse.handlers.kinds.rows import RowReader
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.request import JSON_TYPE, Body, Part, Request
from statehouse.handlers.worker.settings import Optimization
from statehouse.models.tasks.input_kinds import TensorInput
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
        self.reader = RowReader(self.inputs)
        self._require_arguments()
        self._require_defaults()

    def _require_defaults(self) -> None:
        for name, each in self.inputs.items():
            if each.config.is_optional:
                try:
                    each.from_json(each.config.default, PixelBudget())
                except RequestError as error:
                    raise ModuleMismatchError(
                        f"the default of input {name!r} is refused: {error.detail}"
                    ) from error

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
        return self.reader.of_value(value, PixelBudget())

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """Several rows."""
        return self.reader.of_values(values)

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from the bytes of its only input."""
        wanted = self.reader.required or list(self.inputs)
        if len(wanted) != 1:
            raise UnsupportedMediaError(
                f"A body of {shorten(content_type)} does not say which input it is; expected a form with one part per "
                f"input ({', '.join(self.inputs)}), or application/json."
            )
        return self.row_from_parts({wanted[0]: Part(body, content_type)})

    def row_from_parts(self, parts: Mapping[str, Part]) -> Rows:
        """One row from a form, one part per input."""
        return self.reader.of_parts(parts)

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of one tensor per input; of features one per feature."""
        return self.reader.of_tensors(tensors, self.tensor_inputs())

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
            if key == name or key.startswith(f"{name}.")
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
        return schema | {"required": self.reader.required}

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
