"""One item of a `.distcp` file: what torch.save wrote, as a range of bytes among others."""

from __future__ import annotations

from pathlib import Path

import torch

from statehouse.models.errors import CheckpointUnreadableError
from statehouse.models.storage.distributed.manifest import Place
from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.views import UnsoundTensorError
from statehouse.models.storage.torch_archive import damaged_records, read_archive
from statehouse.models.storage.zip_directory import Extent

_CPU = torch.device("cpu")


def read_item(folder: Path, place: Place) -> object:
    """Return what an item holds; a tensor is the mapped file, or a copy where it does not begin at an even place.

    Raises CheckpointUnreadableError: it is cut short or damaged, or declares tensors that its bytes do not hold.
    """
    try:
        return read_archive(folder / place.file, _CPU, Extent(place.start, place.length))
    except (DamagedPickleError, UnsoundTensorError) as error:
        raise CheckpointUnreadableError(
            f"{place.file}, from byte {place.start:,} on: is damaged ({error}); copy it again"
        ) from error


def damage_of_item(folder: Path, place: Place) -> list[str]:
    """Read every byte of an item, and say which of its records do not match their CRC-32."""
    found = damaged_records(folder / place.file, Extent(place.start, place.length))
    return [f"{problem}, of the item from byte {place.start:,} on" for problem in found]
