"""Between rows of token ids and a module that takes texts: what it is given, and the one tensor taken of its answer."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.text.encoder import PADDING, UNPOOLED
from statehouse.models.tasks.text import EmbeddingTask, TextClassificationTask, TextTask


class TextModule(nn.Module):
    """Gives `module` ids and mask; takes its tensor, or of several the first that is called as one of `outputs`."""

    def __init__(self, module: nn.Module, task: TextTask, outputs: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.pad_token_id, self.takes_mask = task.pad_token_id, task.attention_mask
        self.outputs = tuple(outputs)
        told = isinstance(task, TextClassificationTask) and task.pairs and task.token_type_ids
        self.takes_types = told and "token_type_ids" in inspect.signature(module.forward).parameters

    def forward(self, rows: Tensor) -> Tensor:
        """Return what the module gives for int64 rows (N, tokens), -1 where there is no token.

        Of pairs (N, tokens, 2): the id, and which of the two texts the token is of.
        """
        if rows.ndim == 2:
            return self.answer(rows, rows >= 0)
        ids, types = rows.unbind(dim=2)
        return self.answer(ids, ids >= 0, types)

    def answer(self, ids: Tensor, mask: Tensor, types: Tensor | None = None) -> Tensor:
        """Return the module's own tensor; `mask` (N, tokens) is false where there is no token."""
        given = {"input_ids": ids.masked_fill(~mask, self.pad_token_id)}
        if self.takes_mask:
            given["attention_mask"] = mask.long()
        if self.takes_types and types is not None:
            given["token_type_ids"] = types.masked_fill(~mask, 0)
        answered = self.module(**given)
        tensors = [answered, *(getattr(answered, name, None) for name in self.outputs)]
        tensor = next((each for each in tensors if isinstance(each, Tensor)), None)
        if tensor is None:
            raise ModuleMismatchError(
                f"the module answers with a {type(answered).__name__}; expected a tensor, or one as its "
                f"{' or '.join(self.outputs)}"
            )
        return tensor


class EmbeddingModule(TextModule):
    """One vector per text, float32 (N, size): pooled, divided by its length and cut as the task says."""

    def __init__(self, module: nn.Module, task: EmbeddingTask) -> None:
        super().__init__(module, task, ("last_hidden_state",))
        self.pooling, self.normalise = task.pooling, task.normalise
        self.include_prompt, self.truncate_dim = task.include_prompt, task.truncate_dim

    def forward(self, rows: Tensor) -> Tensor:
        """Return the vectors of int64 rows (N, tokens)."""
        ids = rows if self.include_prompt else torch.where(rows <= UNPOOLED, UNPOOLED - rows, rows)
        vectors = self.answer(ids, ids != PADDING).float()
        pooled = self._pool(vectors, (rows >= 0).unsqueeze(2))
        if self.normalise:
            pooled = nn.functional.normalize(pooled, dim=1)
        return pooled if self.truncate_dim is None else pooled[:, : self.truncate_dim]

    def _pool(self, vectors: Tensor, mask: Tensor) -> Tensor:
        expected = 2 if self.pooling == "none" else 3
        if vectors.ndim != expected:
            raise ModuleMismatchError(
                f"the module gives {list(vectors.shape[1:])} per text; pooling {self.pooling!r} needs one vector "
                f"per {'text' if expected == 2 else 'token'}"
            )
        if self.pooling == "mean":
            return (vectors * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        if self.pooling == "max":
            return vectors.masked_fill(~mask, float("-inf")).amax(dim=1)
        if self.pooling == "cls":
            return vectors[:, 0] if self.include_prompt else _first(vectors, mask)
        return vectors


def _first(vectors: Tensor, mask: Tensor) -> Tensor:
    """Return each row's first vector that counts: behind the prompt."""
    places = mask.int().argmax(dim=1, keepdim=True).expand(-1, 1, vectors.shape[2])
    return vectors.gather(1, places).squeeze(1)


class TokenModule(TextModule):
    """Per token its class, the class's score, and where it begins and ends: float32 (N, tokens, 4).

    Class -1: no part of the text. Rows are (N, tokens, 3): id, first character, end; float32 has room for those.
    """

    def __init__(self, module: nn.Module, task: TextTask, class_count: int) -> None:
        super().__init__(module, task, ("logits",))
        self.class_count = class_count

    def forward(self, rows: Tensor) -> Tensor:
        """Return the tokens of int64 rows."""
        ids, start, end = rows.unbind(dim=2)
        logits = self.answer(ids, ids >= 0)
        if logits.shape != (*ids.shape, self.class_count):
            raise ModuleMismatchError(
                f"the module gives {list(logits.shape[1:])} per text of {ids.shape[1]} tokens; expected one logit "
                f"per token and label, {[ids.shape[1], self.class_count]}"
            )
        scores, classes = torch.softmax(logits.float(), dim=2).max(dim=2)
        classes = classes.masked_fill(end <= start, -1)
        return torch.stack([classes.float(), scores, start.float(), end.float()], dim=2)


def require_vocabulary(module: nn.Module, vocabulary_size: int) -> None:
    """Raise ModuleMismatchError where the tokenizer gives ids that the wrapped module has no embedding for.

    It says which that is by `get_input_embeddings()`, as those of transformers do; what was recorded does not.
    """
    get_embeddings = getattr(getattr(module, "module", None), "get_input_embeddings", None)
    embeddings = get_embeddings() if callable(get_embeddings) else None
    rows = getattr(embeddings, "num_embeddings", None)
    if isinstance(rows, int) and vocabulary_size > rows:
        raise ModuleMismatchError(
            f"the tokenizer gives ids up to {vocabulary_size - 1}, and the module's embedding has {rows} rows; "
            "expected the tokenizer that the module was trained with"
        )
