"""The stack of a pickle: numbers, text and containers, and what is remembered to be used again."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from statehouse.models.storage.inert.operands import Bytes, DamagedPickleError, Operands
from statehouse.models.storage.inert.record import Record

MAX_CONTAINERS = 4_000_000  # each takes up to some 200 bytes of memory for 1 of the file
MAX_KEY_PARTS = 1_000  # of a tuple that is a key: it is hashed in full, each part as often as it is there
MAX_KEY_BITS = 128  # of an integer that is a key: those of one hash are looked up one by one
_SIMPLE_KEYS = frozenset({str, bytes, float, bool, type(None), complex})


class Machine(Operands):
    """Pushes and takes values; what is put into a container never runs anything of a file's."""

    def __init__(self, data: Bytes, position: int = 0) -> None:
        super().__init__(data, position)
        self.stack: list[object] = []
        self.below: list[list[object]] = []  # the stacks under each mark
        self.memo: dict[int, object] = {}
        self.records: dict[int, list[int]] = {}  # of each record in the memo, by its id: where it is
        self.containers = 0

    # ---- the stack

    def mark(self) -> None:
        """Begin the values of one container."""
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[object]:
        """Return the values since the last mark, which is taken away."""
        if not self.below:
            raise DamagedPickleError("values are taken from a mark that is not there")
        values, self.stack = self.stack, self.below.pop()
        return values

    def pop(self) -> object:
        """Return the topmost value, which is taken away."""
        if not self.stack:
            raise DamagedPickleError("a value is taken from an empty stack")
        return self.stack.pop()

    def discard(self) -> None:
        """Take the topmost value away, or the mark, where that is on top."""
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def duplicate(self) -> None:
        """Push the topmost value again."""
        self.stack.append(self._top())

    def _top(self) -> object:
        if not self.stack:
            raise DamagedPickleError("a value is expected on an empty stack")
        return self.stack[-1]

    # ---- the memo

    def put(self, index: int) -> None:
        """Remember the topmost value."""
        value = self._top()
        self.memo[index] = value
        if type(value) is Record:
            self.records.setdefault(id(value), []).append(index)

    def get(self, index: int) -> None:
        """Push a value that was remembered."""
        if index not in self.memo:
            raise DamagedPickleError(f"value {index:,} is used and was not remembered")
        self.stack.append(self.memo[index])

    def replace(self, record: Record, value: object) -> None:
        """Put `value` where `record` is, on top and in the memo."""
        self.stack[-1] = value
        for index in self.records.pop(id(record), ()):
            if self.memo.get(index) is record:
                self.memo[index] = value

    # ---- numbers and text

    def integer_line(self) -> None:
        """Push a number, or a truth value, of protocol 0."""
        text = self.line()
        truth = {b"00": False, b"01": True}.get(text)
        self.stack.append(int(text) if truth is None else truth)

    def string(self, data: bytes) -> None:
        """Push what was a str in Python 2: text, or bytes where it is none."""
        try:
            self.stack.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            self.stack.append(data)

    def string_line(self) -> None:
        """Push a str of protocol 0, in its quotes."""
        line = self.line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise DamagedPickleError(f"{line[:40]!r} is no text in quotes")
        self.string(codecs.escape_decode(line[1:-1])[0])

    def unicode(self, data: bytes) -> None:
        """Push text."""
        self.stack.append(data.decode("utf-8", "surrogatepass"))

    # ---- containers

    def new(self, container: object) -> None:
        """Push a new container."""
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise DamagedPickleError(f"it makes more than {MAX_CONTAINERS:,} containers")
        self.stack.append(container)

    def tuple_of(self, count: int) -> None:
        """Put the topmost `count` values in a tuple."""
        if len(self.stack) < count:
            raise DamagedPickleError(f"{count} values are expected on the stack")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.new(values)

    def dict_since_mark(self) -> None:
        """Push a dict of the values since the mark."""
        pairs = self.since_mark()
        self.new({})
        self.set_items(pairs)

    def frozenset_since_mark(self) -> None:
        """Push a frozenset of the values since the mark."""
        values = self.since_mark()
        self.new(frozenset(hashable(value) for value in values))

    def append(self, values: Iterable[object]) -> None:
        """Append values to the list, or the record of one, on top."""
        target = self._top()
        if type(target) is Record:
            target.items.extend(values)
        elif isinstance(target, list):
            target.extend(values)
        else:
            raise DamagedPickleError(f"values are appended to a {type(target).__name__}")

    def add(self, values: Iterable[object]) -> None:
        """Add values to the set, or the record of one, on top."""
        target = self._top()
        if type(target) is Record:
            target.items.extend(values)
        elif isinstance(target, set):
            target.update(hashable(value) for value in values)
        else:
            raise DamagedPickleError(f"values are added to a {type(target).__name__}")

    def set_items(self, values: list[object]) -> None:
        """Put keys and values into the dict, or the record of one, on top."""
        target = self._top()
        pairs = target.pairs if type(target) is Record else target
        if not isinstance(pairs, dict) or len(values) % 2:
            raise DamagedPickleError(f"keys and values are put into a {type(target).__name__}")
        for position in range(0, len(values), 2):
            key = values[position]
            pairs[key if type(key) is str else hashable(key)] = values[position + 1]


def hashable(key: object) -> object:
    """Return `key`, which may be a key of a dict: it is hashed quickly and by code of ours alone.

    Raises DamagedPickleError for all else, as for a tuple that unfolds without end.
    """
    pending, seen = [key], 0
    while pending:
        part = pending.pop()
        seen += 1
        if isinstance(part, tuple):
            pending.extend(part[:MAX_KEY_PARTS])
        elif isinstance(part, int) and part.bit_length() > MAX_KEY_BITS:
            raise DamagedPickleError(f"an integer of {part.bit_length():,} bits is a key")
        elif not _is_simple(part):
            raise DamagedPickleError(f"a {type(part).__name__} is a key")
        if seen > MAX_KEY_PARTS:
            raise DamagedPickleError(f"a key has more than {MAX_KEY_PARTS:,} parts")
    return key


def _is_simple(part: object) -> bool:
    return type(part) in _SIMPLE_KEYS or not isinstance(part, list | dict | set | bytearray | slice)
