"""What tasks whose rows are texts share: a text in, by whichever way, to a row of token ids."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import orjson
import torch
from torch.nn.functional import pad

from handlers.base import CheckpointHandler
from handlers.content import IMAGE_TYPES
from handlers.errors import ModuleMismatchError, UnsupportedMediaError
from handlers.inference_tensors import InputTensor, require_inputs
from handlers.json_body import decode_text
from handlers.numbers import shorten
from handlers.payload import Rows, collect_rows
from handlers.request import JSON_TYPE, Body, Request
from handlers.text_encoder import PADDING, TextEncoder
from handlers.text_module import TextModule, require_vocabulary
from models.text_task import TextTask

TextT = TypeVar("TextT", bound=TextTask)

SHORTEST_SHARE = 0.6


def like_lengths(lengths: Sequence[int]) -> list[int]:
    """How many of `lengths`, longest first, go together: until one is shorter than SHORTEST_SHARE of the first.

    Padding is computed like any token: of 32 mails in one batch it was two thirds of the time.
    """
    counts: list[int] = []
    longest = 0
    for length in lengths:
        if not counts or length < SHORTEST_SHARE * longest:
            counts.append(0)
            longest = length
        counts[-1] += 1
    return counts


class TextHandler(CheckpointHandler[TextT]):
    """Rows are as TextEncoder makes them, all of one length; what the module gets is as long as the longest text."""

    reads_text = True
    tells_offsets = False
    input_axes: ClassVar[Mapping[int, str]] = {0: "batch", 1: "length"}

    @abstractmethod
    def wrap(self, module: torch.nn.Module) -> TextModule:
        """What makes one tensor of the module's answer."""

    def configure(self, input_shape: tuple[int, ...] | None) -> None:
        """Read the tokenizer, and see that the module has room for its last id and for the longest text."""
        self.encoder = TextEncoder(self.task, offsets=self.tells_offsets)
        self.row_shape, self.row_dtype = self.encoder.row_shape, self.encoder.row_dtype
        last_id = self.encoder.vocabulary_size() - 1
        require_vocabulary(self.module, last_id + 1)
        self._require_room(last_id)

    def _require_room(self, last_id: int) -> None:
        longest = torch.full((1, *self.row_shape), last_id, device=self.device)
        try:
            with torch.inference_mode():
                self.module(longest)
        except ModuleMismatchError:
            raise
        except Exception as error:
            raise ModuleMismatchError(
                f"the module raised {type(error).__name__} on {self.task.max_tokens} tokens with the id {last_id}: "
                f"{error}; do max_tokens and the tokenizer fit it?"
            ) from error

    def row_from_value(self, value: object) -> Rows:
        """One row from a text."""
        return self.encoder.row(value)

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from a body that is nothing but the text, in UTF-8."""
        if content_type in IMAGE_TYPES:
            raise UnsupportedMediaError(
                f"A body of {shorten(content_type)} is not read here; expected a text: text/plain, or "
                'application/json like {"inputs": "a text"}.'
            )
        return self.encoder.row(decode_text(body))

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of the tensor `text`."""
        [texts] = require_inputs(tensors, self.tensor_inputs())
        return collect_rows(
            texts, lambda text: self.encoder.row(decode_text(text) if isinstance(text, bytes) else text)
        )

    def preprocess(self, rows: Rows) -> torch.Tensor:
        """The rows as int64, without what is padding in all of them."""
        ids = rows[..., 0] if self.tells_offsets else rows
        longest = int(np.count_nonzero(ids >= 0, axis=1).max())
        return torch.from_numpy(rows[:, :longest].astype(np.int64)).to(self.device)

    def inference(self, inputs: torch.Tensor) -> torch.Tensor:
        """The module's output; texts of very different lengths go through it in several parts of like ones."""
        lengths = ((inputs[..., 0] if self.tells_offsets else inputs) >= 0).sum(dim=1)
        order = lengths.argsort(stable=True, descending=True)
        parts: tuple[torch.Tensor, ...] = torch.split(order, like_lengths(lengths[order].tolist()))
        through_module = super().inference
        outputs: list[torch.Tensor] = [
            through_module(inputs[part, : int(lengths[part[0]])]) for part in parts
        ]
        if self.tells_offsets:  # one vector per token: as many for every text
            outputs = [
                pad(each, (0, 0, 0, inputs.shape[1] - each.shape[1]), value=PADDING) for each in outputs
            ]
        together: torch.Tensor = torch.cat(outputs)
        return together[order.argsort()]

    def make_example(self, seed: int = 0) -> Request:
        """A sentence."""
        return Request(orjson.dumps({"inputs": self.encoder.make_text(seed)}), JSON_TYPE)

    def input_schema(self) -> dict[str, Any]:
        """A text."""
        return {"type": "string", "minLength": 1, "maxLength": self.task.max_characters}

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor, `text`."""
        return [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
