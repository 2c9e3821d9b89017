"""How much a module computes: counted and not timed, so the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

NO_PRODUCTS = (nn.Embedding, nn.EmbeddingBag)  # rows of their weights are taken, and nothing is multiplied


def count_macs(module: nn.Module, run: Callable[[], object]) -> int:
    """Return about how many multiply-accumulate operations `run` makes `module` do.

    Each of a layer's matrices counts once for every position of the layer's output, which is what linear, convolutional
    and recurrent layers do; products of activations alone, as in attention, are not counted.
    """
    counted = 0

    def count(layer: nn.Module, given: object, output: object) -> None:
        nonlocal counted
        counted += _matrix_elements(layer) * _positions(layer, output)

    layers = [each for each in module.modules() if _matrix_elements(each)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return counted


def _matrix_elements(layer: nn.Module) -> int:
    if isinstance(layer, NO_PRODUCTS):
        return 0
    return sum(weight.numel() for weight in layer.parameters(recurse=False) if weight.ndim > 1)


def _positions(layer: nn.Module, output: object) -> int:
    tensor = next(_tensors(output), torch.empty(0))
    features = tensor.shape[-_spatial_axes(layer) - 1] if tensor.ndim > _spatial_axes(layer) else 0
    return tensor.numel() // features if features else 0


def _spatial_axes(layer: nn.Module) -> int:
    return len(layer.kernel_size) if isinstance(layer, _ConvNd) else 0


def _tensors(output: object) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for each in output:
            yield from _tensors(each)
