"""What a classifier's outputs are: logits, or probabilities already, which a second softmax would flatten.

Derived from what the module gives, where the task's config does not say it. Imports torch: import it late.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from statehouse.handlers.bodies.payload import decode
from statehouse.handlers.errors import RequestError
from statehouse.handlers.request import Request
from statehouse.models.checkpoint import Checkpoint
from statehouse.models.example import Example
from statehouse.models.tasks.config import Meaning
from statehouse.models.tasks.registry import ImageClassificationTask, TabularTask, Task
from statehouse.models.tasks.text import TextClassificationTask
from statehouse.scripts.publishing.source import Handler

CLASSIFIERS = (ImageClassificationTask, TabularTask, TextClassificationTask)
MADE_ROWS = 8
# Half precision adds up a softmax to 1 within this.
SUM_TOLERANCE = 1e-2


def is_unsaid(task: Task | None) -> bool:
    """Whether a task has labels, and its config does not say what they are scored by."""
    return isinstance(task, CLASSIFIERS) and task.outputs is None and bool(task.labels)


def derive_meaning(
    checkpoint: Checkpoint, handler: Handler, examples: list[Example]
) -> tuple[Checkpoint, str | None, list[str]]:
    """Return the checkpoint with ``outputs`` in its task where they are no logits, what to tell of that, and problems.

    ``examples`` are the requests that become golden; made ones are asked beside them.
    """
    task = checkpoint.header.task
    if task is None or not is_unsaid(task):
        return checkpoint, None, []
    given = _outputs_of(handler, examples)
    if given is None or given.ndim != 2:
        return checkpoint, None, []
    if given.shape[1] == 1 or (isinstance(task, TextClassificationTask) and task.multi_label):
        return checkpoint, None, _ask(given)
    meaning = _meaning_of(given)
    if meaning is None:
        return checkpoint, None, []
    meant = task.model_copy(update={"outputs": meaning})
    told = (
        f"the module gives {meaning.replace('_', ' ')} already, on all {len(given)} rows: they are answered as "
        'they are (outputs in the task\'s config; --task-config \'{"outputs": "logits"}\' says otherwise)'
    )
    return replace(checkpoint, header=replace(checkpoint.header, task=meant)), told, []


def _outputs_of(handler: Handler, examples: list[Example]) -> torch.Tensor | None:
    requests = [Request(each.body, each.content_type) for each in examples]
    requests += [handler.make_example(seed) for seed in range(1, MADE_ROWS + 1)]
    found = []
    for request in requests:
        try:
            output = handler.inference(handler.preprocess(decode(request, handler).rows.copy()))
        except RequestError:  # it is told when the golden examples are answered
            continue
        if not isinstance(output, torch.Tensor):
            return None
        found.append(output.double())
    return torch.cat(found)


def _meaning_of(given: torch.Tensor) -> Meaning | None:
    if bool((given >= 0).all()) and _sums_to_one(given):
        return "probabilities"
    if bool((given <= 0).all()) and _sums_to_one(given.exp()):
        return "log_probabilities"
    return None


def _sums_to_one(given: torch.Tensor) -> bool:
    return bool(((given.sum(dim=1) - 1).abs() < SUM_TOLERANCE).all())


def _ask(given: torch.Tensor) -> list[str]:
    """Outputs from 0 to 1 may be either: the sigmoid of a probability would be wrong without being seen."""
    least, most = float(given.min()), float(given.max())
    if least < 0 or most > 1:
        return []
    return [
        f"outputs: what the module gives was from {least:.3g} to {most:.3g} on all {len(given)} rows, so it may be "
        'a probability already, and nobody can tell: say --task-config \'{"outputs": "probabilities"}\' where the '
        'module ends in a sigmoid, or \'{"outputs": "logits"}\' where it does not'
    ]
