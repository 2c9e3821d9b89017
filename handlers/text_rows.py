"""What tasks whose rows are texts share: a text in, by whichever way, to a row of token ids."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import orjson
import torch
from torch.nn.functional import pad

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.bodies.content import IMAGE_TYPES
from statehouse.handlers.bodies.inference_tensors import InputTensor, require_inputs
from statehouse.handlers.bodies.json_body import decode_text
from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.bodies.payload import Rows, collect_rows
from statehouse.handlers.errors import InvalidInputError, ModuleMismatchError, UnsupportedMediaError
from statehouse.handlers.request import JSON_TYPE, Body, Request
from statehouse.handlers.text.encoder import PADDING, TextEncoder
from statehouse.handlers.text.given import PROMPT, text_tensor
from statehouse.handlers.text.modules import TextModule, require_vocabulary
from statehouse.models.tasks.text import TextTask

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
    """Rows are as TextEncoder makes them, all of one length; what the module gets is as long as the longest text.

    The first column of those that have several is the ids.
    """

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
        if self.encoder.form.pairs:
            longest[..., 1] = 0  # of the first text: any module has room for it
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

    def is_several(self, value: object) -> bool:
        """Whether what stands under `inputs` is several rows."""
        return self.encoder.form.is_several(value)

    def row_from_value(self, value: object) -> Rows:
        """One row from a text, or a pair of them."""
        return self.encoder.row(value)

    def row_from_body(self, body: Body, content_type: str) -> Rows:
        """One row from a body that is nothing but the text, in UTF-8."""
        if content_type in IMAGE_TYPES:
            raise UnsupportedMediaError(
                f"A body of {shorten(content_type)} is not read here; expected a text: text/plain, or "
                'application/json like {"inputs": "a text"}.'
            )
        if self.encoder.form.pairs:
            raise UnsupportedMediaError(
                "A body that is one text is not read here; expected a pair, as application/json: "
                '{"inputs": {"text": "…", "text_pair": "…"}}.'
            )
        return self.encoder.row(decode_text(body))

    def rows_from_tensors(self, tensors: Mapping[str, InputTensor]) -> Rows:
        """The rows of the tensor `text`; of pairs `text_pair` belongs to it, and `prompt` may, where there are any."""
        named = self.encoder.form.prompts and PROMPT in tensors
        declared = self.tensor_inputs() + ([text_tensor(PROMPT)] if named else [])
        given = require_inputs(tensors, declared)
        if len({len(texts) for texts in given}) > 1:
            counts = ", ".join(
                f"{len(texts)} of {each['name']}" for texts, each in zip(given, declared, strict=True)
            )
            raise InvalidInputError(f"The tensors have {counts}; expected as many of each, one per row.")
        names = [each["name"] for each in declared]
        return collect_rows(list(zip(*given, strict=True)), lambda texts: self._row_of_tensors(names, texts))

    def _row_of_tensors(self, names: Sequence[str], texts: Sequence[object]) -> Rows:
        decoded = [decode_text(text) if isinstance(text, bytes) else text for text in texts]
        return self.encoder.row(decoded[0] if len(names) == 1 else dict(zip(names, decoded, strict=True)))

    def preprocess(self, rows: Rows) -> torch.Tensor:
        """The rows as int64, without what is padding in all of them."""
        ids = rows if rows.ndim == 2 else rows[..., 0]
        longest = int(np.count_nonzero(ids != PADDING, axis=1).max())
        return torch.from_numpy(rows[:, :longest].astype(np.int64)).to(self.device)

    def inference(self, inputs: torch.Tensor) -> torch.Tensor:
        """The module's output; texts of very different lengths go through it in several parts of like ones."""
        ids = inputs if inputs.ndim == 2 else inputs[..., 0]
        lengths = (ids != PADDING).sum(dim=1)
        order = lengths.argsort(stable=True, descending=True)
        together_counts = (
            [1] * len(order) if self.task.rows_per_batch else like_lengths(lengths[order].tolist())
        )
        parts: tuple[torch.Tensor, ...] = torch.split(order, together_counts)
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
        """A sentence, or two."""
        return Request(orjson.dumps({"inputs": self.encoder.make_value(seed)}), JSON_TYPE)

    def input_schema(self) -> dict[str, Any]:
        """A text, a pair of them, or either in an object that may name a prompt."""
        return self.encoder.form.schema()

    def tensor_inputs(self) -> list[dict[str, Any]]:
        """One tensor, `text`; of pairs `text_pair` too."""
        return self.encoder.form.tensors()
