"""Quantised tensors, those of other devices and those without bytes; and what a pickle may not say of a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.storage import TypedStorage, UntypedStorage

from statehouse.models.storage.containers import read_torch
from statehouse.models.storage.inert.record import Named, Record
from statehouse.models.storage.inert.tensors import REBUILD, Tensors
from statehouse.models.storage.inert.views import Bounds, UnsoundTensorError

STORAGE = TypedStorage(wrap_storage=UntypedStorage(24), dtype=torch.float32, _internal=True)


def rebuild(name: str, *arguments: object) -> Any:
    return Tensors(Bounds(24)).table[f"torch._utils.{name}"](arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_tensors_have_their_scales(tmp_path: Path) -> None:
    values = torch.arange(12.0).reshape(3, 4)
    scales, zeros = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 2])
    made = {
        "one": torch.quantize_per_tensor(values, 0.1, 3, torch.qint8),
        "each": torch.quantize_per_channel(values, scales, zeros, 0, torch.quint8),
    }
    torch.save(made, tmp_path / "a.pt")
    read = read_torch(tmp_path / "a.pt", torch.device("cpu"))
    for name, tensor in made.items():
        assert torch.equal(read[name].dequantize(), tensor.dequantize())
        assert torch.equal(read[name].int_repr(), tensor.int_repr())


def test_a_tensor_on_meta_has_its_shape(tmp_path: Path) -> None:
    torch.save({"a": torch.empty(2, 10**9, device="meta")}, tmp_path / "a.pt")
    read = read_torch(tmp_path / "a.pt", torch.device("cpu"))["a"]
    assert (read.is_meta, read.shape) == (True, (2, 10**9))


def test_tensors_of_other_devices_are_the_values_that_were_saved() -> None:
    made = rebuild("_rebuild_device_tensor_from_cpu_tensor", torch.ones(2), torch.float64, "xla:0", True)
    assert (made.dtype, made.tolist(), made.requires_grad) == (torch.float64, [1, 1], True)
    assert (
        rebuild("_rebuild_xla_tensor", torch.ones(2), torch.bfloat16, "xla:0", False).dtype == torch.bfloat16
    )


def test_a_shard_is_a_record_of_its_class_and_so_is_its_parameter() -> None:
    table = Tensors(Bounds(0)).table
    kind = Named("torch.distributed.tensor.DTensor")
    inner = (kind, torch.float32, (4, 2), (2, 1), 0, torch.strided, torch.device("cpu"), True)
    local = {
        "_local_tensor": torch.ones(2, 2),
        "_spec": Record("torch.distributed.tensor._dtensor_spec.DTensorSpec"),
    }
    function = Named("torch._utils._rebuild_wrapper_subclass")
    shard = table["torch._tensor._rebuild_from_type_v2"]((function, kind, inner, local))
    assert isinstance(shard, Record)
    assert (shard.name, shard.arguments[:2]) == (kind.name, (torch.float32, (4, 2)))
    assert shard.attributes()["_local_tensor"].shape == (2, 2)
    assert table["torch._utils._rebuild_parameter"]((shard, True, None)) is shard


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (-1, (1,), (1,)),
        (0, (-1,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0, (2**40, 2**40), (0, 0)),
        (2**70, (0,), (1,)),
        (0, (1,) * 65, (1,) * 65),
        (0, (1.0,), (1,)),
        (True, (1,), (1,)),
        (0, "1", (1,)),
        (0, (2 * 10**9,), (0,)),
    ],
)
@pytest.mark.parametrize(
    "version", ["_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"]
)
def test_what_does_not_lie_in_the_storage_is_refused(
    version: str, offset: object, size: object, stride: object
) -> None:
    more = {
        "_rebuild_tensor": (),
        "_rebuild_tensor_v2": (False, None),
        "_rebuild_tensor_v3": (False, None, torch.float32),
        "_rebuild_qtensor": ((torch.per_tensor_affine, 1.0, 0), False, None),
    }[version]
    storage = (
        STORAGE
        if version != "_rebuild_qtensor"
        else TypedStorage(wrap_storage=UntypedStorage(6), dtype=torch.quint8, _internal=True)
    )
    with pytest.raises(UnsoundTensorError):
        rebuild(version, storage, offset, size, stride, *more)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_rebuild_tensor_v2", ("text", 0, (1,), (1,))),
        ("_rebuild_tensor_v2", ()),
        ("_rebuild_tensor_v3", (STORAGE, 0, (1,), (1,), False, None, "float32")),
        ("_rebuild_qtensor", (STORAGE, 0, (1,), (1,), (torch.per_tensor_affine, 1.0, 0), False, None)),
        ("_rebuild_qtensor", (STORAGE, 0, (1,), (1,), (), False, None)),
        (
            "_rebuild_qtensor",
            (STORAGE, 0, (3,), (1,), (torch.per_channel_affine, [1.0], [0], 0), False, None),
        ),
        (
            "_rebuild_qtensor",
            (STORAGE, 0, (3,), (1,), (torch.per_channel_affine, [1.0], [0], 9), False, None),
        ),
        ("_rebuild_meta_tensor_no_storage", (torch.float32, (2**40, 2**40), (1, 1), False)),
        ("_rebuild_meta_tensor_no_storage", ("float32", (2,), (1,), False)),
        ("_rebuild_device_tensor_from_cpu_tensor", ("text", torch.float32, "xla:0", False)),
        ("_rebuild_device_tensor_from_numpy", (torch.ones(1).expand(10**9), torch.float32, "xla:0", False)),
    ],
)
def test_what_torch_save_never_says_is_refused(name: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(UnsoundTensorError):
        rebuild(name, *arguments)


def test_gradients_are_for_numbers_alone() -> None:
    whole = TypedStorage(wrap_storage=UntypedStorage(8), dtype=torch.int64, _internal=True)
    assert not rebuild("_rebuild_tensor_v2", whole, 0, (1,), (1,), True, None).requires_grad
    parameter = rebuild("_rebuild_parameter", torch.ones(1, dtype=torch.int64), True, None)
    assert isinstance(parameter, nn.Parameter)


def test_small_values_of_torch() -> None:
    assert REBUILD["torch.Size"](((1, 2),)) == torch.Size([1, 2])
    assert REBUILD["torch.device"](("cuda", 1)) == torch.device("cuda:1")
    assert REBUILD["torch.device"](("nowhere",)) is None
    assert REBUILD["torch.serialization._get_layout"](("torch.sparse_coo",)) is torch.sparse_coo
    assert REBUILD["torch.torch_version.TorchVersion"](("2.13.0",)) == "2.13.0"
