"""Archives that leave doubt which bytes are whose are refused; what torch.save and zipfile write is read."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
import torch

from statehouse.models.errors import CheckpointUnreadableError
from statehouse.models.storage.zip_directory import Extent, read_directory


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"a": torch.arange(6.0), "b": torch.zeros(3)}, tmp_path / "saved.pt")
    return tmp_path / "saved.pt"


@pytest.mark.parametrize("wide", [False, True])
def test_the_bytes_are_where_it_says(tmp_path: Path, wide: bool) -> None:
    path = tmp_path / "a.zip"
    content = {"x/data.pkl": b"pickle", "x/data/0": b"", "x/ü": b"12"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            with archive.open(name, "w", force_zip64=wide) as record:
                record.write(data)
    whole = path.read_bytes()
    read = {each.name: whole[each.start : each.start + each.size] for each in read_directory(path)}
    assert read == content


def test_what_torch_writes_is_read(saved: Path) -> None:
    whole = saved.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        for record in read_directory(saved):
            assert whole[record.start : record.start + record.size] == archive.read(record.name)


def test_a_file_of_zero_or_few_bytes_is_refused(tmp_path: Path) -> None:
    for size in (0, 1, 21, 22, 100):
        (tmp_path / "a.zip").write_bytes(bytes(size))
        with pytest.raises(CheckpointUnreadableError, match="no end of a zip archive"):
            read_directory(tmp_path / "a.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("other", "said"), [("x/data.pkl", "is there 2 times"), ("x/DATA.pkl", "in other letters")]
)
def test_names_that_are_one_to_some_reader_are_refused(tmp_path: Path, other: str, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/data.pkl", b"checked")
        archive.writestr(other, b"read")
    with pytest.raises(CheckpointUnreadableError, match=said):
        read_directory(tmp_path / "a.zip")


def change(path: Path, where: int, new: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[where : where + len(new)] = new
    path.write_bytes(data)


def entry(path: Path, name: bytes) -> int:
    """Where the directory's entry of `name` begins."""
    data = path.read_bytes()
    return data.rindex(b"PK\x01\x02", 0, data.rindex(name))


def test_a_record_that_begins_in_another_is_refused(saved: Path) -> None:
    first = struct.unpack_from("<L", saved.read_bytes(), entry(saved, b"saved/data/0") + 42)[0]
    second = entry(saved, b"saved/data/1")
    change(saved, second + 42, struct.pack("<L", first))
    with pytest.raises(CheckpointUnreadableError, match="called otherwise where it begins"):
        read_directory(saved)


def test_overlapping_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    inner = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 2, 2, 1, 0) + b"bxx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", inner)
        archive.writestr("b", b"xx")
    change(path, entry(path, b"b") + 16, struct.pack("<L", 0))
    change(path, entry(path, b"b") + 42, struct.pack("<L", path.read_bytes().index(inner)))
    with pytest.raises(CheckpointUnreadableError, match="record 'b' begins inside of 'a'"):
        read_directory(path)


@pytest.mark.parametrize(
    ("offset", "new", "said"),
    [
        (16, b"\x01\x02\x03\x04", "another size or checksum"),
        (20, struct.pack("<LL", 20, 20), "another size or checksum"),
        (42, struct.pack("<L", 2**31), "outside of its archive"),
        (34, b"\x01\x00", "its directory is damaged"),
        (0, b"PK\x01\x03", "its directory is damaged"),
    ],
)
def test_a_directory_that_says_otherwise_than_the_record_is_refused(
    tmp_path: Path, offset: int, new: bytes, said: str
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", bytes(24))
    change(path, entry(path, b"x/data.pkl") + offset, new)
    with pytest.raises(CheckpointUnreadableError, match=said):
        read_directory(path)


def test_a_misplaced_end_is_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    locator, end = whole.rindex(b"PK\x06\x07"), whole.rindex(b"PK\x05\x06")
    for damaged, said in (
        (whole + b"more", "not that of one zip archive"),
        (whole[:end] + bytes(8) + whole[end:], "."),
        (whole[:locator] + bytes(8) + whole[locator:], "end of zip64|said to be"),
        (b"PK\x03\x04" + whole, "end of zip64|said to be"),
    ):
        (tmp_path / "a.pt").write_bytes(damaged)
        with pytest.raises(CheckpointUnreadableError, match=said):
            read_directory(tmp_path / "a.pt")


def test_two_ends_that_disagree_are_refused(saved: Path) -> None:
    end = saved.read_bytes().rindex(b"PK\x05\x06")
    change(saved, end + 8, struct.pack("<HH", 1, 1))
    with pytest.raises(CheckpointUnreadableError, match="its two ends say different things"):
        read_directory(saved)


@pytest.mark.parametrize("around", [b"", b"PK\x05\x06" + b"\0" * 18, b"x" * 70_000])
def test_an_archive_among_others_is_read_within_its_own_bytes(saved: Path, around: bytes) -> None:
    alone = saved.read_bytes()
    inside = read_directory(saved)
    saved.write_bytes(around + alone + around)
    found = read_directory(saved, Extent(len(around), len(alone)))
    assert [each.start - len(around) for each in found] == [each.start for each in inside]
    for start, length in [(1, 0), (0, -1), (-1, 1), (0, 1)]:
        if len(around) + start < 0 or (not around and length > 0):
            continue
        with pytest.raises(CheckpointUnreadableError):
            read_directory(saved, Extent(len(around) + start, len(alone) + length))
