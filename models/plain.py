"""Plain data: what JSON can say, checked before it is trusted, and always written the same way."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from statehouse.models.errors import CheckpointUnreadableError

Model = TypeVar("Model", bound=BaseModel)

MAX_DEPTH = 32
MAX_VALUES = 1_000_000  # a few hundred bytes of pickle can unfold into billions of values
NO_TEXT = "is no Unicode text: it has half a character, a lone surrogate"


def canonical_json(value: object) -> str:
    """Return `value` as JSON with sorted keys and no spaces: equal data gives equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_json_object(path: Path, text: str | bytes, what: str) -> dict[str, Any]:
    """Return the JSON object that `what` of the file at `path` is; raises CheckpointUnreadableError."""
    try:
        plain = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadableError(f"{path}: {what} is no JSON ({error}); copy it again") from error
    if not isinstance(plain, dict):
        raise CheckpointUnreadableError(f"{path}: {what} is {text[:40]!r}; expected a JSON object")
    return plain


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def plain_problems(
    value: object, path: str = "", *, also: tuple[type, ...] = (), json_only: bool = True
) -> list[str]:
    """Say everything in `value` that is not plain data; instances of `also` are let through as they are.

    Plain is None, bool, int, finite float, text, and lists, tuples and str-keyed dicts of these; without
    `json_only` also what pickle can say and JSON cannot: infinite floats, int keys, and str that is no text.
    """
    problems: list[str] = []
    for count, (where, depth, item) in enumerate(walk(value, path, also), start=1):
        if depth > MAX_DEPTH or count > MAX_VALUES:
            bound = f"{MAX_DEPTH} levels deep" if depth > MAX_DEPTH else f"{MAX_VALUES:,} values"
            return [*problems, f"{where}: nested beyond {bound}; expected plain, bounded data"]
        if not isinstance(item, also) and (problem := _plain_problem(item, json_only)):
            problems.append(f"{where}: {problem}")
    return problems


def walk(value: object, path: str, leaves: tuple[type, ...] = ()) -> Iterator[tuple[str, int, object]]:
    """Yield (path, depth, item) for `value` and everything inside; never looks into instances of `leaves`.

    Lazily: a caller that stops at a bound is safe from data that unfolds without end.
    """
    levels = [iter([(path, value)])]
    while levels:
        where, item = next(levels[-1], (None, None))
        if where is None:
            levels.pop()
            continue
        yield where, len(levels) - 1, item
        if not isinstance(item, leaves):
            levels.append(_children(where, item))


def _children(where: str, item: object) -> Iterator[tuple[str, object]]:
    if isinstance(item, dict):  # indexing, because a pickled OrderedDict can shadow its own .items
        yield from ((f"{where}.{key}" if where else str(key), item[key]) for key in item)
    elif isinstance(item, list | tuple):
        yield from ((f"{where}[{index}]", entry) for index, entry in enumerate(item))


def _plain_problem(item: object, json_only: bool) -> str | None:
    if isinstance(item, float):
        return f"{item} is not a finite number" if json_only and not math.isfinite(item) else None
    if isinstance(item, dict):
        return _key_problem(item, json_only)
    if isinstance(item, str):
        return f"{reprlib.repr(item)} {NO_TEXT}" if json_only and not is_text(item) else None
    if item is None or isinstance(item, bool | int | list | tuple):
        return None
    kind = f"{type(item).__module__}.{type(item).__qualname__}"
    return f"a {kind} is not plain data; expected None, bool, int, float, str, list or dict"


def _key_problem(item: dict[object, object], json_only: bool) -> str | None:
    for key in item:
        if not isinstance(key, str if json_only else str | int):
            return f"key {reprlib.repr(key)} is not a str"
        if json_only and isinstance(key, str) and not is_text(key):
            return f"key {reprlib.repr(key)} {NO_TEXT}"
    return None


def is_text(value: str) -> bool:
    """Whether `value` can be written as UTF-8; a pickle may hold halves of characters, lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def validate_plain(
    model: type[Model], data: Mapping[str, Any], path: str = ""
) -> tuple[Model | None, list[str]]:
    """Read `data` as `model` the way strict JSON would be read: a tuple counts as a list, "1" is no int.

    Returns the model and no problems, or None and every problem.
    """
    problems = plain_problems(data, path)
    if problems:
        return None, problems
    try:
        return model.model_validate_json(canonical_json(data), strict=True), []
    except ValidationError as error:
        return None, validation_problems(error, model, path)


def validation_problems(error: ValidationError, model: type[BaseModel], path: str = "") -> list[str]:
    """One line per problem: where, the bad value, what was expected."""
    return [_describe(detail, model, path) for detail in error.errors(include_url=False)]


def _describe(detail: ErrorDetails, model: type[BaseModel], path: str) -> str:
    where = _location(path, detail["loc"])
    if detail["type"] == "missing":
        return f"{where}: is missing"
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) > 1:  # a field of some part of `model`
        return f"{where}: is not a field here"
    if detail["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        return f"{where}: is not a field here{suggestion(str(detail['loc'][-1]), known)}"
    expected = detail["msg"].removeprefix("Value error, ")
    if not where:
        return expected
    return f"{where}: got {reprlib.repr(detail['input'])}; {expected[:1].lower()}{expected[1:]}"


def _location(path: str, loc: tuple[int | str, ...]) -> str:
    text = path
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def suggestion(name: str, known: Mapping[str, object] | list[str]) -> str:
    """Return ` (did you mean 'x'?)` where one of `known` is close to `name`, then what is known."""
    close = get_close_matches(name, list(known), n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{hint}; expected one of: {', '.join(known)}"
