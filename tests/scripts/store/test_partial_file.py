"""One file on its way into the cache."""

import os

import pytest

from statehouse.scripts.store.partial_file import Part


@pytest.fixture
def part(tmp_path):
    descriptor = os.open(tmp_path / "x.part", os.O_RDWR | os.O_CREAT, 0o600)
    yield Part(tmp_path / "x.part", descriptor, tmp_path / "x")
    os.close(descriptor)


def test_it_grows_at_its_end(part):
    part.append(b"one ")
    part.append(b"")
    part.append(b"two")
    assert part.size_bytes == 7
    assert part.path.read_bytes() == b"one two"


def test_it_goes_on_where_an_earlier_try_ended(tmp_path):
    (tmp_path / "x.part").write_bytes(b"one ")
    descriptor = os.open(tmp_path / "x.part", os.O_RDWR)
    part = Part(tmp_path / "x.part", descriptor, tmp_path / "x")
    assert part.size_bytes == 4
    part.append(b"two")
    os.close(descriptor)
    assert (tmp_path / "x.part").read_bytes() == b"one two"


def test_what_the_system_writes_in_pieces_is_written_whole(part, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: write(descriptor, data[:3], offset))
    part.append(b"one two three")
    assert (part.size_bytes, part.path.read_bytes()) == (13, b"one two three")


def test_it_begins_again(part):
    part.append(b"wrong")
    part.empty()
    assert (part.size_bytes, part.path.read_bytes()) == (0, b"")
    part.append(b"right")
    assert part.path.read_bytes() == b"right"


def test_kept_it_is_the_file_itself_which_nobody_may_write(part, tmp_path):
    part.append(b"content")
    part.keep()
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"content"
    assert (tmp_path / "x").stat().st_mode & 0o222 == 0
