"""Task `tensor`: numbers of a declared shape in, the module's output out."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import orjson
import torch

from handlers.base import CheckpointHandler
from handlers.batch import Outputs
from handlers.errors import InvalidInputError, ModuleMismatchError
from handlers.inference_tensors import InputTensor, datatype_of, require_inputs
from handlers.numbers import number_array, require_finite
from handlers.payload import Rows, collect_rows
from handlers.quick_numbers import QuickNumbers
from handlers.raw_numbers import raw_numbers
from handlers.request import JSON_TYPE, Body, Request
from handlers.schema import array_schema, object_schema
from models.task import TensorTask


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

    def preprocess(self, rows: Rows) -> torch.Tensor:
        """The rows as they are."""
        return self.to_device(rows)

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
        sample = self.sample_outputs["output"]
        return object_schema({"outputs": array_schema(sample.shape[1:], sample.dtype)})

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor, `input`."""
        datatype = datatype_of(np.empty(0, self.row_dtype))
        return [{"name": "input", "datatype": datatype, "shape": [-1, *self.row_shape]}]
