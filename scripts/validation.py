"""pydantic's findings as sentences: where, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

Location = tuple[int | str, ...]
MAX_VALUE_CHARACTERS = 60


def problems_of(error: ValidationError, place: Callable[[Location], str] | None = None) -> list[str]:
    """Return one sentence per problem.

    ``place`` turns a location into the words that name it; dotted, when not given.
    """
    describe = place or dotted
    return [
        _sentence(describe(found["loc"]), found["msg"], found["input"], found["type"])
        for found in error.errors()
    ]


def dotted(location: Location) -> str:
    """Return ``models.digits.versions['1.0'].workers`` for a location."""
    words = ""
    for part in location:
        if isinstance(part, str) and part.replace("_", "a").isalnum():
            words += f".{part}" if words else part
        else:
            words += f"[{part!r}]"
    return words.replace("['[key]']", " (the key)")


def _sentence(place: str, message: str, value: object, kind: str) -> str:
    text = message.removeprefix("Value error, ").rstrip(".")
    prefix = f"{place}: " if place else ""
    if kind == "extra_forbidden":
        return f"{prefix}there is no such setting."
    if kind in ("missing", "value_error"):  # nothing was given; or our own text names the value
        return f"{prefix}{text}."
    return f"{prefix}{text} (found {_shorten(value)})."


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"
