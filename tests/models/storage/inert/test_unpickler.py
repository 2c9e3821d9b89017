"""Every protocol gives what pickle gives, for plain values; nothing else is more than a name and a state."""

from __future__ import annotations

import argparse
import builtins
import collections
import dataclasses
import enum
import functools
import math
import os
import pickle

import pytest

from statehouse.models.storage.inert import plain_values, unpickler
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.record import Named, Record
from statehouse.models.storage.inert.unpickler import Unpickler

PROTOCOLS = range(6)
SHARED = [1]
PLAIN = {
    "numbers": [0, 1, -1, 255, 256, 65_536, -(2**31), 2**31, 2**70, -(2**70), 1.5, -0.0, 1e300, math.inf],
    "truth": [True, False, None],
    "text": ["", "a", "é\n'\"\\", "\udc80", "x" * 300, "x" * 70_000],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "dicts": [{}, {"a": 1}, {1: 2, None: (3,), (1, "a"): 4, 1.5: 5, False: 6}],
    "shared": [SHARED, SHARED],
    "many": list(range(3_000)),
}


def read(held: object, protocol: int = 2) -> object:
    return Unpickler(pickle.dumps(held, protocol=protocol)).load()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_are_what_pickle_makes_of_them(protocol: int) -> None:
    held = read(PLAIN, protocol)
    assert held == PLAIN
    assert held["shared"][0] is held["shared"][1]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_are_values_from_protocol_3_on(protocol: int) -> None:
    assert read([b"", b"a", b"x" * 70_000], protocol) == [b"", b"a", b"x" * 70_000]


def test_sets_and_bytearrays_are_values_where_they_have_opcodes() -> None:
    assert read([{1, 2}, frozenset({3}), set()], 4) == [{1, 2}, frozenset({3}), set()]
    assert read(bytearray(b"ab"), 5) == bytearray(b"ab")


def test_a_list_that_holds_itself_is_read() -> None:
    held: list[object] = []
    held.append(held)
    again = read(held)
    assert again[0] is again


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_pickles_in_a_row_are_read_one_by_one(protocol: int) -> None:
    reader = Unpickler(pickle.dumps([1], protocol=protocol) + pickle.dumps("b", protocol=protocol))
    assert [reader.load(), reader.load()] == [[1], "b"]
    assert reader.position == len(reader.data)


def test_strings_of_python_2_are_text_or_bytes() -> None:
    assert Unpickler(b"U\x02\xc3\xa9.").load() == "é"
    assert Unpickler(b"T\x02\x00\x00\x00\xff\x00.").load() == b"\xff\x00"
    assert Unpickler(b"S'a\\n'\n.").load() == "a\n"


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


class Slotted:
    __slots__ = ("y",)

    def __init__(self, y: int) -> None:
        self.y = y


class Texts(list[str]):
    pass


class Table(dict[str, int]):
    pass


class Keyed:
    def __getnewargs_ex__(self):
        return (1,), {"k": 2}


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Config:
    rate: float = 0.5


for each in (Point, Slotted, Texts, Table, Keyed, Colour, Config):  # the test is no module that pickle finds
    each.__module__ = "their.code"


def dumps(held: object, protocol: int) -> bytes:
    """What `held` would be pickled as by the module `their.code`, which is nowhere."""
    import sys
    import types

    module = types.ModuleType("their.code")
    for each in (Point, Slotted, Texts, Table, Keyed, Colour, Config):
        setattr(module, each.__name__, each)
    sys.modules["their"], sys.modules["their.code"] = types.ModuleType("their"), module
    try:
        return pickle.dumps(held, protocol=protocol)
    finally:
        del sys.modules["their"], sys.modules["their.code"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("held", "name", "attributes"),
    [
        (Point(3), "their.code.Point", {"x": 3}),
        (Config(0.1), "their.code.Config", {"rate": 0.1}),
        (argparse.Namespace(lr=0.1, layers=[1, 2]), "argparse.Namespace", {"lr": 0.1, "layers": [1, 2]}),
    ],
)
def test_objects_are_records_of_their_attributes(
    protocol: int, held: object, name: str, attributes: dict[str, object]
) -> None:
    record = Unpickler(dumps(held, protocol)).load()
    assert isinstance(record, Record)
    assert (record.name, record.attributes()) == (name, attributes)


def test_slots_are_attributes_too() -> None:
    assert Unpickler(dumps(Slotted(4), 2)).load().attributes() == {"y": 4}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_lists_and_dicts_of_other_classes_are_records_of_what_they_hold(protocol: int) -> None:
    texts, table = Texts(["a", "b"]), Table(a=1)
    read_texts, read_table = Unpickler(dumps([texts, table], protocol)).load()
    assert (read_texts.name, read_texts.items) == ("their.code.Texts", ["a", "b"])
    assert (read_table.name, read_table.pairs) == ("their.code.Table", {"a": 1})


@pytest.mark.parametrize("protocol", [2, 4])
def test_arguments_are_kept_and_classes_are_named(protocol: int) -> None:
    keyed = Unpickler(dumps(Keyed(), 4)).load()
    assert (keyed.arguments, keyed.pairs) == ((1,), {"k": 2})
    assert Unpickler(dumps(Colour.RED, protocol)).load().arguments == ("red",)
    assert Unpickler(dumps(Point, protocol)).load() == Named("their.code.Point")
    assert read(functools.partial(int, "7"), protocol).arguments == (Named("builtins.int"),)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_would_run_is_a_record(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def __reduce__(self):
            return os.system, ("touch statehouse-was-here",)

    data = pickle.dumps(Evil(), protocol=protocol)
    for name in ("eval", "exec", "__import__"):
        monkeypatch.setattr(builtins, name, None)
    held = Unpickler(data).load()
    monkeypatch.undo()
    assert (held.name, held.arguments) == ("posix.system", ("touch statehouse-was-here",))


def test_objects_of_the_oldest_protocols_are_records() -> None:
    assert Unpickler(b"(K\x07iposix\nsystem\n.").load().arguments == (7,)
    assert Unpickler(b"(cposix\nsystem\nK\x07o.").load().name == "posix.system"


def test_a_table_says_what_is_rebuilt() -> None:
    reader = Unpickler(
        pickle.dumps([collections.Counter("aab"), int], protocol=4),
        rebuild={"collections.Counter": lambda arguments: ("counted", *arguments)},
        constants={"builtins.int": "an int"},
    )
    assert reader.load() == [("counted", {"a": 2, "b": 1}), "an int"]


def test_what_is_finished_by_its_state_takes_its_place_everywhere() -> None:
    point = Point(3)
    reader = Unpickler(
        dumps([point, point], 2), finish={"their.code.Point": lambda record: record.attributes()["x"] * 2}
    )
    assert reader.load() == [6, 6]


def test_the_metadata_of_a_state_dict_survive_and_no_other_attribute_does() -> None:
    held = collections.OrderedDict(a=1)
    held._metadata = {"": {"version": 1}}
    held.get = 7
    reader = Unpickler(
        pickle.dumps(held), rebuild={"collections.OrderedDict": lambda _: collections.OrderedDict()}
    )
    read_back = reader.load()
    assert read_back == held
    assert vars(read_back) == {"_metadata": {"": {"version": 1}}}


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        (b"\x80\x06N.", "protocol 6"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", "a frame of"),
        (b"\x82\x01.", "opcode 0x82"),  # of copyreg's registry: it says no name
        (b"\x97.", "opcode 0x97"),  # a buffer outside of the pickle
        (b"\x98.", "opcode 0x98"),
        (b"\xff.", "opcode 0xff"),
        (b"KK", "at byte 2"),
        (b"K\x01K\x02R.", "arguments of a call are a int"),
        (b"K\x01)R.", "a int is called"),
        (b"NN\x93.", "a name is no text"),
        (b"Pid\n.", "outside itself"),
        (b"(o.", "not enough values"),
    ],
)
def test_what_no_pickler_writes_is_refused(damaged: bytes, expected: str) -> None:
    with pytest.raises(DamagedPickleError, match=expected):
        Unpickler(damaged).load()


@pytest.mark.parametrize(
    "call",
    [
        b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R",
        b"cbuiltins\nbytearray\nh\x00\x85R",
        b"cbuiltins\nlist\nh\x01\x85R",
        b"cbuiltins\nset\nh\x01\x85R",
    ],
)
def test_a_value_that_is_copied_again_and_again_is_refused(call: bytes) -> None:
    text = b"X" + (100_000).to_bytes(4, "little") + b"a" * 100_000 + b"q\x000"
    numbers = b"](" + b"N" * 20_000 + b"eq\x010"
    again = Unpickler(text + numbers + b"](" + call * 5 + b"e.", rebuild=plain_values.REBUILD)
    assert len(again.load()) == 5
    bomb = Unpickler(text + numbers + b"](" + call * 1_000 + b"e.", rebuild=plain_values.REBUILD)
    with pytest.raises(DamagedPickleError, match="its values unfold to"):
        bomb.load()


def test_the_opcodes_of_all_pickles_of_a_file_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpickler, "MAX_OPCODES", 5)
    reader = Unpickler(b"N." * 3)
    assert [reader.load(), reader.load()] == [None, None]
    with pytest.raises(DamagedPickleError, match="more than 5 opcodes"):
        reader.load()


def test_no_damage_of_one_byte_ends_otherwise_than_in_an_error_of_ours() -> None:
    whole = pickle.dumps([PLAIN["dicts"], Record, argparse.Namespace(a=[1.5])], protocol=4)
    for position in range(len(whole)):
        for flipped in (1, 0x41, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flipped
            try:
                Unpickler(bytes(damaged)).load()
            except DamagedPickleError:
                continue
