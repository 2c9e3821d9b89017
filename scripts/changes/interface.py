"""What clients would meet if another version became the default: inputs, outputs, schemas and labels, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from statehouse.models.errors import listed
from statehouse.scripts.errors import InterfaceError

MOST_SHOWN = 20
_FORMS = "anyOf"
_NOT_COMPARED = {"title", "description", "required", "properties"}  # words for people; by a rule of their own


class Interface(Protocol):
    """What a manifest says of it."""

    @property
    def inputs(self) -> Sequence[Any]:
        """The Open Inference Protocol's inputs: `name`, `datatype`, `shape`."""

    @property
    def outputs(self) -> Sequence[Any]:
        """Its outputs."""

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """JSON Schema of one row."""

    @property
    def output_schema(self) -> Mapping[str, Any]:
        """JSON Schema of one row's answer."""

    @property
    def labels(self) -> list[str] | None:
        """The labels in their order."""


def refuse_new_interface(old: Interface, new: Interface, *, before: str, after: str, command: str) -> None:
    """Raise InterfaceError with every difference that a client may meet; optional additions are none."""
    differences = list(interface_differences(old, new))
    if not differences:
        return
    more = len(differences) - MOST_SHOWN
    shown = differences[:MOST_SHOWN] + ([f"and {more} more"] if more > 0 else [])
    header = (
        f"{after} has another interface than {before}, which serves; nothing was changed. Clients would meet:"
    )
    raise InterfaceError(
        listed(header, shown, "  - ") + f"\nWhere they are ready for that: {command} --allow-new-interface"
    )


def interface_differences(old: Interface, new: Interface) -> Iterator[str]:
    """Yield what changed for clients, field by field."""
    yield from _tensors("input", old.inputs, new.inputs, additions=False)
    yield from _tensors("output", old.outputs, new.outputs, additions=True)
    if old.labels != new.labels:
        yield f"labels: {_labels(old.labels, new.labels)}"
    yield from _schema("request", old.input_schema, new.input_schema, asked=True)
    if old.labels == new.labels:  # else each of them would be told once more
        yield from _schema("answer", old.output_schema, new.output_schema, asked=False)


def _tensors(kind: str, old: Sequence[Any], new: Sequence[Any], *, additions: bool) -> Iterator[str]:
    before, after = ({each.name: each for each in tensors} for tensors in (old, new))
    for name in before.keys() - after.keys():
        yield f"{kind} {name!r}: is gone"
    for name in () if additions else after.keys() - before.keys():
        yield f"{kind} {name!r}: is new, and is asked for"
    for name in before.keys() & after.keys():
        for field in ("datatype", "shape"):
            was, is_now = getattr(before[name], field), getattr(after[name], field)
            if was != is_now:
                yield f"{kind} {name!r}: {field} {was} → {is_now}"


def _labels(old: list[str] | None, new: list[str] | None) -> str:
    if old is None or new is None:
        return f"{_few(old)} → {_few(new)}"
    if sorted(old) == sorted(new):
        return f"the same in another order: {_few(old)} → {_few(new)}"
    gone, added = [each for each in old if each not in new], [each for each in new if each not in old]
    parts = [f"gone: {_few(gone)}"] if gone else []
    return ", ".join([*parts, f"new: {_few(added)}"] if added else parts)


def _few(labels: list[str] | None) -> str:
    if labels is None:
        return "none"
    return ", ".join(map(repr, labels[:5])) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


def _schema(where: str, old: Any, new: Any, *, asked: bool) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Compare two JSON Schemas; ``asked`` says that clients write such, else they read such."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old != new:
            yield f"{where}: {_told(old)} → {_told(new)}"
        return
    if asked and (_FORMS in old or _FORMS in new):
        yield from _forms(where, old.get(_FORMS, [old]), new.get(_FORMS, [new]))
        return
    required = set(new.get("required", ())) - set(old.get("required", ())) if asked else set()
    yield from _properties(where, old.get("properties", {}), new.get("properties", {}), required, asked=asked)
    for keyword in sorted((old.keys() | new.keys()) - _NOT_COMPARED):
        was, is_now = old.get(keyword), new.get(keyword)
        if was != is_now and not (asked and _is_wider(keyword, was, is_now)):
            yield from _schema(f"{where}.{keyword}", was, is_now, asked=asked)


def _forms(where: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[str]:
    """Compare a row's forms: each that was taken must still be, by one of the new ones; the nearest is told."""
    for form in old:
        differences = [list(_schema(where, form, each, asked=True)) for each in new]
        if all(differences):
            yield from min(differences, key=len)


def _properties(
    where: str, old: Mapping[str, Any], new: Mapping[str, Any], required: set[str], *, asked: bool
) -> Iterator[str]:
    for name in old:
        if name not in new:
            yield f"{where}.{name}: is gone"
        elif old[name] != new[name]:
            yield from _schema(f"{where}.{name}", old[name], new[name], asked=asked)
    for name in sorted(required):
        yield f"{where}.{name}: {'was optional' if name in old else 'is new'}, and is asked for"


def _is_wider(keyword: str, was: Any, is_now: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether all that was accepted still is, and perhaps more."""
    if keyword in ("minimum", "minLength", "minItems"):
        return is_now is None or (was is not None and is_now <= was)
    if keyword in ("maximum", "maxLength", "maxItems"):
        return is_now is None or (was is not None and is_now >= was)
    if keyword == "enum" and isinstance(was, list) and isinstance(is_now, list):
        return set(map(repr, was)) <= set(map(repr, is_now))
    return False


def _told(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
