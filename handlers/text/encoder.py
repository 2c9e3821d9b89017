"""Texts to rows of token ids, by the tokenizer that the checkpoint carries.

`tokenizers` is imported only here and only when a text task is served: a fork server that is older than its
installation need not know it. Texts are encoded one by one, which starts no thread of its Rust side: the worker's
threads are torch's.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.errors import InvalidInputError, ModuleMismatchError
from statehouse.handlers.text.given import GivenText, TextForm
from statehouse.models.extras import import_extra
from statehouse.models.tasks.text import EmbeddingTask, TextTask

PADDING = -1
UNPOOLED = -2
"""Of a token without a part in the pooling: this minus its id."""
SENTENCES = (
    "The train to the coast leaves at nine and arrives before noon.",
    "Nobody had expected that the small museum would be so full on a Monday.",
    "Please send the report again; the last page could not be read.",
    "Fresh bread, two apples and a bottle of water are enough for the walk.",
)
"""What made examples say."""
TRIED_WORDS = 100


class TextEncoder:
    """Rows are int32 (max_tokens,): the ids, then -1. Of pairs (max_tokens, 2): id, and which text it is of.

    With `offsets` they are (max_tokens, 3): id, first character, end.
    """

    def __init__(self, task: TextTask, *, offsets: bool = False) -> None:
        self._task, self._offsets = task, offsets
        self._tokenizer = read_tokenizer(task.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.form = TextForm(task)
        self._special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=self.form.pairs)
        if self._special_tokens >= task.max_tokens:
            raise ModuleMismatchError(
                f"max_tokens is {task.max_tokens}, and the tokenizer adds {self._special_tokens} special tokens "
                "to every text; expected room for the text's own"
            )
        excluded = isinstance(task, EmbeddingTask) and not task.include_prompt
        prompts = [words for words in self.form.prompts.values() if words and excluded]
        self._unpooled = {words: self._length_alone(words) for words in prompts}
        if task.too_long == "truncate":
            self._tokenizer.enable_truncation(task.max_tokens)
        columns = 3 if offsets else 2 if self.form.pairs else 1
        self.row_shape = (task.max_tokens,) if columns == 1 else (task.max_tokens, columns)
        self.row_dtype = np.dtype("i4")

    def vocabulary_size(self) -> int:
        """One more than the highest id that the tokenizer, or padding, can give."""
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        highest: int = max([*ids, self._task.pad_token_id])
        return highest + 1

    def row(self, value: object) -> NDArray[np.int32]:
        """The row of a text, or of a pair; raises InvalidInputError on what is none, empty or too long."""
        given = self.form.read(value)
        encoding = self._encode(given)
        ids = encoding.ids
        if len(ids) > self._task.max_tokens:
            raise InvalidInputError(
                f"The text has {len(ids)} tokens; at most {self._task.max_tokens} fit this model. Send parts of it."
            )
        if len(ids) <= self._special_tokens:
            raise InvalidInputError(
                f"{shorten(value)} has no token; expected words that the tokenizer knows."
            )
        row = np.full(self.row_shape, PADDING, self.row_dtype)
        if row.ndim == 1:
            row[: len(ids)] = ids
            unpooled = self._unpooled.get(given.prompt, 0)
            row[:unpooled] = np.where(row[:unpooled] >= 0, UNPOOLED - row[:unpooled], PADDING)
            if not (row >= 0).any():
                raise InvalidInputError(
                    f"{shorten(value)} has no token left behind its prompt, which takes {unpooled} of the "
                    f"{self._task.max_tokens} tokens that fit this model; send it with a shorter prompt, or none."
                )
            return row
        row[: len(ids), 0] = ids
        if not self._offsets:
            row[: len(ids), 1] = encoding.type_ids
            return row
        row[: len(ids), 1:] = encoding.offsets
        row[np.flatnonzero(encoding.special_tokens_mask), 1:] = 0  # they stand for no part of the text
        return row

    def make_value(self, seed: int) -> object:
        """A row as a client writes it, of a few words that have tokens; the same for the same seed."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=False)
        words = sorted(filter(str.isalpha, vocabulary), key=lambda word: (len(word), word))
        known = [*words[-(seed % 10) - 1 :], *words[: -(seed % 10) - 1]][:TRIED_WORDS]
        prompts = [None, *self.form.prompts]
        for text in (SENTENCES[seed % len(SENTENCES)], *known):
            second = SENTENCES[(seed + 1) % len(SENTENCES)] if text in SENTENCES else text
            value = self.form.write(text, second, prompts[seed % len(prompts)])
            try:
                self.row(value)
            except InvalidInputError:  # the tokenizer has no such words, or the model takes fewer of them
                continue
            return value
        raise ModuleMismatchError(
            f"the tokenizer takes neither a sentence nor any of {len(known)} words of its own vocabulary; "
            "is it the one of this model?"
        )

    def _encode(self, given: GivenText) -> Any:  # noqa: ANN401 - the library's own
        try:
            return self._tokenizer.encode(given.prompt + given.text, given.second)
        except Exception as error:  # a tokenizer without a token for unknown words raises what it likes
            texts = given.text if given.second is None else [given.text, given.second]
            raise InvalidInputError(f"The tokenizer cannot read {shorten(texts)}: {error}.") from error

    def _length_alone(self, prompt: str) -> int:
        """How many tokens a prompt has by itself, without a special one at its end, as sentence-transformers counts."""
        encoding = self._tokenizer.encode(prompt)
        ends_specially = bool(encoding.special_tokens_mask) and encoding.special_tokens_mask[-1] == 1
        return len(encoding.ids) - ends_specially


def read_tokenizer(text: str) -> Any:  # noqa: ANN401 - the library may be absent
    """The `tokenizers.Tokenizer` of a tokenizer.json.

    Raises:
        MissingExtraError: `tokenizers` is not installed.
        ModuleMismatchError: the text is no tokenizer that it can read.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # whatever it would start, it must not
    tokenizers = import_extra("tokenizers", "text", needed_for="tasks that take texts")
    try:
        return tokenizers.Tokenizer.from_str(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - what panics in Rust is no Exception here
        said = " ".join(str(error).split())[:200]
        raise ModuleMismatchError(
            f"the tokenizer cannot be read ({said}); expected the text of a tokenizer.json, "
            "as tokenizers' Tokenizer.to_str() gives it"
        ) from None
