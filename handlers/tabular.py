"""Task `tabular`: named features in, labels with scores or one number out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import torch

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.inference_tensors import InputTensor
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import ModuleMismatchError, UnsupportedMediaError
from statehouse.handlers.features.forms import (
    feature_schema,
    feature_tensors,
    made_row,
    row_of_parts,
    rows_of_tensors,
)
from statehouse.handlers.features.table import FeatureTable
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.pipeline.labels import class_answers, class_outputs, class_schema, value_outputs
from statehouse.handlers.request import JSON_TYPE, Body, Part, Request
from statehouse.models.tasks.registry import TabularTask


class TabularHandler(CheckpointHandler[TabularTask]):
    """Rows are columns: numbers as they were sent, categories one-hot; standardising happens per batch."""

    task_class = TabularTask

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """One column per number and per category."""
        self.table = FeatureTable(self.task)
        self.row_shape, self.row_dtype = (self.task.width,), np.dtype("f8")
        if input_shape not in (None, self.row_shape):
            raise ModuleMismatchError(
                f"the features make rows of {list(self.row_shape)}, and the architecture takes "
                f"{list(input_shape or ())}"
            )

    def row_from_value(self, value: object) -> Rows:
        """One row from an object, feature to value."""
        return self.table.read(value)

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """Refused: bytes do not say which feature they are."""
        raise UnsupportedMediaError(
            f"A body of {shorten(content_type)} is not read here; expected application/json with the "
            "features by name, or a form with one field per feature."
        )

    def row_from_parts(self, parts: Mapping[str, Part]) -> Rows:
        """One row from a form, one field per feature."""
        return self.table.read(row_of_parts(parts, self.table.features))

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of one tensor per feature."""
        return collect_rows(rows_of_tensors(tensors, self.table.features), self.table.read)

    def preprocess(self, rows: Rows) -> torch.Tensor:
        """Standardise."""
        return self.to_device(self.table.standardise(rows))

    def postprocess(self, outputs: torch.Tensor) -> Outputs:
        """Scores of the labels, or the value in the target's unit."""
        if self.task.labels is not None:
            return class_outputs(outputs, self.task.labels, self.task.outputs)
        return value_outputs(outputs, mean=self.task.target_mean, std=self.task.target_std)

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """The best labels, or `{"value": …}`, per row."""
        if self.task.labels is not None:
            return class_answers(outputs, self.task.labels, self.task.top_k)
        return [{"value": value} for value in outputs["value"]]

    def make_example(self, seed: int = 0) -> Request:
        """Values as the features' means, deviations and categories suggest."""
        return Request(orjson.dumps({"inputs": made_row(self.table.features, seed)}), JSON_TYPE)

    def input_schema(self) -> dict[str, Any]:
        """An object with every feature."""
        return feature_schema(self.table.features)

    def output_schema(self) -> dict[str, Any]:
        """Label, score and the ranking; or a value."""
        if self.task.labels is not None:
            return class_schema(self.task.labels, self.task.top_k, self.task.outputs)
        return object_schema({"value": {"type": "number"}})

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor per feature."""
        return feature_tensors(self.table.features)
