"""Texts to rows of token ids, by the tokenizer that the checkpoint carries.

`tokenizers` is imported only here and only when a text task is served: a fork server that is older than its
installation need not know it. Texts are encoded one by one, which starts no thread of its Rust side: the worker's
threads are torch's.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.errors import InvalidInputError, ModuleMismatchError
from handlers.numbers import shorten, type_name
from models.extras import import_extra
from models.text_task import TextTask

PADDING = -1
SENTENCES = (
    "The train to the coast leaves at nine and arrives before noon.",
    "Nobody had expected that the small museum would be so full on a Monday.",
    "Please send the report again; the last page could not be read.",
    "Fresh bread, two apples and a bottle of water are enough for the walk.",
)
"""What made examples say."""
TRIED_WORDS = 100


class TextEncoder:
    """Rows are int32 (max_tokens,): the ids, then -1; with `offsets` (max_tokens, 3): id, first character, end."""

    def __init__(self, task: TextTask, *, offsets: bool = False) -> None:
        self._task, self._offsets = task, offsets
        self._tokenizer = read_tokenizer(task.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if self._special_tokens >= task.max_tokens:
            raise ModuleMismatchError(
                f"max_tokens is {task.max_tokens}, and the tokenizer adds {self._special_tokens} special tokens "
                "to every text; expected room for the text's own"
            )
        if task.too_long == "truncate":
            self._tokenizer.enable_truncation(task.max_tokens)
        self.row_shape = (task.max_tokens, 3) if offsets else (task.max_tokens,)
        self.row_dtype = np.dtype("i4")

    def vocabulary_size(self) -> int:
        """One more than the highest id that the tokenizer, or padding, can give."""
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        highest: int = max([*ids, self._task.pad_token_id])
        return highest + 1

    def row(self, text: object) -> NDArray[np.int32]:
        """The row of one text; raises InvalidInputError on what is no text, empty or too long."""
        encoding = self._encode(self._checked(text))
        ids = encoding.ids
        if len(ids) > self._task.max_tokens:
            raise InvalidInputError(
                f"The text has {len(ids)} tokens; at most {self._task.max_tokens} fit this model. Send parts of it."
            )
        if len(ids) <= self._special_tokens:
            raise InvalidInputError(f"{shorten(text)} has no token; expected words that the tokenizer knows.")
        row = np.full(self.row_shape, PADDING, self.row_dtype)
        if not self._offsets:
            row[: len(ids)] = ids
            return row
        row[: len(ids), 0] = ids
        row[: len(ids), 1:] = encoding.offsets
        row[np.flatnonzero(encoding.special_tokens_mask), 1:] = 0  # they stand for no part of the text
        return row

    def make_text(self, seed: int) -> str:
        """A text of a few words that has tokens, the same for the same seed."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=False)
        words = sorted(filter(str.isalpha, vocabulary), key=lambda word: (len(word), word))
        known = [*words[-(seed % 10) - 1 :], *words[: -(seed % 10) - 1]][:TRIED_WORDS]
        for text in (SENTENCES[seed % len(SENTENCES)], *known):
            try:
                self.row(text)
            except InvalidInputError:  # the tokenizer has no such words, or the model takes fewer of them
                continue
            return text
        raise ModuleMismatchError(
            f"the tokenizer takes neither a sentence nor any of {len(known)} words of its own vocabulary; "
            "is it the one of this model?"
        )

    def _encode(self, text: str) -> Any:  # noqa: ANN401 - the library's own
        try:
            return self._tokenizer.encode(text)
        except Exception as error:  # a tokenizer without a token for unknown words raises what it likes
            raise InvalidInputError(f"The tokenizer cannot read {shorten(text)}: {error}.") from error

    def _checked(self, text: object) -> str:
        if not isinstance(text, str):
            raise InvalidInputError(f"{shorten(text)} is {type_name(text)}; expected a text.")
        if not text.strip():
            raise InvalidInputError("The text is empty; expected at least one word.")
        if len(text) > self._task.max_characters:
            raise InvalidInputError(
                f"The text has {len(text)} characters; at most {self._task.max_characters} are taken. "
                "Send parts of it."
            )
        return text


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
