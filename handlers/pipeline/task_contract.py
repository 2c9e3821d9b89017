"""What a task has to say: how its rows are read, what the module gets, and what its output means."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from statehouse.handlers.bodies.inference_tensors import InputTensor
from statehouse.handlers.bodies.payload import Decoded, Rows, collect_rows
from statehouse.handlers.bodies.quick_numbers import QuickNumbers
from statehouse.handlers.errors import InvalidInputError, ModuleMismatchError, UnsupportedMediaError
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.request import Body, Part, Request
from statehouse.models.tasks.config import TaskConfig

MAX_ROWS = 10_000
MAX_DECODED_BYTES = 64 * 2**20

TaskT = TypeVar("TaskT", bound=TaskConfig)


class TaskContract(ABC, Generic[TaskT]):
    """The part of a handler that differs from task to task.

    `row_shape` and `row_dtype` are those of one decoded row; `raw_row_bytes` is the length of a row that is
    sent as raw numbers, None where the task reads none; `reads_text` says that rows are texts. `quick` reads
    rows that are nothing but numbers. `input_axes` and `output_axes` name the module's axes of any length.
    """

    task_class: ClassVar[type[Any]]
    task: TaskT
    module: torch.nn.Module
    device: torch.device
    dtype: torch.dtype
    row_shape: tuple[int, ...]
    row_dtype: np.dtype[Any]
    raw_row_bytes: int | None = None
    reads_text: ClassVar[bool] = False
    parts_by_name: ClassVar[bool] = False
    media_types: tuple[str, ...] = ()
    input_axes: ClassVar[Mapping[int, str]] = {0: "batch"}
    output_axes: ClassVar[Mapping[int, str]] = {0: "batch"}
    quick: QuickNumbers | None = None

    def wrap(self, module: torch.nn.Module) -> torch.nn.Module:
        """`module` within what the task computes beside it, if anything: one tensor in, one out, where that can be."""
        return module

    @abstractmethod
    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Fill the fields above from `task`; `input_shape` is one row's, where the architecture says it."""

    def is_several(self, value: object) -> bool:
        """Whether what stands under `inputs` is several rows: one, unless a task says otherwise."""
        return False

    @abstractmethod
    def row_from_value(self, value: object) -> Rows:
        """One row from its JSON value, without the axis that counts rows."""

    def rows_from_values(self, values: Sequence[object]) -> Rows:
        """Several rows from their JSON values; raises RowsRefusedError with every bad row's number."""
        return collect_rows(values, self.row_from_value)

    @abstractmethod
    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from a raw body that is not JSON."""

    def row_from_parts(self, parts: Mapping[str, Part]) -> Rows:
        """One row from several parts of a multipart body."""
        raise UnsupportedMediaError(
            f"The body has {len(parts)} parts; expected exactly one, which holds the input. "
            'Several inputs go into one JSON document: {"instances": [row, …]}.'
        )

    @abstractmethod
    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of an Open Inference Protocol request."""

    def embedded_rows(self, request: Request) -> Decoded:
        """The rows of a request in OpenAI's form; raises InvalidInputError where the task gives no embeddings."""
        raise InvalidInputError(
            f"This model's task is {self.task.task}; /openai/… is for embeddings of texts alone. "  # type: ignore[attr-defined]
            "Ask it at /predictions/NAME."
        )

    def refuse_rows(self, rows: Rows) -> None:
        """Raise RequestError for rows of a request that were read, and that the module cannot take."""

    @abstractmethod
    def preprocess(self, rows: Rows) -> Any:  # noqa: ANN401 - a tensor, or a list where rows differ in size
        """Rows of several requests to the module's input, on its device."""

    def module_input(self, inputs: Any) -> Any:  # noqa: ANN401 - as `preprocess` gives it
        """What one call of the module is given of `inputs`, rows of one size."""
        return inputs

    def call_module(self, inputs: Any) -> Any:  # noqa: ANN401 - as `preprocess` gives it
        """What the module returns for rows of one size."""
        return self.module(self.module_input(inputs))

    @abstractmethod
    def postprocess(self, outputs: Any) -> Outputs:  # noqa: ANN401 - what `inference` gave
        """The module's output to answers, as the Open Inference Protocol names them."""

    @abstractmethod
    def row_answers(self, outputs: Outputs) -> list[Any]:
        """One JSON object per row."""

    def inference_outputs(self, outputs: Outputs) -> Outputs:
        """One request's outputs as the Open Inference Protocol has them, an array each."""
        return outputs

    @abstractmethod
    def make_example(self, seed: int = 0) -> Request:
        """A request of one row that this endpoint accepts, always the same for the same seed."""

    @abstractmethod
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of one row."""

    @abstractmethod
    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of one row's answer."""

    @abstractmethod
    def tensor_inputs(self) -> list[dict[str, Any]]:
        """The inputs' names, datatypes and shapes, as the Open Inference Protocol's metadata gives them."""

    @property
    def row_limit(self) -> int:
        """Most rows in one request: small bodies may decode to large rows, so their bytes count too."""
        row_bytes = prod(self.row_shape) * self.row_dtype.itemsize
        return max(1, min(MAX_ROWS, MAX_DECODED_BYTES // row_bytes))

    def to_device(self, array: NDArray[Any]) -> torch.Tensor:
        """The array on the serving device; floating-point numbers as the module's own parameters are."""
        tensor = torch.from_numpy(array)
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else tensor.dtype)

    @staticmethod
    def to_array(tensor: torch.Tensor) -> NDArray[Any]:
        """The tensor as a NumPy array, which has no bfloat16; less than float32 becomes float32.

        Raises ModuleMismatchError where its numbers are complex: neither form of answer has such.
        """
        if tensor.is_complex():
            raise ModuleMismatchError(
                f"the module gives {str(tensor.dtype).removeprefix('torch.')}; expected real numbers: "
                "let forward() return torch.view_as_real(output)"
            )
        if tensor.is_floating_point() and tensor.itemsize < torch.float32.itemsize:
            tensor = tensor.float()
        return tensor.contiguous().cpu().numpy()
