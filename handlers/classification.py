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
    _require_one_per_label(logits, labels)
    return _outputs(torch.softmax(logits.float(), dim=1), labels)


def multi_label_outputs(logits: torch.Tensor, labels: Sequence[str]) -> Outputs:
    """Take the sigmoid of each logit; the outputs, and what is raised, are those of `class_outputs`."""
    _require_one_per_label(logits, labels)
    return _outputs(torch.sigmoid(logits.float()), labels)


def _outputs(scored: torch.Tensor, labels: Sequence[str]) -> Outputs:
    scores = scored.cpu().numpy()
    best = scores.argmax(axis=1)
    return {
        "label": np.array(labels, dtype=object)[best],
        "score": scores[np.arange(len(scores)), best],
        "scores": scores,
    }


def _require_one_per_label(logits: torch.Tensor, labels: Sequence[str]) -> None:
    if logits.ndim != 2 or logits.shape[1] != len(labels):
        raise ModuleMismatchError(
            f"the module gives {list(logits.shape[1:])} per row; expected one logit per label, {len(labels)}"
        )


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


def multi_label_answers(outputs: Outputs, labels: Sequence[str], top_k: int, threshold: float) -> list[Any]:
    """As `class_answers`, with all labels of at least `threshold`, best first, as `labels`."""
    answers = class_answers(outputs, labels, top_k)
    for answer, scores in zip(answers, outputs["scores"], strict=True):
        places = [place for place in np.argsort(-scores, kind="stable") if scores[place] >= threshold]
        answer["labels"] = [{"label": labels[place], "score": scores[place]} for place in places]
    return answers


def multi_label_schema(labels: Sequence[str], top_k: int) -> dict[str, Any]:
    """JSON Schema of one answer of `multi_label_answers`."""
    schema = class_schema(labels, top_k)
    members = schema["properties"]
    chosen = {"type": "array", "items": members["top_k"]["items"], "maxItems": len(labels)}
    return object_schema(members | {"labels": chosen})


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
