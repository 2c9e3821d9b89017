"""JSON bodies, read strictly: UTF-8, no member twice, and an error that says where it broke."""

import json
from collections import Counter
from typing import Any, TypeAlias

import orjson

from statehouse.handlers.errors import BrokenJsonError, BrokenTextError, EmptyBodyError
from statehouse.handlers.request import Body

Json: TypeAlias = Any
"""A parsed JSON document."""

NESTED_TOO_DEEPLY = "The document is nested too deeply; no input needs hundreds of levels"
# orjson sizes its memory by the text: brackets that are never closed meet that limit before the other one.
DEPTH_MESSAGES = ("depth limit exceeded", "failed to allocate memory")


def parse_json(body: Body) -> Json:
    """The document in `body`.

    Raises:
        EmptyBodyError: there is nothing but white space.
        BrokenTextError: it is not UTF-8; says at which byte.
        BrokenJsonError: it is not JSON, says at which line and column; or an object has a member twice.
    """
    try:
        document = orjson.loads(body)
        # Cheap and exact: every member needs a colon, so only a surplus of colons calls for a closer look.
        if body.count(b":") != _member_count(document):
            _refuse_duplicates(body)
    except orjson.JSONDecodeError as error:
        raise _explain(body, error) from error
    except RecursionError as error:
        raise BrokenJsonError(f"{NESTED_TOO_DEEPLY}.") from error
    return document


def decode_text(body: Body) -> str:
    """`body` as UTF-8 text; raises BrokenTextError with the position of the first wrong byte."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenTextError(
            f"Byte {error.start} (0x{body[error.start]:02x}) is not UTF-8 ({error.reason}). "
            "Send the text encoded as UTF-8."
        ) from error


def _explain(body: Body, error: orjson.JSONDecodeError) -> Exception:
    if not body.strip():
        return EmptyBodyError("The body is empty; a JSON document was expected.")
    try:
        decode_text(body)
    except BrokenTextError as broken:
        return broken
    if error.msg.lower().startswith(DEPTH_MESSAGES):
        return BrokenJsonError(f"{NESTED_TOO_DEEPLY} (character {error.pos}).")
    said = error.msg[:1].upper() + error.msg[1:]
    return BrokenJsonError(f"{said} at line {error.lineno}, column {error.colno} (character {error.pos}).")


def _member_count(document: Json) -> int:
    """Members of all objects; lists that do not begin with a container are taken to hold none."""
    if isinstance(document, dict):
        nested = (value for value in document.values() if isinstance(value, dict | list))
        return len(document) + sum(map(_member_count, nested))
    if isinstance(document, list) and document and isinstance(document[0], dict | list):
        return sum(map(_member_count, document))
    return 0


def _refuse_duplicates(body: Body) -> None:
    duplicates: set[str] = set()

    def note(pairs: list[tuple[str, Any]]) -> None:
        duplicates.update(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)

    json.loads(body, object_pairs_hook=note)
    if duplicates:
        names = ", ".join(repr(name) for name in sorted(duplicates)[:20])
        raise BrokenJsonError(f"The same member is given more than once: {names}. Give each once.")
