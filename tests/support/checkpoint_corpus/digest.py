"""What a checkpoint holds, as lines that two ways of reading it can be compared by.

A tensor, or a numeric array, is a line of its path, dtype, shape and the SHA-256 of its bytes; a plain value in plain
containers is one of its path and itself. Objects are walked by what a pickle has of them, whether they are alive (the
reference) or inert records (the reader), so that both give the same paths.
"""

from __future__ import annotations

import datetime
import enum
import hashlib
import pathlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from statehouse.models.storage.inert.record import Named, Record

PLAIN_DICTS = (dict, OrderedDict, defaultdict, Counter)
PLAIN_LISTS = (list, tuple, deque)
PLAIN_VALUES = (bool, int, float, complex, str, bytes, bytearray, type(None), range, slice)
MAX_DEPTH = 200


@dataclass(frozen=True)
class Contents:
    """The lines of a checkpoint: tensors and plain values by their paths."""

    tensors: dict[str, str]
    plain: dict[str, str]

    def digest(self) -> dict[str, object]:
        """Return counts and one SHA-256 of each part."""
        found: dict[str, object] = {}
        for part, lines in (("tensors", self.tensors), ("plain", self.plain)):
            text = "\n".join(f"{path} {line}" for path, line in sorted(lines.items()))
            found[part] = len(lines)
            found[f"{part}_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        return found


def contents(held: object) -> Contents:
    """Return the lines of what a file holds."""
    tensors: dict[str, str] = {}
    plain: dict[str, str] = {}
    for path, item, in_plain in _leaves(held, "", (), plain=True):
        if isinstance(item, (Tensor, np.ndarray)):
            tensors[path] = described(_as_tensor(item))
        elif in_plain:
            plain[path] = repr(item)
    return Contents(tensors, plain)


def described(tensor: Tensor) -> str:
    """Return a tensor's dtype, shape and the SHA-256 of its elements in order."""
    parts = hashlib.sha256()
    for part in _parts(tensor):
        parts.update(_raw(part))
    layout = "" if tensor.layout == torch.strided or tensor.is_nested else f" {tensor.layout}"
    return f"{tensor.dtype} {_shape(tensor)}{layout} {'meta' if tensor.is_meta else parts.hexdigest()}"


def _shape(tensor: Tensor) -> list[int] | str:
    return "nested" if tensor.is_nested else list(tensor.shape)


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    tensor = tensor.detach()
    if tensor.is_meta:
        return
    if tensor.is_nested:
        yield from tensor.unbind()
    elif tensor.layout == torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    elif tensor.is_quantized:
        yield tensor.int_repr()
        yield from _scales(tensor)
    else:
        yield tensor


def _scales(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.qscheme() == torch.per_tensor_affine:
        return (torch.tensor(tensor.q_scale(), dtype=torch.float64), torch.tensor(tensor.q_zero_point()))
    return (tensor.q_per_channel_scales().double(), tensor.q_per_channel_zero_points().long())


def _raw(tensor: Tensor) -> bytes:
    plain = tensor.as_subclass(Tensor).resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def _as_tensor(item: Tensor | np.ndarray) -> Tensor:
    if isinstance(item, Tensor):
        return item
    native = np.array(item, dtype=item.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(native)


def _leaves(
    item: object, path: str, above: tuple[int, ...], *, plain: bool
) -> Iterator[tuple[str, object, bool]]:
    item = _simplified(item)
    if id(item) in above or len(above) > MAX_DEPTH:
        return
    if isinstance(item, (Tensor, np.ndarray)) or type(item) in PLAIN_VALUES:
        yield path, item, plain
        return
    if type(item) in (set, frozenset):
        yield path, sorted(item, key=repr), plain
        return
    for step, part, stays in _parts_of(item):
        yield from _leaves(
            part, f"{path}.{step}" if path else str(step), (*above, id(item)), plain=plain and stays
        )


def _simplified(item: Any) -> Any:
    if isinstance(item, np.ndarray) and item.dtype.kind not in "fiubc":
        return item.tolist() if item.dtype.kind in "OUS" else item.dtype
    if isinstance(item, np.generic):
        return str(item) if isinstance(item, np.str_) else item.item()
    if isinstance(item, (datetime.date, datetime.time, datetime.timedelta)):
        return str(item)
    if isinstance(item, pathlib.PurePath) or (isinstance(item, str) and not isinstance(item, enum.Enum)):
        return str.__str__(item) if isinstance(item, str) else str(item)
    if isinstance(item, torch.Size):
        return tuple(item)
    if item is ...:
        return None  # it says as little
    return item


def _parts_of(item: Any) -> Iterator[tuple[object, object, bool]]:
    """The parts of a container or an object: the step to each, itself, and whether a plain container holds it."""
    if isinstance(item, Mapping):
        yield from ((key, value, type(item) in PLAIN_DICTS) for key, value in item.items())
    elif isinstance(item, (list, tuple, deque)):
        yield from ((f"[{place}]", value, type(item) in PLAIN_LISTS) for place, value in enumerate(item))
    elif isinstance(item, Record):
        yield from _parts_of_pickle(item.arguments, item.state, item.items, item.pairs)
    elif not isinstance(item, (type, Named, torch.dtype, torch.device, torch.layout, np.dtype, enum.Enum)):
        yield from _parts_of_pickle(*_reduced(item))


def _reduced(item: Any) -> tuple[tuple[object, ...], object, list[object], Mapping[Any, Any]]:
    try:
        reduced = item.__reduce_ex__(2)
    except TypeError:  # a function, or what cannot be pickled by itself
        return (), None, [], {}
    if isinstance(reduced, str):
        return (), None, [], {}
    _, arguments, state, items, pairs, *_ = (*reduced, None, None, None)
    return arguments, state, list(items or ()), dict(pairs or ())


def _parts_of_pickle(
    arguments: tuple[object, ...], state: object, items: list[object], pairs: Mapping[Any, Any]
) -> Iterator[tuple[object, object, bool]]:
    stated = [part for part in state if part] if _is_slots(state) else [state]
    for part in stated:
        if isinstance(part, Mapping):
            yield from ((key, value, False) for key, value in part.items())
        elif part is not None:
            yield "state", part, False
    yield from ((f"[{place}]", value, False) for place, value in enumerate(items))
    yield from ((key, value, False) for key, value in pairs.items())
    yield from ((f"[{place}]", value, False) for place, value in enumerate(_without_class(arguments)))


def _is_slots(state: object) -> bool:
    return (
        isinstance(state, tuple)
        and len(state) == 2
        and isinstance(state[1], dict)
        and isinstance(state[0], (dict, type(None)))
    )


def _without_class(arguments: tuple[object, ...]) -> tuple[object, ...]:
    """Without the class that a pickle gives first, which the reader takes as the record's name."""
    first = arguments[0] if arguments else None
    return arguments[1:] if isinstance(first, (type, Named)) else arguments
