"""Task `embedding`: a text in, one vector out."""

from typing import Any

import numpy as np
import torch

from statehouse.handlers.bodies.openai_embeddings import read_embeddings_request
from statehouse.handlers.bodies.payload import Decoded, check_row_count
from statehouse.handlers.bodies.schema import array_schema, object_schema
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.request import Request
from statehouse.handlers.text.encoder import PADDING
from statehouse.handlers.text.modules import EmbeddingModule
from statehouse.handlers.text_rows import TextHandler
from statehouse.models.tasks.text import EmbeddingTask


class EmbeddingHandler(TextHandler[EmbeddingTask]):
    """An answer is `{"embedding": […]}`, float32."""

    task_class = EmbeddingTask

    def wrap(self, module: torch.nn.Module) -> EmbeddingModule:
        """Pool and normalise beside the module, where the mask is at hand."""
        return EmbeddingModule(module, self.task)

    def postprocess(self, outputs: torch.Tensor) -> Outputs:
        """The vectors."""
        return {"embedding": self.to_array(outputs)}

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """`{"embedding": […]}` per text."""
        return [{"embedding": vector} for vector in outputs["embedding"]]

    def embedded_rows(self, request: Request) -> Decoded:
        """The rows of a request in OpenAI's form, and how many tokens they have."""
        asked = read_embeddings_request(request, name=self.name, version=self.version)
        check_row_count(len(asked.texts), self)
        rows = self.rows_from_values(asked.texts)
        return Decoded(rows, asked._replace(token_count=int(np.count_nonzero(rows != PADDING))))

    def output_schema(self) -> dict[str, Any]:
        """A list of as many numbers as the module gives."""
        shape = self.example_outputs["embedding"].shape[1:]
        return object_schema({"embedding": array_schema(shape, np.dtype("f4"))})
