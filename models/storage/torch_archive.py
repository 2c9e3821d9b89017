"""Files that torch.save writes since torch 1.6: a zip archive of a pickle and a record for each storage."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch

from statehouse.models.errors import CheckpointUnreadableError, CheckpointUnsafeError, listed
from statehouse.models.storage.files import ZIP_MAGIC
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.reading import reader_of
from statehouse.models.storage.inert.storages import Place, Storages
from statehouse.models.storage.zip_directory import MAX_LISTED, WHOLE_FILE, Extent, ZipRecord, read_directory

MAX_PICKLE_BYTES = 256 * 1024 * 1024  # the plain data; the tensors have records of their own
SAVE_INSTEAD = 'torch.save({"model_state_dict": model.state_dict(), "model_config": {...}}, path)'

_PICKLE, _BYTE_ORDER, _STORAGES = "data.pkl", "byteorder", "data/"
_BYTE_ORDERS = (b"little", b"big")
_READ_CHUNK_BYTES = 1024 * 1024


def read_archive(path: Path, device: torch.device, extent: Extent = WHOLE_FILE) -> object:
    """Return what the archive at `path` holds; on a CPU its tensors are the mapped file, not yet read.

    `extent` is where the archive is one of several in the file; tensors that do not begin there at a multiple of
    their elements' size are copied.

    Raises:
        CheckpointUnreadableError: cut short, damaged, compressed, or no torch.save file.
        CheckpointUnsafeError: TorchScript.
        DamagedPickleError, UnsoundTensorError: as `reader_of` says.
    """
    records = read_directory(path, extent)
    _check_records(path, records)
    top = next(record.name for record in records if _is_pickle(record)).removesuffix(_PICKLE)
    own = {record.name.removeprefix(top): record for record in records if record.name.startswith(top)}
    places = {
        name.removeprefix(_STORAGES): Place(record.start, record.size)
        for name, record in own.items()
        if name.startswith(_STORAGES)
    }
    storages = Storages(path, places, device, _byte_order(path, own.get(_BYTE_ORDER)))
    return reader_of(_bytes_of(path, own[_PICKLE]), storages).load()


def _check_records(path: Path, records: Sequence[ZipRecord]) -> None:
    inner = {record.name.partition("/")[2] for record in records}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise CheckpointUnsafeError(
            f"{path}: is a TorchScript archive, which holds code; save its tensors: "
            f"torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pt')"
        )
    if "archive_format" in inner:
        raise CheckpointUnreadableError(
            f"{path}: is a program of torch.export, which holds a graph; save its tensors: "
            f"torch.save(torch.export.load({path.name!r}).state_dict, 'weights.pt')"
        )
    problems = [problem for record in records if (problem := _record_problem(record))]
    if sum(_is_pickle(record) for record in records) != 1:
        problems.append("expected one record data.pkl, as torch.save writes it")
    if problems:
        raise CheckpointUnreadableError(
            listed(f"{path}: is no sound torch.save file:", problems[:MAX_LISTED])
        )


def _is_pickle(record: ZipRecord) -> bool:
    return record.name.endswith(f"/{_PICKLE}")


def _record_problem(record: ZipRecord) -> str | None:
    if not record.is_stored:
        return f"record {record.name[:80]!a} is compressed; torch.save stores records as they are"
    if record.is_encrypted:
        return f"record {record.name[:80]!a} is encrypted"
    if _is_pickle(record) and record.size > MAX_PICKLE_BYTES:
        return f"data.pkl has {record.size:,} bytes; expected at most {MAX_PICKLE_BYTES:,}"
    return None


def _byte_order(path: Path, record: ZipRecord | None) -> str:
    if record is None:
        return "little"
    order = _bytes_of(path, record) if record.size <= max(map(len, _BYTE_ORDERS)) else b""
    if order not in _BYTE_ORDERS:
        raise DamagedPickleError("its byte order is neither little nor big")
    return order.decode()


def _bytes_of(path: Path, record: ZipRecord) -> bytes:
    with path.open("rb") as file:
        file.seek(record.start)
        return file.read(record.size)


def damaged_records(path: Path, extent: Extent = WHOLE_FILE) -> list[str]:
    """Read every record of the archive at `path` and name those whose bytes do not match their CRC-32.

    A file from before torch 1.6 is no archive, and says nothing of its bytes.

    Raises CheckpointUnreadableError as `read_archive` does.
    """
    with path.open("rb") as file:
        file.seek(extent.start)
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            return []
        return [
            f"record {record.name[:80]!a}: Bad CRC-32"
            for record in read_directory(path, extent)
            if not _has_its_checksum(file, record)
        ]


def _has_its_checksum(file: BinaryIO, record: ZipRecord) -> bool:
    file.seek(record.start)
    left, checksum = record.size, 0
    while left and (chunk := file.read(min(left, _READ_CHUNK_BYTES))):
        checksum = zlib.crc32(chunk, checksum)
        left -= len(chunk)
    return not left and checksum == record.crc
