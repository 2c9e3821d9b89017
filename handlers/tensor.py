"""Task `tensor`: numbers of a declared shape in, the module's output out."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import orjson
import torch

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.inference_tensors import InputTensor, datatype_of, require_inputs
from statehouse.handlers.bodies.numbers import number_array, raw_numbers, require_finite
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.bodies.quick_numbers import QuickNumbers
from statehouse.handlers.bodies.schema import array_schema, object_schema
from statehouse.handlers.errors import InvalidInputError, ModuleMismatchError
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.request import JSON_TYPE, Body, Request
from statehouse.handlers.whole_numbers import is_no_entry, refuse_beyond, table_size
from statehouse.models.tasks.registry import TensorTask


class TensorHandler(CheckpointHandler[TensorTask]):
    """Rows are arrays of the declared shape; an answer is `{"outputs": …}`."""

    task_class = TensorTask

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Take the shape that the task says, else the architecture's own."""
        shape = self.task.input_shape or input_shape
        if shape is None:
            raise ModuleMismatchError(
                "neither the task nor the architecture says the input's shape; give the task an input_shape"
            )
        self.row_shape, self.row_dtype = tuple(shape), np.dtype(self.task.dtype)
        self.raw_row_bytes = prod(self.row_shape) * self.row_dtype.itemsize
        self.quick = QuickNumbers(
            self.row_shape,
            self.row_dtype,
            row_limit=self.row_limit,
            input_name=self.tensor_inputs()[0]["name"],
        )
        whole = self.row_dtype.kind == "i"
        self.table_size = table_size(self.module, self.row_shape, self.device) if whole else None

    def row_from_value(self, value: object) -> Rows:
        """One row from nested lists of numbers."""
        return number_array(value, self.row_shape, self.row_dtype)

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """All rows at once; one by one only where that fails, to say which."""
        try:
            return number_array(values, (len(values), *self.row_shape), self.row_dtype)
        except InvalidInputError:
            return super().rows_from_values(values)

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from raw little-endian numbers."""
        return raw_numbers(body, content_type, self.row_shape, self.row_dtype)

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of the tensor `input`."""
        [rows] = require_inputs(tensors, self.tensor_inputs())
        try:
            return require_finite(rows)
        except InvalidInputError:
            return collect_rows(list(rows), require_finite)

    def refuse_rows(self, rows: Rows) -> None:
        """Refuse whole numbers that the module's embedding has no entry for."""
        refuse_beyond(rows, self.table_size)

    def preprocess(self, rows: Rows) -> torch.Tensor:
        """The rows as they are."""
        return self.to_device(rows)

    def inference(self, inputs: torch.Tensor) -> torch.Tensor:
        """The module's output; a whole number that it has no entry for is the client's fault."""
        try:
            outputs: torch.Tensor = super().inference(inputs)
        except Exception as error:
            if self.row_dtype.kind != "i" or not is_no_entry(error):
                raise
            raise InvalidInputError(
                f"The model has no entry for one of the input's numbers, from {int(inputs.min())} to "
                f"{int(inputs.max())}: it raised {type(error).__name__}: {str(error).splitlines()[-1]}"
            ) from error
        return outputs

    def postprocess(self, outputs: torch.Tensor) -> Outputs:
        """The module's output as it is."""
        return {"output": self.to_array(outputs)}

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """`{"outputs": …}` per row."""
        return [{"outputs": row} for row in outputs["output"]]

    def make_example(self, seed: int = 0) -> Request:
        """Normally distributed numbers; whole ones are 0 or 1, which any vocabulary has."""
        random = np.random.default_rng(seed)
        row = random.standard_normal(self.row_shape).astype(np.float32)
        if self.row_dtype.kind == "i":
            row = (row > 0).astype(self.row_dtype)
        return Request(orjson.dumps({"inputs": row}, option=orjson.OPT_SERIALIZE_NUMPY), JSON_TYPE)

    def input_schema(self) -> dict[str, Any]:
        """Nested lists of the declared shape."""
        return array_schema(self.row_shape, self.row_dtype)

    def output_schema(self) -> dict[str, Any]:
        """Nested lists of the shape that the module gives."""
        output = self.example_outputs["output"]
        return object_schema({"outputs": array_schema(output.shape[1:], output.dtype)})

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor, `input`."""
        datatype = datatype_of(np.empty(0, self.row_dtype))
        return [{"name": "input", "datatype": datatype, "shape": [-1, *self.row_shape]}]
