"""Tensors of every sort that `torch.save` writes."""

from __future__ import annotations

import torch
from tests.support.checkpoint_corpus.nets import net, numbers
from tests.support.checkpoint_corpus.registry import saved
from torch import Tensor, nn

FLOATS = (torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool)
UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)


class Marked(Tensor):
    """A subclass, as fastai and torchvision have them."""


def marked() -> Tensor:
    """Return one with an attribute of its own."""
    tensor = numbers(3, 2).as_subclass(Marked)
    tensor.note = "of a file"
    return tensor


def sparse() -> Tensor:
    """Return a COO tensor with three values."""
    return torch.sparse_coo_tensor([[0, 1, 2], [2, 0, 1]], numbers(3), (3, 4)).coalesce()


def quantised_module() -> nn.Module:
    """Return a linear layer, quantised dynamically."""
    torch.backends.quantized.engine = (
        "qnnpack" if "fbgemm" not in torch.backends.quantized.supported_engines else "fbgemm"
    )
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)).eval(), {nn.Linear})


def shared() -> dict[str, Tensor]:
    """Return views of one storage: rows, a transposed one, one with an offset, the whole."""
    whole = numbers(6, 4)
    return {
        "whole": whole,
        "rows": whole[2:4],
        "turned": whole.t(),
        "column": whole[:, 1],
        "flat": whole.view(-1),
    }


def conjugated() -> dict[str, Tensor]:
    """Return complex tensors, one of which is a lazy conjugate and one a lazy negative."""
    first, second = (torch.complex(numbers(2, 3), numbers(2, 3, start=start)) for start in (9, 17))
    return {
        "plain": first, "conjugate": first.conj(), "negative": second.conj().imag,
        "wide": first.to(torch.complex128), "half": first.to(torch.complex32),
    }  # fmt: skip


saved("floats", lambda: {str(each): numbers(3, 5, dtype=each) for each in FLOATS})
saved("float8", lambda: {str(each): numbers(3, 5).to(each) for each in EIGHT_BITS})
saved("integers", lambda: {str(each): (numbers(3, 5) * 64).abs().to(each) for each in INTEGERS})
saved(
    "unsigned", lambda: {str(each): (numbers(3, 5) * 64).abs().to(torch.int64).to(each) for each in UNSIGNED}
)
saved("complex", conjugated)
saved("empty_and_scalar", lambda: {"scalar": numbers(1)[0], "empty": numbers(0, 3), "none": torch.empty(0)})
saved("views_of_one_storage", shared)
saved("expanded", lambda: {"mask": numbers(1).expand(7, 5), "rows": numbers(1, 4).expand(3, 4)})
saved(
    "not_contiguous",
    lambda: {"turned": numbers(3, 4).t(), "last": numbers(2, 3, 4, 5).to(memory_format=torch.channels_last)},
)
saved("part_of_a_large_storage", lambda: {"part": numbers(100, 10)[50:52]})
saved("sparse_coo", lambda: {"sparse": sparse(), "dense": numbers(2)})
saved("sparse_csr", lambda: {"csr": sparse().to_sparse_csr(), "csc": sparse().to_sparse_csc()})
saved("sparse_bsr", lambda: {"bsr": numbers(4, 4).to_sparse_bsr((2, 2))})
saved("nested_strided", lambda: {"nested": torch.nested.nested_tensor([numbers(2, 3), numbers(4, 3)])})
saved(
    "nested_jagged",
    lambda: {"nested": torch.nested.nested_tensor([numbers(2, 3), numbers(4, 3)], layout=torch.jagged)},
)
saved("quantised_tensors", lambda: {
    "per_tensor": torch.quantize_per_tensor(numbers(3, 4), 0.125, 3, torch.qint8),
    "per_channel": torch.quantize_per_channel(
        numbers(2, 4), torch.tensor([0.25, 0.5], dtype=torch.float64), torch.tensor([0, 1]), 0, torch.quint8),
})  # fmt: skip
saved("quantised_module", quantised_module)
saved(
    "parameters", lambda: {"a": nn.Parameter(numbers(3)), "b": nn.Parameter(numbers(2), requires_grad=False)}
)
saved("parameter_with_hooks", lambda: {"a": numbers(3).requires_grad_(), "b": nn.Buffer(numbers(2))})
saved("meta_tensors", lambda: {"shape": torch.empty(3, 4, device="meta"), "real": numbers(2)})
saved("tensor_subclass", lambda: {"marked": marked(), "plain": numbers(2)})
saved("tensor_with_attributes", lambda: {"weight": _attributed(), "net": net().state_dict()})
saved("storages", lambda: {"untyped": numbers(4).untyped_storage(), "tensor": numbers(4)})


def _attributed() -> nn.Parameter:
    parameter = nn.Parameter(numbers(3))
    parameter.is_norm = True
    return parameter
