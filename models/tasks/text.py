"""The tasks whose rows are texts: what their configs share, and the config of each."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from statehouse.models.tasks.config import Label, Meaning, TaskConfig, refuse, repeated

MAX_TOKENIZER_BYTES = 32 * 1024 * 1024
MAX_TOKENS = 32_768

Score = Annotated[float, Field(ge=0, le=1)]


class TextTask(TaskConfig):
    """Text in: a row is one text.

    `tokenizer` is what Hugging Face's `tokenizers` saves (tokenizer.json), as text; its own truncation and padding
    are not used. The module gets token ids and, unless `attention_mask` is false, what is no padding:
    `module(input_ids=…, attention_mask=…)`, both int64 (rows, tokens of the longest row). A text of more than
    `max_tokens`, special tokens included, is cut (`truncate`) or refused.
    """

    tokenizer: str = Field(min_length=2)
    max_tokens: int = Field(gt=0, le=MAX_TOKENS)
    too_long: Literal["truncate", "refuse"] = "truncate"
    max_characters: int = Field(default=100_000, gt=0, le=10_000_000)
    pad_token_id: int = Field(default=0, ge=0)
    attention_mask: bool = True

    @model_validator(mode="after")
    def _tokenizer_is_bounded(self) -> TextTask:
        size = len(self.tokenizer.encode())
        if size > MAX_TOKENIZER_BYTES:
            return refuse(
                self,
                [
                    f"tokenizer has {size:,} bytes; expected a tokenizer.json of at most {MAX_TOKENIZER_BYTES:,}"
                ],
            )
        return self

    def to_facts(self) -> dict[str, Any]:
        """Return what to tell of the tokenizer: too long to be read."""
        text = self.tokenizer.encode()
        return self.to_plain() | {
            "tokenizer": {"sha256": hashlib.sha256(text).hexdigest(), "size_bytes": len(text)}
        }


class PromptedTextTask(TextTask):
    """Text in, behind a prompt: one of `prompts`, by name, where a request names it, else `default_prompt`, if any."""

    later_fields = (*TextTask.later_fields, "prompts", "default_prompt")

    prompts: dict[Label, str] = Field(default_factory=dict)
    default_prompt: Label | None = None

    @model_validator(mode="after")
    def _default_is_a_prompt(self) -> PromptedTextTask:
        if self.default_prompt is None or self.default_prompt in self.prompts:
            return self
        known = ", ".join(self.prompts) or "there are none"
        return refuse(self, [f"default_prompt is {self.default_prompt!r}; expected one of prompts: {known}"])


class TextClassificationTask(PromptedTextTask):
    """Text in, labels with scores out: of one choice (softmax), or of each label by itself (`multi_label`, sigmoid).

    With `multi_label` every label of at least `threshold` is in the answer's `labels`. With `pairs` a row is two texts,
    as a reranker takes them; a module that takes `token_type_ids` is told which token is of which, unless they are off.
    """

    later_fields = (*PromptedTextTask.later_fields, "outputs", "pairs", "token_type_ids")

    task: Literal["text_classification"] = "text_classification"
    labels: list[Label] = Field(min_length=1)
    multi_label: bool = False
    threshold: Score = 0.5
    top_k: int = Field(default=5, gt=0)
    outputs: Meaning | None = None
    pairs: bool = False
    token_type_ids: bool = True

    @model_validator(mode="after")
    def _labels_differ(self) -> TextClassificationTask:
        return refuse(self, repeated("labels", self.labels))


class EmbeddingTask(PromptedTextTask):
    """Text in, one vector out.

    The module gives a vector per token, which `pooling` makes one: the mean of those that are no padding, the
    first (`cls`), or the largest of each component; or a vector per text (`none`). `normalise` divides it by its
    Euclidean length; then `truncate_dim`, if given, keeps that many components. Without `include_prompt` the prompt's
    tokens have no part in the pooling.
    """

    later_fields = (*PromptedTextTask.later_fields, "include_prompt", "truncate_dim")

    task: Literal["embedding"] = "embedding"
    pooling: Literal["mean", "cls", "max", "none"] = "mean"
    normalise: bool = True
    include_prompt: bool = True
    truncate_dim: int | None = Field(default=None, gt=0)


class TokenClassificationTask(TextTask):
    """Text in, labelled pieces of it out, each with a score and where it begins and ends, in characters.

    `aggregation`: `spans` joins neighbouring tokens of one label, B- and I- before its name as usual; `none` tells
    each token. Tokens of `ignored_labels` are not told.
    """

    task: Literal["token_classification"] = "token_classification"
    labels: list[Label] = Field(min_length=1)
    aggregation: Literal["spans", "none"] = "spans"
    ignored_labels: list[Label] = Field(default_factory=lambda: ["O"])

    @model_validator(mode="after")
    def _labels_differ(self) -> TokenClassificationTask:
        return refuse(self, repeated("labels", self.labels))
