"""The reader of torch.save's pickles: what of them is rebuilt, and by what."""

from __future__ import annotations

from statehouse.models.storage.inert import array_values, plain_values, tensors
from statehouse.models.storage.inert.operands import Bytes
from statehouse.models.storage.inert.storages import Storages
from statehouse.models.storage.inert.tensors import Tensors
from statehouse.models.storage.inert.unpickler import Unpickler
from statehouse.models.storage.inert.views import Bounds


def reader_of(data: Bytes, storages: Storages, position: int = 0) -> Unpickler:
    """Return what reads the pickles in `data` from `position` on, their tensors in `storages`.

    Its `load` raises DamagedPickleError, and UnsoundTensorError for tensors that their bytes do not hold.
    """
    return Unpickler(
        data,
        position,
        constants=plain_values.CONSTANTS | tensors.CONSTANTS,
        rebuild={
            **plain_values.REBUILD,
            **array_values.REBUILD,
            **tensors.REBUILD,
            **Tensors(Bounds(storages.stored_bytes)).table,
        },
        finish=array_values.FINISH,
        persistent=storages.typed,
    )
