"""Items of a `.distcp` file, each a small archive among others."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import torch

from statehouse.models.errors import CheckpointUnreadableError
from statehouse.models.storage.distributed.items import damage_of_item, read_item
from statehouse.models.storage.distributed.manifest import Place

ITEMS = [torch.arange(5.0), {"a": [1, 2], "b": "text"}, 3, torch.ones(2, 3).bfloat16(), torch.arange(4)]


@pytest.fixture
def places(tmp_path: Path) -> list[Place]:
    """Return the places of ITEMS in one file, `f`, with bytes of nobody around them."""
    content, found = b"\0" * 3, []
    for item in ITEMS:
        own = io.BytesIO()
        torch.save(item, own)
        found.append(Place("f", len(content), len(own.getvalue())))
        content += own.getvalue()
    (tmp_path / "f").write_bytes(content + b"\0" * 3)
    return found


def test_each_item_is_read_by_itself(places: list[Place], tmp_path: Path) -> None:
    for place, item in zip(places, ITEMS, strict=True):
        held = read_item(tmp_path, place)
        if isinstance(item, torch.Tensor):
            assert isinstance(held, torch.Tensor)
            assert held.dtype == item.dtype
            assert torch.equal(held, item)
            assert held.data_ptr() % held.itemsize == 0
        else:
            assert held == item
        assert damage_of_item(tmp_path, place) == []


@pytest.mark.parametrize(("start", "length"), [(0, -1), (0, 1), (1, 0), (-1, 0), (0, -200), (10**12, 0)])
def test_a_place_that_is_not_one_item_is_refused(
    places: list[Place], tmp_path: Path, start: int, length: int
) -> None:
    place = places[1]
    with pytest.raises(CheckpointUnreadableError):
        read_item(tmp_path, Place("f", place.start + start, place.length + length))


def test_an_item_is_never_read_beyond_its_place(places: list[Place], tmp_path: Path) -> None:
    """An archive's end may be found in another item's bytes only if nobody minds where its own place ends."""
    first, second = places[0], places[1]
    with pytest.raises(CheckpointUnreadableError):
        read_item(tmp_path, Place("f", first.start, first.length + second.length))


def test_a_changed_byte_is_found_when_asked(places: list[Place], tmp_path: Path) -> None:
    content = bytearray((tmp_path / "f").read_bytes())
    at = content.index(torch.arange(5.0).numpy().tobytes())
    content[at] ^= 1
    (tmp_path / "f").write_bytes(content)
    assert [len(damage_of_item(tmp_path, place)) for place in places] == [1, 0, 0, 0, 0]


def test_nothing_that_an_item_names_is_run(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    own = io.BytesIO()
    torch.save(Runs(), own)
    (tmp_path / "f").write_bytes(own.getvalue())
    read_item(tmp_path, Place("f", 0, len(own.getvalue())))
    assert not (tmp_path / "ran").exists()


def test_a_tensor_that_its_bytes_do_not_hold_is_refused(tmp_path: Path) -> None:
    own = io.BytesIO()
    torch.save(torch.arange(5.0), own)
    content = own.getvalue().replace(b"K\x05\x85q", b"K\x06\x85q", 1)  # its size, (5,)
    assert content != own.getvalue()
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(CheckpointUnreadableError, match="from byte 0 on: is damaged"):
        read_item(tmp_path, Place("f", 0, len(content)))
