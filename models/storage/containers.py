"""Both containers as one: a dict of tensors and plain data, read from and written to either."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from statehouse.models.errors import CheckpointContentError, CheckpointError, CheckpointUnreadableError
from statehouse.models.plain import MAX_DEPTH, MAX_VALUES, canonical_json, parse_json_object
from statehouse.models.storage.files import Container, atomic_file, recognise_container
from statehouse.models.storage.inert.views import UnsoundTensorError
from statehouse.models.storage.legacy_file import is_legacy, read_legacy
from statehouse.models.storage.torch_archive import read_archive
from statehouse.models.tensors.ties import memory_key

STATE_DICT_KEY = "model_state_dict"
PLAIN_KEY = "statehouse"  # where a safetensors header has the plain data
TIES_KEY = "ties"  # in it: name → the name under which the same tensor is stored
MAX_SAID = 300  # characters of what another library says of a damaged file

_PT_ONLY_DTYPES = frozenset({torch.complex128, torch.complex32})


def read_container(path: Path, map_location: str | torch.device) -> tuple[Container, object]:
    """Return the container and what the one file holds; on a CPU the tensors are the mapped file, not yet read.

    Raises:
        CheckpointNotFoundError: there is no file.
        CheckpointUnreadableError: it is cut short, damaged, or no checkpoint.
        CheckpointUnsafeError: it is a program, a TorchScript archive.
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
    """Return what a torch.save file holds; raises as `read_container` does.

    Nothing that the file names is imported or called: see `models.storage.inert`.
    """
    try:
        held = read_legacy(path, device) if is_legacy(path) else read_archive(path, device)
    except CheckpointError:
        raise
    except UnsoundTensorError as error:
        raise CheckpointContentError(f"{path}: is damaged or hostile:", [str(error)[:MAX_SAID]]) from error
    except Exception as error:  # whatever torch or the system finds in it
        said = str(error).partition("\n")[0][:MAX_SAID]
        raise CheckpointUnreadableError(
            f"{path}: is cut short or damaged ({said or type(error).__name__}); copy or download it again"
        ) from error
    _check_nesting(path, held)
    return held


def _check_nesting(path: Path, held: object) -> None:
    """Refuse data that unfolds without end; what records hold is for those to bound who look into them."""
    left = MAX_VALUES
    entries = held.items() if isinstance(held, dict) else [("", held)]
    for key, entry in entries:
        left -= _unfolded(entry, left)
        if left < 0:
            problem = f"{str(key)[:80]!a}: nested beyond {MAX_DEPTH} levels or {MAX_VALUES:,} values"
            raise CheckpointContentError(f"{path}: is damaged or hostile:", [problem])


def _unfolded(value: object, limit: int) -> int:
    """Return how many values `value` is when it is walked, more than `limit` where it is nested too deep."""
    levels, count = [iter((value,))], 0
    while levels and count <= limit:
        item = next(levels[-1], levels)  # which is in no file
        if item is levels:
            levels.pop()
            continue
        count += 1
        if isinstance(item, dict):
            levels.append(iter(item.values()))
        elif isinstance(item, list | tuple):
            levels.append(iter(item))
        if len(levels) > MAX_DEPTH + 1:
            return limit + 1
    return count


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
