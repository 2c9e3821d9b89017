"""How much modules compute, beside what is known of each kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.macs import count_macs


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)

    def forward(self, rows: Tensor) -> Tensor:
        return self.encoder(rows)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Linear(5, 3), (2, 5), 2 * 15),
        (nn.Linear(5, 3, bias=False), (2, 7, 5), 2 * 7 * 15),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), (1, 4, 10, 8), 10 * 8 * 6 * 2 * 9),
        (nn.Conv1d(4, 6, 3, stride=2), (2, 4, 11), 2 * 5 * 6 * 4 * 3),
        (nn.LSTM(5, 3, batch_first=True), (2, 7, 5), 2 * 7 * 4 * 3 * (5 + 3)),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.LayerNorm(4)), (3, 4), 3 * 16),
        (
            Attends(),
            (2, 5, 8),
            3 * 2 * 5 * (3 * 64 + 2 * 128),
        ),  # without the projection of attention's output
    ],
)
def test_each_matrix_counts_once_per_position(
    module: nn.Module, shape: tuple[int, ...], expected: int
) -> None:
    module.eval()
    with torch.inference_mode():
        assert count_macs(module, lambda: module(torch.rand(shape))) == expected


def test_embeddings_multiply_nothing() -> None:
    module = nn.Sequential(nn.Embedding(100, 4), nn.Linear(4, 2))
    assert count_macs(module, lambda: module(torch.zeros(3, 5, dtype=torch.long))) == 3 * 5 * 8


def test_a_layer_that_is_used_twice_counts_twice_and_no_hook_stays() -> None:
    layer = nn.Linear(4, 4)
    assert count_macs(layer, lambda: layer(layer(torch.rand(1, 4)))) == 32
    with pytest.raises(RuntimeError):
        count_macs(layer, lambda: layer(torch.rand(1, 3)))
    assert not layer._forward_hooks
