"""Outputs of a module to labels with scores, the same for every task that classifies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.pipeline.batch import Outputs
from statehouse.models.tasks.config import Meaning


def class_outputs(given: torch.Tensor, labels: Sequence[str], meaning: Meaning | None = None) -> Outputs:
    """Score one choice of labels: `label` and `score` of the best class, `scores` of all, float32.

    `given`, (rows, outputs), are logits unless `meaning` says otherwise: then the scores are their softmax. One output
    is never that, which would always be 1: it is the second of two labels', or the only label's, and logits of it are
    scored by the sigmoid.

    Raises ModuleMismatchError where the module does not give one output per label, or one for two.
    """
    one = given.ndim == 2 and given.shape[1] == 1 and len(labels) <= 2
    if not one:
        _require_one_per_label(given, labels)
    given = given.float()
    if meaning in (None, "logits"):
        scored = torch.sigmoid(given) if one else torch.softmax(given, dim=1)
    else:
        scored = given.exp() if meaning == "log_probabilities" else given
    if one and len(labels) == 2:
        scored = torch.cat([1 - scored, scored], dim=1)
    return _outputs(scored, labels)


def multi_label_outputs(
    given: torch.Tensor, labels: Sequence[str], meaning: Meaning | None = None
) -> Outputs:
    """Score each label by itself, logits by the sigmoid; the outputs, and what is raised, are as of `class_outputs`."""
    _require_one_per_label(given, labels)
    given = given.float()
    if meaning in (None, "logits"):
        return _outputs(torch.sigmoid(given), labels)
    return _outputs(given.exp() if meaning == "log_probabilities" else given, labels)


def _outputs(scored: torch.Tensor, labels: Sequence[str]) -> Outputs:
    scores = scored.cpu().numpy()
    best = scores.argmax(axis=1)
    return {
        "label": np.array(labels, dtype=object)[best],
        "score": scores[np.arange(len(scores)), best],
        "scores": scores,
    }


def _require_one_per_label(given: torch.Tensor, labels: Sequence[str]) -> None:
    if given.ndim != 2 or given.shape[1] != len(labels):
        raise ModuleMismatchError(
            f"the module gives {list(given.shape[1:])} per row; expected one output per label, {len(labels)}"
            + (", or one for both" if len(labels) == 2 else "")
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


def multi_label_schema(labels: Sequence[str], top_k: int, meaning: Meaning | None = None) -> dict[str, Any]:
    """JSON Schema of one answer of `multi_label_answers`."""
    schema = class_schema(labels, top_k, meaning)
    members = schema["properties"]
    chosen = {"type": "array", "items": members["top_k"]["items"], "maxItems": len(labels)}
    return object_schema(members | {"labels": chosen})


def class_schema(labels: Sequence[str], top_k: int, meaning: Meaning | None = None) -> dict[str, Any]:
    """JSON Schema of one answer of `class_answers`."""
    label = {"type": "string", "enum": list(labels)}
    score: dict[str, Any] = {"type": "number"}
    if meaning != "values":
        score |= {"minimum": 0, "maximum": 1}
    count = min(top_k, len(labels))
    ranked = {
        "type": "array",
        "items": object_schema({"label": label, "score": score}),
        "minItems": count,
        "maxItems": count,
    }
    return object_schema({"label": label, "score": score, "top_k": ranked})


def value_outputs(outputs: torch.Tensor, *, mean: float, std: float) -> Outputs:
    """`output * std + mean` as `value`, float32; raises ModuleMismatchError unless there is one per row."""
    if outputs.numel() != len(outputs):
        raise ModuleMismatchError(
            f"the module gives {list(outputs.shape[1:])} per row; expected one number, for a regression"
        )
    values = outputs.reshape(-1).double().cpu().numpy() * std + mean
    with np.errstate(over="ignore"):
        return {"value": values.astype(np.float32)}
