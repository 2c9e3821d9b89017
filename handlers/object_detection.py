"""Task `object_detection`: an image in; boxes with labels and scores out, in that image's own pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from statehouse.handlers.bodies.payload import Rows
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.image_rows import ImageRowsHandler
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.models.tasks.vision import ObjectDetectionTask

Detections = dict[str, Tensor]  # of one image: boxes (K, 4), labels (K), scores (K)
EXPECTED = (
    "boxes (K, 4), labels (K) and scores (K) for each image, as torchvision's detection models give them"
)


class ObjectDetectionHandler(ImageRowsHandler[ObjectDetectionTask]):
    """The module gets images in their own size; it resizes and standardises them itself."""

    task_class = ObjectDetectionTask

    def resize(self, image: Image.Image) -> Image.Image:
        """The image as it is."""
        return image

    def preprocess(self, rows: Rows) -> list[Tensor]:
        """Scale to 0..1."""
        return [row.pixels.to(self.device).to(self.dtype) / 255 for row in rows]

    def inference(self, inputs: Sequence[Tensor]) -> list[Detections]:
        """What the module finds in each image."""
        found: list[Detections] = [{}] * len(inputs)
        with torch.inference_mode():
            for places in self.in_groups(inputs):
                answers = self.module([inputs[place] for place in places])
                if not isinstance(answers, list | tuple) or len(answers) != len(places):
                    raise ModuleMismatchError(
                        f"the module gives {type(answers).__name__}; expected {EXPECTED}"
                    )
                for place, answer in zip(places, answers, strict=True):
                    found[place] = self._chosen(answer)
        return found

    def _chosen(self, answer: Any) -> Detections:  # noqa: ANN401 - whatever the module gives
        """The best detections that reach the threshold, best first."""
        boxes, labels, scores = _parts(answer)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.task.labels):
            raise ModuleMismatchError(
                f"the module gives classes {int(labels.min())} to {int(labels.max())}; there are "
                f"{len(self.task.labels)} labels: expected one per class, the background's first"
            )
        order = scores.argsort(descending=True, stable=True)
        order = order[scores[order] >= self.task.score_threshold][: self.task.max_detections]
        return {"boxes": boxes[order].float(), "labels": labels[order], "scores": scores[order].float()}

    def postprocess(self, outputs: Sequence[Detections]) -> Outputs:
        """As many as may be found per image, filled up with nothing; `count` says how many there are."""
        rows, most = len(outputs), self.task.max_detections
        boxes, scores = np.zeros((rows, most, 4), np.float32), np.zeros((rows, most), np.float32)
        labels = np.full((rows, most), "", dtype=object)
        for row, found in enumerate(outputs):
            count = len(found["scores"])
            boxes[row, :count] = found["boxes"].cpu().numpy()
            scores[row, :count] = found["scores"].cpu().numpy()
            labels[row, :count] = [self.task.labels[number] for number in found["labels"].tolist()]
        counts = np.array([len(found["scores"]) for found in outputs], dtype=np.int64)
        return {"boxes": boxes, "labels": labels, "scores": scores, "count": counts}

    def row_answers(self, outputs: Outputs) -> list[Any]:
        """`{"detections": [{"label", "score", "box": [x1, y1, x2, y2]}, …]}` per image."""
        return [
            {
                "detections": [
                    {"label": label, "score": score, "box": box}
                    for label, score, box in zip(labels[:count], scores[:count], boxes[:count], strict=True)
                ]
            }
            for labels, scores, boxes, count in zip(
                outputs["labels"], outputs["scores"], outputs["boxes"], outputs["count"], strict=True
            )
        ]

    def output_schema(self) -> dict[str, Any]:
        """A list of detections, best first."""
        number = {"type": "number"}
        detection = object_schema(
            {
                "label": {"type": "string", "enum": sorted(set(self.task.labels))},
                "score": {"type": "number", "minimum": 0, "maximum": 1},
                "box": {"type": "array", "items": number, "minItems": 4, "maxItems": 4},
            }
        )
        return object_schema(
            {"detections": {"type": "array", "items": detection, "maxItems": self.task.max_detections}}
        )


def _parts(answer: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401 - whatever the module gives
    parts: Any = tuple(
        answer.get(name) if isinstance(answer, dict) else None for name in ("boxes", "labels", "scores")
    )
    shapes = [list(part.shape) if isinstance(part, Tensor) else None for part in parts]
    count = shapes[2][0] if shapes[2] else 0
    if shapes != [[count, 4], [count], [count]]:
        raise ModuleMismatchError(
            f"the module gives boxes, labels and scores of {shapes}; expected {EXPECTED}"
        )
    boxes, labels, scores = parts
    return boxes, labels, scores
