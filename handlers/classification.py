"""Logits to labels with scores, the same for every task that classifies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from handlers.batch import Outputs
from handlers.errors import ModuleMismatchError
from handlers.schema import object_schema


def class_outputs(logits: torch.Tensor, labels: Sequence[str]) -> Outputs:
    """Take the softmax: `label` and `score` of the best class, `scores` of all, float32.

    Raises ModuleMismatchError where the module does not give one logit per label.
    """
    if logits.ndim != 2 or logits.shape[1] != len(labels):
        raise ModuleMismatchError(
            f"the module gives {list(logits.shape[1:])} per row; expected one logit per label, {len(labels)}"
        )
    scores = torch.softmax(logits.float(), dim=1).cpu().numpy()
    best = scores.argmax(axis=1)
    return {
        "label": np.array(labels, dtype=object)[best],
        "score": scores[np.arange(len(scores)), best],
        "scores": scores,
    }


def class_answers(outputs: Outputs, labels: Sequence[str], top_k: int) -> list[Any]:
    """`{"label", "score", "top_k": [{"label", "score"}, …]}` per row, best first."""
    scores = outputs["scores"]
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(scores, order, axis=1)
    return [
        {
            "label": labels[places[0]],
            "score": values[0],
            "top_k": [
                {"label": labels[place], "score": value} for place, value in zip(places, values, strict=True)
            ],
        }
        for places, values in zip(order.tolist(), best, strict=True)
    ]


def class_schema(labels: Sequence[str], top_k: int) -> dict[str, Any]:
    """JSON Schema of one answer of `class_answers`."""
    label = {"type": "string", "enum": list(labels)}
    score = {"type": "number", "minimum": 0, "maximum": 1}
    count = min(top_k, len(labels))
    ranked = {
        "type": "array",
        "items": object_schema({"label": label, "score": score}),
        "minItems": count,
        "maxItems": count,
    }
    return object_schema({"label": label, "score": score, "top_k": ranked})
