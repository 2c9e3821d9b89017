"""Both containers as one: a dict of tensors and plain data, read from and written to either."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from statehouse.models.errors import CheckpointContentError, CheckpointUnreadableError
from statehouse.models.plain import MAX_DEPTH, MAX_VALUES, canonical_json, parse_json_object, walk
from statehouse.models.storage.files import Container, atomic_file, recognise_container
from statehouse.models.storage.legacy_file import check_legacy, is_legacy
from statehouse.models.storage.torch_archive import check_archive
from statehouse.models.tensors.ties import memory_key

STATE_DICT_KEY = "model_state_dict"
PLAIN_KEY = "statehouse"  # where a safetensors header has the plain data
TIES_KEY = "ties"  # in it: name → the name under which the same tensor is stored

_PT_ONLY_DTYPES = frozenset({torch.complex128, torch.complex32})


def read_container(path: Path, map_location: str | torch.device) -> tuple[Container, object]:
    """Return the container and what the one file holds; on a CPU the tensors are the mapped file, not yet read.

    Raises:
        CheckpointNotFoundError: there is no file.
        CheckpointUnreadableError: it is cut short, damaged, or no checkpoint.
        CheckpointUnsafeError: it could only be read by running code.
        CheckpointContentError: its tensors are not what their records hold.
    """
    container = recognise_container(path)
    if container == "pt":
        return container, read_torch(path, torch.device(map_location))
    tensors, header = read_safetensors(path, torch.device(map_location))
    if PLAIN_KEY not in header:
        return container, tensors
    return container, with_plain(path, tensors, parse_json_object(path, header[PLAIN_KEY], "its plain data"))


def read_torch(path: Path, device: torch.device) -> object:
    """Return what a torch.save file holds; raises as `read_container` does."""
    legacy = is_legacy(path)
    record_sizes = check_legacy(path) if legacy else check_archive(path)
    try:
        held: object = torch.load(path, weights_only=True, map_location=device, mmap=not legacy)
    except Exception as error:  # a damaged pickle makes torch raise anything from KeyError to AssertionError
        raise CheckpointUnreadableError(
            f"{path}: is damaged, or was not written by torch.save with its default protocol; "
            f"write or copy it again ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        ) from error
    _check_held(path, held, record_sizes)
    return held


def _check_held(path: Path, held: object, record_sizes: frozenset[int]) -> None:
    """Refuse tensors larger than their bytes, as strides of 0 let a small file declare any shape."""
    problems: list[str] = []
    for count, (where, depth, item) in enumerate(walk(held, "", (Tensor,)), start=1):
        if depth > MAX_DEPTH or count > MAX_VALUES:
            problems.append(f"{where[:80]}: nested beyond {MAX_DEPTH} levels or {MAX_VALUES:,} values")
            break
        if isinstance(item, Tensor):
            vars(item).clear()  # FSDP leaves marks on tensors; what is called like a method would shadow it
            if not _is_sound(item, record_sizes):
                declared = f"{item.dtype} {list(item.shape)}"
                problems.append(f"{where}: declares {declared}, which its record does not hold")
        if isinstance(item, OrderedDict) and (hidden := vars(item).keys() - {"_metadata"}):
            problems.append(f"{where}: carries attributes {sorted(hidden)}, which could shadow its methods")
    if problems:
        raise CheckpointContentError(f"{path}: is damaged or hostile:", problems)


def _is_sound(tensor: Tensor, record_sizes: frozenset[int]) -> bool:
    stored_bytes = tensor.untyped_storage().nbytes()
    return stored_bytes in record_sizes and tensor.numel() * tensor.itemsize <= stored_bytes


def read_safetensors(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and the texts of its header; raises as `read_container` does."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            names, header = file.keys(), file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointUnreadableError(
            f"{path}: is cut short or damaged ({error}); copy or download it again"
        ) from error
    return tensors, header


def with_plain(path: Path, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Put tensors and plain data together, the tied tensors under each of their names.

    Raises CheckpointContentError when the ties are none.
    """
    plain = dict(plain)
    ties = plain.pop(TIES_KEY, {})
    if not isinstance(ties, dict) or not all(isinstance(source, str) for source in ties.values()):
        raise CheckpointContentError(f"{path}: is damaged:", [f"{TIES_KEY}: expected names by name"])
    absent = [
        f"{TIES_KEY}.{name}: no tensor {source!r}" for name, source in ties.items() if source not in tensors
    ]
    if absent:
        raise CheckpointContentError(f"{path}: is damaged:", absent)
    return plain | {STATE_DICT_KEY: {**tensors, **{name: tensors[source] for name, source in ties.items()}}}


def write_container(
    path: Path, container: Container, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]
) -> None:
    """Write tensors and plain data atomically; a tensor that is there under several names is stored once."""
    if container == "pt":
        _write_torch(path, tensors, plain)
    else:
        _write_safetensors(path, tensors, plain)


def _write_torch(path: Path, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    with atomic_file(path) as sibling, sibling.open("wb") as file:
        torch.save({STATE_DICT_KEY: dict(tensors), **plain}, file)


def _write_safetensors(path: Path, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    stored, ties = stored_once(path, tensors)
    write_tensors(path, stored, {PLAIN_KEY: canonical_json({**plain, TIES_KEY: ties})})


def stored_once(path: Path, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors that are stored, and the name of each other one → the name of the same among them.

    Raises CheckpointContentError for what safetensors cannot hold.
    """
    odd = [f"{name}: is {t.dtype}" for name, t in tensors.items() if t.dtype in _PT_ONLY_DTYPES]
    if odd:
        raise CheckpointContentError(f"{path}: .safetensors cannot hold these; save as .pt:", odd)
    names: dict[tuple[object, ...], str] = {}
    ties = {}
    for name, tensor in tensors.items():
        stored = names.setdefault(memory_key(tensor), name)
        if stored != name:
            ties[name] = stored
    return {name: tensors[name] for name in names.values()}, ties


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write a safetensors file atomically, straight from the tensors' memory: nothing is copied."""
    with atomic_file(path) as sibling:
        save_file(dict(tensors), sibling, metadata={"format": "pt", **header})
