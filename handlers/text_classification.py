"""Task `text_classification`: a text in, labels with scores out."""

from typing import Any

import torch

from statehouse.handlers.pipeline.batch import Outputs
from statehouse.handlers.pipeline.labels import (
    class_answers,
    class_outputs,
    class_schema,
    multi_label_answers,
    multi_label_outputs,
    multi_label_schema,
)
from statehouse.handlers.text.modules import TextModule
from statehouse.handlers.text_rows import TextHandler
from statehouse.models.tasks.text import TextClassificationTask


class TextClassificationHandler(TextHandler[TextClassificationTask]):
    """One choice of all labels, or with `multi_label` each label by itself."""

    task_class = TextClassificationTask

    def wrap(self, module: torch.nn.Module) -> TextModule:
        """One logit per label."""
        return TextModule(module, self.task, ("logits",))

    def postprocess(self, outputs: torch.Tensor) -> Outputs:
        """Scores of one choice of labels, or of each by itself."""
        scored = multi_label_outputs if self.task.multi_label else class_outputs
        return scored(outputs, self.task.labels, self.task.outputs)

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """The best labels per text; with `multi_label` also those over the threshold."""
        if self.task.multi_label:
            return multi_label_answers(outputs, self.task.labels, self.task.top_k, self.task.threshold)
        return class_answers(outputs, self.task.labels, self.task.top_k)

    def output_schema(self) -> dict[str, Any]:
        """Label, score and the ranking."""
        schema = multi_label_schema if self.task.multi_label else class_schema
        return schema(self.task.labels, self.task.top_k, self.task.outputs)
