"""Values of Python's own classes that are rebuilt from what a pickle says of them; no class of a file's is touched."""

from __future__ import annotations

import datetime
import pathlib
from collections import Counter, OrderedDict
from collections.abc import Callable

from statehouse.models.storage.inert.machine import hashable
from statehouse.models.storage.inert.record import Named, Record, printable

Arguments = tuple[object, ...]


def quietly(rebuild: Callable[..., object]) -> Callable[[Arguments], object]:
    """Return `rebuild` as the unpickler calls it: None, and so a record, where the arguments do not fit."""

    def rebuilt(arguments: Arguments) -> object:
        try:
            return rebuild(*arguments)
        except (TypeError, ValueError, OverflowError, LookupError, AttributeError, RuntimeError):
            return None

    return rebuilt


def as_bytes(value: object) -> bytes | None:
    """Return the bytes that `value` is; what was a str in Python 2 may have been taken for text."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    return value.encode("utf-8") if isinstance(value, str) else None


def _pairs(pairs: object = ()) -> list[tuple[object, object]]:
    entries = list(pairs.items()) if isinstance(pairs, dict) else pairs
    if not isinstance(entries, list | tuple):
        raise TypeError
    return [(hashable(key), value) for key, value in entries]


def _ordered(pairs: object = ()) -> object:
    return OrderedDict(_pairs(pairs))


def _default(_: object = None, pairs: object = ()) -> object:
    return dict(_pairs(pairs))  # without what would make the missing values


def _counter(counts: object = ()) -> object:
    return Counter(dict(_pairs(counts)))


def _values(values: object = ()) -> list[object]:
    if not isinstance(values, list | tuple | set | frozenset):
        raise TypeError
    return list(values)


def _deque(values: object = (), _: object = None) -> object:
    return _values(values)


def _set(values: object = ()) -> object:
    return {hashable(value) for value in _values(values)}


def _frozenset(values: object = ()) -> object:
    return frozenset(hashable(value) for value in _values(values))


def _encoded(text: object, encoding: object = "utf-8", _: object = None) -> object:
    """Return what protocol 2 writes for bytes: their text in Latin-1."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise TypeError
    return text.encode(encoding)


def _bytes(value: object = b"", encoding: object = "utf-8") -> object:
    if isinstance(value, str):
        return _encoded(value, encoding)
    if isinstance(value, list):
        return bytes(value)
    return bytes(value) if isinstance(value, bytes | bytearray) else None


def _bytearray(value: object = b"", encoding: object = "utf-8") -> object:
    held = _bytes(value, encoding)
    return None if held is None else bytearray(held)  # type: ignore[call-overload]


def _number(value: object = 0) -> object:
    return value if type(value) in (int, float, bool) else None


def _text(value: object = "") -> object:
    return str(value) if isinstance(value, str) else None


def _complex(real: object = 0, imaginary: object = 0) -> object:
    return complex(real, imaginary) if _number(real) is real and _number(imaginary) is imaginary else None  # type: ignore[call-overload]


def _range(*bounds: object) -> object:
    return range(*bounds) if all(type(each) is int for each in bounds) else None  # type: ignore[call-overload]


def _attribute(of: object, name: object) -> object:
    return Named(printable(f"{of.name}.{name}")) if isinstance(of, Named) and isinstance(name, str) else None


def _posix_path(*parts: str) -> object:
    return str(pathlib.PurePosixPath(*parts))


def _windows_path(*parts: str) -> object:
    return str(pathlib.PureWindowsPath(*parts))


def _timezone(offset: object = None, name: object = None) -> object:
    if not isinstance(offset, datetime.timedelta) or not isinstance(name, str | None):
        return None
    return datetime.timezone(offset) if name is None else datetime.timezone(offset, name)


def _moment(kind: Callable[..., object], latin: bool = True) -> Callable[..., object]:
    """Return what makes a date or time of the bytes that Python writes for it, and a time zone."""

    def made(state: object, *zone: object) -> object:
        if isinstance(state, str):  # of Python 2: the bytes as text
            state = state.encode("latin1" if max(state, default="") > "\x7f" and latin else "utf-8")
        if not isinstance(state, bytes) or not all(isinstance(each, datetime.timezone) for each in zone):
            return None
        return kind(state, *zone)

    return made


def _duration(*parts: object) -> object:
    return datetime.timedelta(*parts) if all(type(each) is int for each in parts) else None  # type: ignore[arg-type]


_REBUILD: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default,
    "collections.Counter": _counter,
    "collections.deque": _deque,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.list": _values,
    "builtins.tuple": lambda values=(): tuple(_values(values)),
    "builtins.dict": lambda pairs=(): dict(_pairs(pairs)),
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytearray,
    "builtins.str": _text,
    "builtins.int": _number,
    "builtins.float": _number,
    "builtins.bool": _number,
    "builtins.complex": _complex,
    "builtins.range": _range,
    "builtins.slice": slice,
    "builtins.getattr": _attribute,
    "_codecs.encode": _encoded,
    "pathlib.Path": _posix_path,
    "pathlib.PurePath": _posix_path,
    "pathlib.PosixPath": _posix_path,
    "pathlib.PurePosixPath": _posix_path,
    "pathlib.WindowsPath": _windows_path,
    "pathlib.PureWindowsPath": _windows_path,
    "datetime.datetime": _moment(datetime.datetime),
    "datetime.date": _moment(datetime.date),
    "datetime.time": _moment(datetime.time),
    "datetime.timedelta": _duration,
    "datetime.timezone": _timezone,
    "datetime.timezone.utc": lambda: datetime.UTC,
}
_LOCAL = {
    name.replace("pathlib.", "pathlib._local."): made for name, made in _REBUILD.items() if "Path" in name
}
REBUILD = {name: quietly(made) for name, made in (_REBUILD | _LOCAL).items()}
CONSTANTS: dict[str, object] = {
    "builtins.NotImplemented": None,
    "builtins.Ellipsis": None,
    "types.NoneType": None,
}


def plain_of(record: object, *, depth: int = 32, values: int = 100_000) -> object:
    """Return the content of Namespaces, dataclasses, enums and OmegaConf as plain dicts, lists and values.

    A record of attributes is a dict of them, an enum's member its value, OmegaConf's nodes what they hold, and any
    other record its name in angle brackets. Beyond `depth` levels or `values` in all, None stands for the rest.
    """
    left = [values]
    return _plain(record, depth, left)


def _plain(value: object, depth: int, left: list[int]) -> object:
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        return None
    if isinstance(value, Record):
        return _plain_record(value, depth, left)
    if isinstance(value, Named):
        return f"<{value.name}>"
    if isinstance(value, dict):
        return {key: _plain(value[key], depth - 1, left) for key in value}
    if isinstance(value, list | tuple):
        return [_plain(each, depth - 1, left) for each in value]
    return value


def _plain_record(record: Record, depth: int, left: list[int]) -> object:
    attributes = record.attributes()
    for content in ("_content", "_val"):  # OmegaConf's containers and its values
        if record.name.startswith("omegaconf.") and content in attributes:
            return _plain(attributes[content], depth - 1, left)
    if attributes:
        return _plain(attributes, depth - 1, left)
    if record.pairs:
        return _plain(record.pairs, depth - 1, left)
    if record.items:
        return _plain(record.items, depth - 1, left)
    if len(record.arguments) == 1 and isinstance(record.arguments[0], str | int | float):
        return record.arguments[0]  # an enum's member
    return f"<{record.name}>"
