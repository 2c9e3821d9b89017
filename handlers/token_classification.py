"""Task `token_classification`: a text in, labelled pieces of it out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import orjson
import torch

from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.text.modules import TokenModule
from statehouse.handlers.text.spans import SPAN_SCHEMA, Span, join_tokens, read_tokens
from statehouse.handlers.text_rows import TextHandler
from statehouse.models.tasks.text import TokenClassificationTask


class TokenClassificationHandler(TextHandler[TokenClassificationTask]):
    """An answer is `{"spans": [{"label", "score", "start", "end"}, …]}`, characters counted from 0."""

    task_class = TokenClassificationTask
    tells_offsets = True
    output_axes: ClassVar[Mapping[int, str]] = TextHandler.input_axes

    def wrap(self, module: torch.nn.Module) -> TokenModule:
        """Class, score and place of each token, one tensor."""
        return TokenModule(module, self.task, len(self.task.labels))

    def postprocess(self, outputs: torch.Tensor) -> Outputs:
        """The spans of each text as JSON, and the lowest score of its tokens."""
        tokens = self.to_array(outputs)
        spans = [orjson.dumps([span._asdict() for span in self._spans(row)]).decode() for row in tokens]
        told = np.where(tokens[..., 0] >= 0, tokens[..., 1], 1)
        return {"spans": np.array(spans, dtype=object), "lowest_score": told.min(axis=1).astype(np.float32)}

    def _spans(self, tokens: np.ndarray[Any, Any]) -> list[Span]:
        read = read_tokens(tokens, self.task.labels)
        if self.task.aggregation == "spans":
            return join_tokens(read, self.task.ignored_labels)
        return [token for token in read if token.label not in self.task.ignored_labels]

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """`{"spans": […]}` per text, in the order of the text."""
        return [{"spans": orjson.Fragment(spans)} for spans in outputs["spans"]]

    def output_schema(self) -> dict[str, Any]:
        """A list of spans."""
        return object_schema({"spans": {"type": "array", "items": SPAN_SCHEMA}})
