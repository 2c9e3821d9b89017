"""What is checked of a torch.save file before torch reads it: its zip records, and what its pickle names."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch

from statehouse.models.errors import CheckpointUnreadableError, CheckpointUnsafeError, listed

MAX_PICKLE_BYTES = 64 * 1024 * 1024  # the plain data; the tensors have records of their own
SAVE_INSTEAD = 'torch.save({"model_state_dict": model.state_dict(), "model_config": {...}}, path)'
SAVE_WHOLE = (
    "get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)), of "
    "torch.distributed.checkpoint.state_dict"
)

_ENCRYPTED = 0x1
_INDIRECT_CODES = frozenset({"STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
# What zipfile raises for damaged archives, its documented error among them.
_ZIP_ERRORS = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, UnicodeDecodeError, RuntimeError)
_READ_CHUNK_BYTES = 1024 * 1024
# Narrower than torch's own list: what follows makes tensors of records in the file and plain data, no more.
_PLAIN_GLOBALS = frozenset(
    {
        "collections OrderedDict",
        "collections Counter",
        "__builtin__ set",
        "builtins set",
        "_codecs encode",
        "torch Size",
        "torch device",
        "torch Tensor",
        "torch._tensor _rebuild_from_type_v2",  # of tensors with attributes, as FSDP leaves them; we take those off
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_tensor_v3",
        "torch._utils _rebuild_parameter",
        "torch.nn.parameter Parameter",
        "torch.storage UntypedStorage",
        "torch.storage TypedStorage",
    }
)


def check_archive(path: Path) -> frozenset[int]:
    """Check the archive at `path` without reading a tensor, and return the sizes of its tensor records.

    Raises:
        CheckpointUnreadableError: cut short, damaged, compressed, or no torch.save file.
        CheckpointUnsafeError: TorchScript, or a pickle that names any class or function of its own.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            _check_records(path, records)
            refuse_code(path, io.BytesIO(_read_pickle(path, archive)))
    except _ZIP_ERRORS as error:
        raise CheckpointUnreadableError(
            f"{path}: is cut short or damaged ({error}); copy or download it again"
        ) from error
    return frozenset(record.file_size for record in records if "/data/" in record.filename)


def _check_records(path: Path, records: list[zipfile.ZipInfo]) -> None:
    names = Counter(record.filename for record in records)
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise CheckpointUnsafeError(
            f"{path}: is a TorchScript archive, which holds code; save the tensors instead: {SAVE_INSTEAD}"
        )
    problems = [f"record {name!r} is there {count} times" for name, count in names.items() if count > 1]
    problems += [problem for record in records if (problem := _record_problem(record))]
    if sum(record.file_size for record in records) > path.stat().st_size:
        problems.append("its records declare more bytes than the file has")
    if sum(name.endswith("/data.pkl") for name in names) != 1:
        problems.append("expected one record data.pkl, as torch.save writes it")
    if problems:
        raise CheckpointUnreadableError(listed(f"{path}: is no sound torch.save file:", problems))


def _record_problem(record: zipfile.ZipInfo) -> str | None:
    if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
        return f"record {record.filename!r} is compressed; torch.save stores records as they are"
    if record.flag_bits & _ENCRYPTED:
        return f"record {record.filename!r} is encrypted"
    if record.filename.endswith("/data.pkl") and record.file_size > MAX_PICKLE_BYTES:
        return f"data.pkl has {record.file_size:,} bytes; expected at most {MAX_PICKLE_BYTES:,}"
    return None


def _read_pickle(path: Path, archive: zipfile.ZipFile) -> bytes:
    name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    return archive.read(name)


def refuse_code(path: Path, file: BinaryIO, start: int = 0) -> int:
    """Refuse every class and function that a pickle names and plain data does not need; runs nothing.

    The pickle begins at `start`; returns where it ends.

    Raises:
        CheckpointUnreadableError: the pickle is damaged.
        CheckpointUnsafeError: it names code.
    """
    file.seek(start)
    try:
        codes = {
            (code.name, argument)
            for code, argument, _ in pickletools.genops(file)
            if code.name == "GLOBAL" or code.name in _INDIRECT_CODES
        }
    except ValueError as error:
        raise CheckpointUnreadableError(f"{path}: its pickle is damaged ({error}); copy it again") from error
    if any(code in _INDIRECT_CODES for code, _ in codes):
        raise CheckpointUnsafeError(
            f"{path}: was pickled by a protocol that names code indirectly; expected torch.save's own "
            f"(pickle_protocol=2): save {SAVE_INSTEAD}"
        )
    named = {str(argument) for code, argument in codes if code == "GLOBAL"}
    refused = sorted(name.replace(" ", ".") for name in named if not _is_plain(name))
    if refused:
        raise CheckpointUnsafeError(
            f"{path}: can only be read by running code, as it names {', '.join(refused)}; "
            f"expected tensors and plain data alone: save {_instead(refused)}"
        )
    return file.tell()


def _instead(refused: Sequence[str]) -> str:
    if any(
        name.startswith("torch.distributed.") for name in refused
    ):  # each process has a part of the tensors
        return SAVE_WHOLE
    return SAVE_INSTEAD


def _is_plain(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    if module in ("torch", "torch.cuda") and attribute.endswith("Storage"):
        return True
    return name in _PLAIN_GLOBALS or (
        module == "torch" and isinstance(getattr(torch, attribute, None), torch.dtype)
    )


def damaged_records(path: Path) -> list[str]:
    """Read every record of the archive at `path` and name those whose bytes do not match their CRC-32.

    A file from before torch 1.6 is no archive, and says nothing of its bytes.
    """
    if not zipfile.is_zipfile(path):
        return []
    damaged: list[str] = []
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            try:
                with archive.open(record) as file:
                    while file.read(_READ_CHUNK_BYTES):
                        pass
            except _ZIP_ERRORS as error:
                damaged.append(f"record {record.filename!r}: {error}")
    return damaged
