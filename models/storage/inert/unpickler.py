"""Pickles of the protocols 0 to 5, read by a loop of our own: what they name is neither imported nor called.

pickle's own machine, given factories in the place of classes, was measured beside it: with the pass over the opcodes
that must bound it before, it takes half as long, and both are a fraction of the time of making the tensors. With one
loop, what is checked is what is read.
"""

from __future__ import annotations

import codecs
import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Mapping

from statehouse.models.storage.inert.machine import Machine
from statehouse.models.storage.inert.operands import Bytes, DamagedPickleError
from statehouse.models.storage.inert.record import Named, Record, printable

MAX_OPCODES = 20_000_000
MAX_PROTOCOL = 5
MAX_TIMES_COPIED = 16  # the file's size, of values that are rebuilt by copying them
_ALWAYS_BYTES = 1024 * 1024
_POINTER_BYTES = 8  # of each value in a container
_MAX_ARGUMENTS = 16
METADATA = "_metadata"  # of a state_dict: the versions of its modules; no other attribute of a dict is kept

Arguments = tuple[object, ...]
Rebuild = Callable[[Arguments], object]  # None: a record instead
Finish = Callable[[Record], object]  # of a record that has got its state; None: it stays one


class Unpickler(Machine):
    """Reads one pickle after another out of `data`, from `position` on.

    Names are looked up in the tables alone: `constants` has values, `rebuild` what stands for a call of the name, and
    `finish` what a record of the name becomes once it has its state. Everything else is a Named or a Record.
    """

    def __init__(
        self,
        data: Bytes,
        position: int = 0,
        *,
        constants: Mapping[str, object] | None = None,
        rebuild: Mapping[str, Rebuild] | None = None,
        finish: Mapping[str, Finish] | None = None,
        persistent: Callable[[object], object] | None = None,
    ) -> None:
        super().__init__(data, position)
        self.constants = constants or {}
        self.rebuild = rebuild or {}
        self.finish = finish or {}
        self.persistent = persistent
        self.names: dict[tuple[str, str], object] = {}
        self.opcodes_left = MAX_OPCODES
        self.copied_bytes = 0

    def load(self) -> object:
        """Return what the next pickle says; `position` is then behind its end.

        Raises:
            DamagedPickleError: it is cut short, damaged, nothing that Python writes, or beyond our bounds.
        """
        self.stack, self.below, self.memo, self.records = [], [], {}, {}
        try:
            self._run()
        except DamagedPickleError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise DamagedPickleError(f"at byte {self.position:,}: {error}") from error
        return self.pop()

    def _run(self) -> None:
        data, handlers = self.data, [handler.__get__(self) for handler in _HANDLERS]
        for left in range(self.opcodes_left, 0, -1):
            code = data[self.position]
            self.position += 1
            if code == _STOP:
                self.opcodes_left = left - 1
                return
            handlers[code]()
        raise DamagedPickleError(f"it has more than {MAX_OPCODES:,} opcodes")

    # ---- names, calls and states

    def name(self, module: object, name: object) -> None:
        """Push what stands for a name."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise DamagedPickleError("a name is no text")
        known = self.names.get((module, name))
        if known is None:
            full = ".".join(_todays(module, name))
            known = self.constants[full] if full in self.constants else Named(printable(full))
            self.names[module, name] = known
        self.stack.append(known)

    def call(self, function: object, arguments: object, keywords: object = None) -> None:
        """Push what stands for the call: what `rebuild` makes of it, or a record."""
        if not isinstance(arguments, tuple):
            raise DamagedPickleError(f"the arguments of a call are a {type(arguments).__name__}")
        function, arguments = _called(function, arguments)
        rebuild = None if keywords else self.rebuild.get(function.name)
        value = None
        if rebuild is not None:
            self._count(arguments)
            value = rebuild(arguments)
        if value is None:
            value = Record(function.name, arguments)
            if isinstance(keywords, dict):
                value.pairs = keywords
        self.new(value)

    def _count(self, values: object, depth: int = 2) -> None:
        """Count what will be copied: a value that is remembered costs a byte to use again, and its size to copy."""
        if isinstance(values, str | bytes | bytearray):
            self.copied_bytes += len(values)
        elif isinstance(values, list | tuple | dict | set | frozenset):
            self.copied_bytes += _POINTER_BYTES * len(values)
            if isinstance(values, tuple) and depth and len(values) < _MAX_ARGUMENTS:
                for value in values:
                    self._count(value, depth - 1)
        if self.copied_bytes > MAX_TIMES_COPIED * len(self.data) + _ALWAYS_BYTES:
            raise DamagedPickleError(f"its values unfold to {self.copied_bytes:,} bytes and more")

    def build(self) -> None:
        """Give the object on top its state."""
        state = self.pop()
        target = self._top()
        if type(target) is Record:
            target.state = state
            finish = self.finish.get(target.name)
            if finish is not None:
                self._count(state)
                self._replaced(target, finish(target))
        elif isinstance(target, OrderedDict) and isinstance(state, dict) and METADATA in state:
            setattr(target, METADATA, state[METADATA])

    def _replaced(self, record: Record, value: object) -> None:
        if value is not None:
            self.replace(record, value)

    def identify(self, identity: object) -> None:
        """Push what stands for something outside the pickle."""
        if self.persistent is None:
            raise DamagedPickleError("it refers to something outside itself")
        self.stack.append(self.persistent(identity))

    # ---- opcodes

    def _protocol(self) -> None:
        protocol = self.number(1)
        if protocol > MAX_PROTOCOL:
            raise DamagedPickleError(f"protocol {protocol}; expected at most {MAX_PROTOCOL}")

    def _frame(self) -> None:
        size = self.number(8)
        if size > len(self.data) - self.position:
            raise DamagedPickleError(f"a frame of {size:,} bytes; it ends before")

    def _reduce(self) -> None:
        arguments = self.pop()
        self.call(self.pop(), arguments)

    def _newobj_ex(self) -> None:
        keywords, arguments = self.pop(), self.pop()
        self.call(self.pop(), arguments, keywords)

    def _inst(self) -> None:
        self.name(self.text_line(), self.text_line())
        function = self.pop()
        self.call(function, tuple(self.since_mark()))

    def _obj(self) -> None:
        function, *arguments = self.since_mark()
        self.call(function, tuple(arguments))

    def _stack_global(self) -> None:
        name = self.pop()
        self.name(self.pop(), name)

    def _append(self) -> None:
        value = self.pop()
        self.append([value])

    def _set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def _refuse(self) -> None:
        code = self.data[self.position - 1]
        raise DamagedPickleError(f"opcode {code:#04x} at byte {self.position - 1:,} is none that it may have")


def _todays(module: str, name: str) -> tuple[str, str]:
    """Return module and name as Python 3 calls what Python 2 called otherwise, as up to protocol 2 is written."""
    renamed: tuple[str, str] = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return renamed


def _called(function: object, arguments: Arguments) -> tuple[Named, Arguments]:
    """Return what is called in truth where the call is one of Python's own ways to make an object."""
    name = function.name if isinstance(function, Named | Record) else None
    if name is None:
        raise DamagedPickleError(f"a {type(function).__name__} is called")
    if name in _MAKERS and arguments and isinstance(arguments[0], Named):
        made = arguments[0]
        if name == _RECONSTRUCTOR:  # class, base class, what the base class is made of
            return made, arguments[2:] if arguments[2:] != (None,) else ()
        return made, arguments[1:]
    return Named(name), arguments


_RECONSTRUCTOR = "copyreg._reconstructor"
_MAKERS = frozenset({_RECONSTRUCTOR, "copyreg.__newobj__"})
_STOP = pickle.STOP[0]
_FROM_RAW = codecs.getdecoder(
    "raw-unicode-escape"
)  # looked up once: Python imports a codec when it is first used
_CODES: dict[bytes, Callable[[Unpickler], None]] = {
    pickle.PROTO: Unpickler._protocol,
    pickle.FRAME: Unpickler._frame,
    pickle.MARK: Unpickler.mark,
    pickle.POP: Unpickler.discard,
    pickle.POP_MARK: lambda own: own.since_mark().clear(),
    pickle.DUP: Unpickler.duplicate,
    # values
    pickle.NONE: lambda own: own.stack.append(None),
    pickle.NEWTRUE: lambda own: own.stack.append(True),
    pickle.NEWFALSE: lambda own: own.stack.append(False),
    pickle.INT: Unpickler.integer_line,
    pickle.LONG: lambda own: own.stack.append(int(own.line().rstrip(b"L"))),
    pickle.BININT: lambda own: own.stack.append(own.signed(4)),
    pickle.BININT1: lambda own: own.stack.append(own.number(1)),
    pickle.BININT2: lambda own: own.stack.append(own.number(2)),
    pickle.LONG1: lambda own: own.stack.append(own.long(1)),
    pickle.LONG4: lambda own: own.stack.append(own.long(4)),
    pickle.FLOAT: lambda own: own.stack.append(float(own.line())),
    pickle.BINFLOAT: lambda own: own.stack.append(own.double()),
    pickle.STRING: Unpickler.string_line,
    pickle.BINSTRING: lambda own: own.string(own.counted(4)),
    pickle.SHORT_BINSTRING: lambda own: own.string(own.counted(1)),
    pickle.UNICODE: lambda own: own.stack.append(_FROM_RAW(own.line())[0]),
    pickle.BINUNICODE: lambda own: own.unicode(own.counted(4)),
    pickle.SHORT_BINUNICODE: lambda own: own.unicode(own.counted(1)),
    pickle.BINUNICODE8: lambda own: own.unicode(own.counted(8)),
    pickle.BINBYTES: lambda own: own.stack.append(own.counted(4)),
    pickle.SHORT_BINBYTES: lambda own: own.stack.append(own.counted(1)),
    pickle.BINBYTES8: lambda own: own.stack.append(own.counted(8)),
    pickle.BYTEARRAY8: lambda own: own.new(bytearray(own.counted(8))),
    # containers
    pickle.EMPTY_TUPLE: lambda own: own.stack.append(()),
    pickle.TUPLE1: lambda own: own.tuple_of(1),
    pickle.TUPLE2: lambda own: own.tuple_of(2),
    pickle.TUPLE3: lambda own: own.tuple_of(3),
    pickle.TUPLE: lambda own: own.new(tuple(own.since_mark())),
    pickle.EMPTY_LIST: lambda own: own.new([]),
    pickle.LIST: lambda own: own.new(own.since_mark()),
    pickle.EMPTY_DICT: lambda own: own.new({}),
    pickle.DICT: Unpickler.dict_since_mark,
    pickle.EMPTY_SET: lambda own: own.new(set()),
    pickle.FROZENSET: Unpickler.frozenset_since_mark,
    pickle.APPEND: Unpickler._append,
    pickle.APPENDS: lambda own: own.append(own.since_mark()),
    pickle.ADDITEMS: lambda own: own.add(own.since_mark()),
    pickle.SETITEM: Unpickler._set_item,
    pickle.SETITEMS: lambda own: own.set_items(own.since_mark()),
    # the memo
    pickle.PUT: lambda own: own.put(int(own.line())),
    pickle.BINPUT: lambda own: own.put(own.number(1)),
    pickle.LONG_BINPUT: lambda own: own.put(own.number(4)),
    pickle.MEMOIZE: lambda own: own.put(len(own.memo)),
    pickle.GET: lambda own: own.get(int(own.line())),
    pickle.BINGET: lambda own: own.get(own.number(1)),
    pickle.LONG_BINGET: lambda own: own.get(own.number(4)),
    # names and what is made by them; the codes of copyreg's registry mean nothing in a file
    pickle.GLOBAL: lambda own: own.name(own.text_line(), own.text_line()),
    pickle.STACK_GLOBAL: Unpickler._stack_global,
    pickle.REDUCE: Unpickler._reduce,
    pickle.NEWOBJ: Unpickler._reduce,
    pickle.NEWOBJ_EX: Unpickler._newobj_ex,
    pickle.INST: Unpickler._inst,
    pickle.OBJ: Unpickler._obj,
    pickle.BUILD: Unpickler.build,
    pickle.PERSID: lambda own: own.identify(own.text_line()),
    pickle.BINPERSID: lambda own: own.identify(own.pop()),
}
_HANDLERS = [_CODES.get(bytes([code]), Unpickler._refuse) for code in range(256)]
