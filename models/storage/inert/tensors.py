"""Tensors, rebuilt as torch's own functions rebuild them, once what a pickle says of them is known to be sound."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.storage import TypedStorage, UntypedStorage

from statehouse.models.storage.inert.compressed_tensors import jagged, nested, sparse
from statehouse.models.storage.inert.plain_values import quietly
from statehouse.models.storage.inert.record import Named, Record
from statehouse.models.storage.inert.views import Bounds, UnsoundTensorError, integers

Arguments = tuple[object, ...]

_WRAPPER = (
    "torch._utils._rebuild_wrapper_subclass"  # a tensor without bytes of its own: its parts are in its state
)
_BITS = ("conj", "neg")


class Tensors:
    """The functions by which torch.save describes tensors, by name, for the tensors of one file."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.table: dict[str, Callable[[Arguments], object]] = {
            f"torch._utils.{name}": self._exactly(rebuild)
            for name, rebuild in (
                ("_rebuild_tensor", self._tensor),
                ("_rebuild_tensor_v2", self._tensor_v2),
                ("_rebuild_tensor_v3", self._tensor_v3),
                ("_rebuild_parameter", self._parameter),
                ("_rebuild_parameter_with_state", self._parameter),
                ("_rebuild_qtensor", self._quantised),
                ("_rebuild_sparse_tensor", lambda layout, data: sparse(layout, data)),
                ("_rebuild_sparse_csr_tensor", lambda layout, data: sparse(layout, data)),
                ("_rebuild_nested_tensor", nested),
                ("_rebuild_meta_tensor_no_storage", self._meta),
                ("_rebuild_device_tensor_from_numpy", self._from_other_device),
                ("_rebuild_xla_tensor", self._from_other_device),
                ("_rebuild_device_tensor_from_cpu_tensor", self._from_other_device),
            )
        }
        self.table |= {
            "torch.nested._internal.nested_tensor._rebuild_njt": self._exactly(jagged),
            "torch._tensor._rebuild_from_type": self._of_subclass,
            "torch._tensor._rebuild_from_type_v2": self._of_subclass,
            "torch.tensor._rebuild_from_type": self._of_subclass,
            "torch.tensor._rebuild_from_type_v2": self._of_subclass,
        }

    def _exactly(self, rebuild: Callable[..., object]) -> Callable[[Arguments], object]:
        def rebuilt(arguments: Arguments) -> object:
            try:
                with warnings.catch_warnings():  # torch says of some that they are new, or will go
                    warnings.simplefilter("ignore")
                    return rebuild(*arguments)
            except UnsoundTensorError:
                raise
            except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, OverflowError) as error:
                raise UnsoundTensorError(
                    f"a tensor cannot be made: {str(error).partition(chr(10))[0][:200]}"
                ) from error

        return rebuilt

    def _tensor(self, storage: object, offset: object, size: object, stride: object) -> Tensor:
        if not isinstance(storage, TypedStorage):
            raise UnsoundTensorError(f"a tensor's storage is a {type(storage).__name__}")
        return self._on(storage._untyped_storage, storage.dtype, offset, size, stride)

    def _on(
        self, storage: UntypedStorage, dtype: torch.dtype, offset: object, size: object, stride: object
    ) -> Tensor:
        place = self.bounds.check(storage, dtype, offset, size, stride)
        return torch.empty((0,), dtype=dtype, device=storage.device).set_(storage, *place)

    def _tensor_v2(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        requires_grad: object = False,
        _hooks: object = None,
        metadata: object = None,
    ) -> Tensor:
        return _marked(self._tensor(storage, offset, size, stride), requires_grad, metadata)

    def _tensor_v3(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        requires_grad: object,
        _hooks: object,
        dtype: object,
        metadata: object = None,
    ) -> Tensor:
        untyped = storage._untyped_storage if isinstance(storage, TypedStorage) else storage
        if not isinstance(untyped, UntypedStorage) or not isinstance(dtype, torch.dtype):
            raise UnsoundTensorError(
                f"a tensor's storage is a {type(storage).__name__}, of a {type(dtype).__name__}"
            )
        return _marked(self._on(untyped, dtype, offset, size, stride), requires_grad, metadata)

    def _parameter(self, data: object, requires_grad: object = True, *_: object) -> object:
        if not isinstance(data, Tensor):
            return data  # a shard: its record
        return nn.Parameter(data.detach(), bool(requires_grad) and _has_gradients(data))

    def _quantised(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        parameters: object,
        *_: object,
    ) -> Tensor:
        if not isinstance(storage, TypedStorage) or not isinstance(parameters, tuple) or not parameters:
            raise UnsoundTensorError("a quantised tensor is not described as torch.save does")
        place = self.bounds.check(storage._untyped_storage, storage.dtype, offset, size, stride)
        scheme, *numbers = parameters
        make = _per_tensor if scheme == torch.per_tensor_affine else _per_channel
        empty = make(place[1], storage.dtype, storage.device, *numbers)
        return empty.set_(storage._untyped_storage, *place)

    def _meta(self, dtype: object, size: object, stride: object, requires_grad: object = False) -> Tensor:
        if not isinstance(dtype, torch.dtype):
            raise UnsoundTensorError(f"a tensor on meta is of a {type(dtype).__name__}")
        sizes, strides = integers("size", size), integers("stride", stride)
        return _marked(torch.empty_strided(sizes, strides, dtype=dtype, device="meta"), requires_grad, None)

    def _from_other_device(
        self, data: object, dtype: object, _device: object, requires_grad: object
    ) -> Tensor:
        if not isinstance(data, Tensor) or not isinstance(dtype, torch.dtype):
            raise UnsoundTensorError(f"a tensor of another device holds a {type(data).__name__}")
        self.bounds.count(
            (id(data), dtype, len(self.bounds.seen)),
            data.numel() * dtype.itemsize,
            f"{dtype} {list(data.shape)}",
        )
        return _marked(data.detach().to(dtype), requires_grad, None)

    def _of_subclass(self, arguments: Arguments) -> object:
        """Return the tensor that a subclass is, without what it adds; a record where only the class knows its parts."""
        function, kind, inner, state = arguments if len(arguments) == 4 else (None,) * 4
        if not isinstance(function, Named) or not isinstance(inner, tuple):
            return None
        name = kind.name if isinstance(kind, Named) else "torch.Tensor"
        if function.name == _WRAPPER:
            return Record(name, inner[1:], state)
        rebuild = self.table.get(function.name)
        return Record(name, inner, state) if rebuild is None else rebuild(inner)


def _per_tensor(
    size: tuple[int, ...], dtype: torch.dtype, device: torch.device, scale: object, zero_point: object
) -> Tensor:
    if type(scale) is not float or type(zero_point) is not int:
        raise UnsoundTensorError("a quantised tensor's scale is no number")
    return torch._empty_affine_quantized(size, scale=scale, zero_point=zero_point, dtype=dtype, device=device)


def _per_channel(
    size: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    scales: object,
    zero_points: object,
    axis: object,
) -> Tensor:
    scales, zero_points = (
        torch.tensor(each) if isinstance(each, list) else each for each in (scales, zero_points)
    )
    if not isinstance(scales, Tensor) or not isinstance(zero_points, Tensor) or type(axis) is not int:
        raise UnsoundTensorError("a quantised tensor's scales are no numbers")
    if not 0 <= axis < len(size) or not scales.numel() == zero_points.numel() == size[axis]:
        raise UnsoundTensorError(
            f"a quantised tensor of size {list(size)} has {scales.numel():,} scales along {axis}"
        )
    return torch._empty_per_channel_affine_quantized(
        size, scales=scales, zero_points=zero_points, axis=axis, dtype=dtype, device=device
    )


def _has_gradients(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _marked(tensor: Tensor, requires_grad: object, metadata: object) -> Tensor:
    """Set whether a tensor takes gradients, and whether its values are to be conjugated or negated."""
    if requires_grad and _has_gradients(tensor):
        tensor.requires_grad = True
    if isinstance(metadata, dict):
        bits = {
            key: True for key in _BITS if metadata.get(key) is True and (key == "neg" or tensor.is_complex())
        }
        torch._C._set_tensor_metadata(tensor, bits)  # type: ignore[attr-defined]
    return tensor


def _size(sizes: object = ()) -> object:
    return torch.Size(integers("size", sizes))


def _device(kind: object, index: object = None) -> object:
    if not isinstance(kind, str):
        return None
    return torch.device(kind) if index is None else torch.device(kind, index)  # type: ignore[call-overload]


def _layout(name: object) -> object:
    return CONSTANTS.get(name) if isinstance(name, str) else None


_KINDS = (torch.dtype, torch.layout, torch.memory_format, torch.qscheme)
CONSTANTS: dict[str, object] = {
    f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, _KINDS)
}
REBUILD: dict[str, Callable[[Arguments], object]] = {
    "torch.Size": quietly(_size),
    "torch.device": quietly(_device),
    "torch.serialization._get_layout": quietly(_layout),
    "torch.torch_version.TorchVersion": quietly(lambda text: str(text) if isinstance(text, str) else None),
}
