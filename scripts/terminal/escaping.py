"""What comes from files, versions and servers, as a terminal may show it: the one place through which all is printed.

A label or the name of a tensor may hold anything: codes that colour, clear or retitle a terminal, marks that turn the
direction of writing, ends of lines, rich's own markup. `escaped` makes them visible. Whatever a command prints goes
through this module's Console, and is escaped there: tests/test_layering.py lets no other file print.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import rich.console
import rich.text
from rich.segment import Segment


def escaped(text: str) -> str:
    r"""Return ``text`` with ``\x1b``, ``\n`` or ``\u202e`` for each character that is not printable; spaces stay."""
    return text if text.isprintable() else "".join(map(_visible, text))


def escaped_json(value: Any, *, indent: int | None = 2) -> str:  # noqa: ANN401 - any JSON
    """Return JSON of the same value that has only printable characters, and ends of lines where it is indented."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _NOT_ASCII.sub(lambda found: found[0] if _stays(found[0]) else json.dumps(found[0])[1:-1], text)


_NOT_ASCII = re.compile(r"[^\n\x20-\x7e]")  # what is below a space, json.dumps has escaped


def _stays(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _visible(character: str) -> str:
    return character if _stays(character) else character.encode("unicode_escape").decode()


class Text(rich.text.Text):
    """A line for a terminal, escaped as it is put together: rich would leave some characters out without a word."""

    def __init__(self, text: str = "", style: str = "") -> None:
        super().__init__(escaped(text), style)

    @classmethod
    def assemble(cls, *parts: rich.text.Text | str | tuple[str, str]) -> Text:  # type: ignore[override]
        """Return one line of several parts: texts, or pairs of a text and its style."""
        line = cls()
        for part in parts:
            line.append(*(part if isinstance(part, tuple) else (part,)))
        return line

    def __add__(self, other: rich.text.Text | str) -> Text:
        return Text.assemble(self, other)

    def append(self, text: rich.text.Text | str, style: Any = None) -> Text:  # noqa: ANN401 - rich's
        """See rich; what is appended is escaped."""
        super().append(escaped(text) if isinstance(text, str) else text, style)
        return self


class Console(rich.console.Console):
    """Prints strings as they are, without rich's markup, and escapes whatever was not escaped before."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> rich.text.Text:  # noqa: ANN401 - rich's
        """See rich; strings that are printed, and those in tables."""
        return super().render_str(escaped(text), **options)

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:  # noqa: ANN401 - rich's
        """See rich; only rich's own codes, which are no text, go to the terminal unescaped."""
        for segment in super().render(*arguments, **options):
            text, style, control = segment
            if control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(escaped, text.split("\n"))), style)
