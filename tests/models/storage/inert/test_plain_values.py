"""Values of Python's own classes, through every protocol; and what of other classes is their content."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import pickle

import pytest

from statehouse.models.storage.inert.plain_values import REBUILD, plain_of
from statehouse.models.storage.inert.record import Named, Record
from statehouse.models.storage.inert.unpickler import Unpickler

AS_THEY_WERE = [
    collections.OrderedDict(b=1, a=2),
    collections.Counter("aab"),
    {1, "a"},
    frozenset({1, 2}),
    1 + 2j,
    slice(1, None, 2),
    range(1, 9, 2),
    b"a\x00\xff",
    bytearray(b"\xffab"),
    b"",
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2), "there")),
    datetime.date(2026, 1, 2),
    datetime.time(1, 2, 3),
    datetime.timedelta(days=1, seconds=2, microseconds=3),
]


def read(held: object, protocol: int) -> object:
    return Unpickler(pickle.dumps(held, protocol=protocol), rebuild=REBUILD).load()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("held", AS_THEY_WERE, ids=lambda held: type(held).__name__)  # a set has no order
def test_they_are_as_they_were(held: object, protocol: int) -> None:
    again = read(held, protocol)
    assert again == held
    assert type(again) is type(held)


@pytest.mark.parametrize("protocol", range(6))
def test_others_are_the_plain_value_that_they_are(protocol: int) -> None:
    assert read(pathlib.PurePosixPath("/a/b"), protocol) == "/a/b"
    assert read(pathlib.Path("a/b"), protocol) == "a/b"
    assert read(pathlib.PureWindowsPath("c:/a"), protocol) == "c:\\a"
    assert read(collections.defaultdict(list, a=[1]), protocol) == {"a": [1]}
    assert read(collections.deque([1, 2], maxlen=3), protocol) == [1, 2]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("builtins.bytearray", (10**12,)),
        ("builtins.bytes", (10**12,)),
        ("builtins.list", (range(10**12),)),
        ("builtins.complex", ("1j",)),
        ("builtins.range", ("a",)),
        ("datetime.datetime", (b"short",)),
        ("datetime.datetime", (bytes(10),)),
        ("datetime.datetime", (2026, 1, 2)),
        ("datetime.timedelta", (10**30,)),
        ("datetime.timezone", (1,)),
        ("pathlib.PosixPath", (1,)),
        ("_codecs.encode", ("a", "rot13")),
        ("collections.OrderedDict", ([[1]],)),
        ("builtins.set", ("ab",)),
        ("builtins.slice", ()),
    ],
)
def test_arguments_that_do_not_fit_make_a_record(name: str, arguments: tuple[object, ...]) -> None:
    assert REBUILD[name](arguments) is None


def test_the_content_of_records() -> None:
    node = Record("omegaconf.nodes.AnyNode", state={"_val": 0.1, "_parent": None})
    config = Record("omegaconf.dictconfig.DictConfig", state={"_content": {"lr": node}, "_parent": None})
    member = Record("their.Colour", ("red",))
    space = Record(
        "argparse.Namespace", state={"a": [config, (member,)], "b": Record("their.Thing"), "c": Named("x.y")}
    )
    assert plain_of(space) == {"a": [{"lr": 0.1}, ["red"]], "b": "<their.Thing>", "c": "<x.y>"}


def test_the_content_of_records_is_bounded() -> None:
    space = Record("argparse.Namespace")
    space.state = {"own": space}
    assert plain_of(space, depth=3) == {"own": {"own": None}}
    rows: list[object] = []
    for _ in range(40):
        rows = [rows, rows]
    assert plain_of(rows, values=50) is not None


def test_a_namespace_is_read_with_its_fields() -> None:
    assert plain_of(read(argparse.Namespace(a=1), 2)) == {"a": 1}
