"""A row as a client writes it: a text, a pair of them, or an object that also names one of the task's prompts."""

from __future__ import annotations

from typing import Any, NamedTuple

from statehouse.handlers.bodies.numbers import shorten, type_name
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import InvalidInputError
from statehouse.models.tasks.text import PromptedTextTask, TextClassificationTask, TextTask

TEXT, SECOND_TEXT, PROMPT = "text", "text_pair", "prompt"


class GivenText(NamedTuple):
    """What one row says: its text, the second one of a pair, and the prompt's own words."""

    text: str
    second: str | None = None
    prompt: str = ""


class TextForm:
    """The forms that a row of a task has: reads them, describes them, makes them."""

    def __init__(self, task: TextTask) -> None:
        self.pairs = isinstance(task, TextClassificationTask) and task.pairs
        self.prompts = task.prompts if isinstance(task, PromptedTextTask) else {}
        self._usual = (
            task.prompts.get(task.default_prompt or "", "") if isinstance(task, PromptedTextTask) else ""
        )
        self._max_characters = task.max_characters
        self._texts = [TEXT, SECOND_TEXT] if self.pairs else [TEXT]

    def is_several(self, value: object) -> bool:
        """Whether a list is several rows: one of two strings is a pair, where rows are pairs."""
        if not isinstance(value, list):
            return False
        return not (self.pairs and all(isinstance(each, str) for each in value))

    def read(self, value: object) -> GivenText:
        """Return what a row says; raises InvalidInputError on what is none."""
        given = self._members(value)
        members = [*self._texts, *([PROMPT] if self.prompts else [])]
        missing = [name for name in self._texts if name not in given]
        unknown = [name for name in given if name not in members]
        if missing or unknown:
            wrong = [
                *(f"{name!r} is missing" for name in missing),
                *(f"{shorten(name)} is unknown" for name in unknown),
            ]
            raise InvalidInputError(f"{', '.join(wrong)}; expected {self._expected()}.")
        texts = [self._checked(given[name]) for name in self._texts]
        return GivenText(texts[0], texts[1] if self.pairs else None, self._prompt(given))

    def write(self, text: str, second: str, prompt: str | None) -> object:
        """Return the row of these, as a client would write it; `second` is of use to pairs alone."""
        if not self.pairs and prompt is None:
            return text
        named = {TEXT: text} | ({SECOND_TEXT: second} if self.pairs else {})
        return named if prompt is None else named | {PROMPT: prompt}

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a row."""
        text = {"type": "string", "minLength": 1, "maxLength": self._max_characters}
        if not self.pairs and not self.prompts:
            return text
        named = object_schema(dict.fromkeys(self._texts, text))
        if self.prompts:
            named["properties"] |= {PROMPT: {"type": "string", "enum": list(self.prompts)}}
        short = {"type": "array", "items": text, "minItems": 2, "maxItems": 2} if self.pairs else text
        return {"anyOf": [named, short]}

    def tensors(self) -> list[dict[str, Any]]:
        """The tensors that a request of the Open Inference Protocol must have."""
        return [text_tensor(name) for name in self._texts]

    def _members(self, value: object) -> dict[str, Any]:
        if isinstance(value, str) and not self.pairs:
            return {TEXT: value}
        if self.pairs and isinstance(value, list) and len(value) == len(self._texts):
            return dict(zip(self._texts, value, strict=True))
        if isinstance(value, dict) and (self.pairs or self.prompts):
            return value
        raise InvalidInputError(f"{shorten(value)} is {type_name(value)}; expected {self._expected()}.")

    def _expected(self) -> str:
        if not self.pairs and not self.prompts:
            return "a text"
        named = ", ".join(f'"{name}": "…"' for name in self._texts)
        prompt = ', and perhaps "prompt"' if self.prompts else ""
        return f"{'a pair of texts' if self.pairs else 'a text'}, or {{{named}}}{prompt}"

    def _checked(self, text: object) -> str:
        if not isinstance(text, str):
            raise InvalidInputError(f"{shorten(text)} is {type_name(text)}; expected a text.")
        if not text.strip():
            raise InvalidInputError("The text is empty; expected at least one word.")
        if len(text) > self._max_characters:
            raise InvalidInputError(
                f"The text has {len(text)} characters; at most {self._max_characters} are taken. Send parts of it."
            )
        return text

    def _prompt(self, given: dict[str, Any]) -> str:
        if PROMPT not in given:
            return self._usual
        name = given[PROMPT]
        if not isinstance(name, str) or name not in self.prompts:
            raise InvalidInputError(
                f"prompt {shorten(name)} is unknown; expected one of {', '.join(self.prompts)}."
            )
        return self.prompts[name]


def text_tensor(name: str) -> dict[str, Any]:
    """A tensor of texts, one per row, as the Open Inference Protocol's metadata gives it."""
    return {"name": name, "datatype": "BYTES", "shape": [-1]}
