"""How much modules compute, beside what is known of each kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from statehouse.models.macs import count_macs

LINEAR = nn.Linear(512, 512)


class Reuses(nn.Module):
    """As a tied output projection does: a matrix of another layer's, which is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return nn.functional.linear(self.embedding(ids), self.embedding.weight)


@pytest.mark.parametrize(
    ("module", "given", "expected"),
    [
        (nn.Linear(5, 3), torch.rand(2, 7, 5), 2 * 7 * 15),
        (nn.Linear(5, 3, bias=False), torch.rand(2, 5), 2 * 15),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), torch.rand(1, 4, 10, 8), 10 * 8 * 6 * 2 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), torch.rand(1, 4, 10, 8), 10 * 8 * 4 * 6 * 9),
        (nn.LSTM(5, 3, batch_first=True), torch.rand(2, 7, 5), 2 * 7 * 4 * 3 * (5 + 3)),
        (nn.GRU(5, 3, batch_first=True), torch.rand(2, 7, 5), 2 * 7 * 3 * 3 * (5 + 3)),
        (parametrizations.weight_norm(nn.Linear(512, 512)), torch.rand(1, 512), 512 * 512),
        (nn.LayerNorm([64, 32, 32]), torch.rand(1, 64, 32, 32), 0),
        (Reuses(), torch.zeros(3, 5, dtype=torch.long), 3 * 5 * 4 * 100),
    ],
)
def test_products_and_convolutions_count_wherever_they_are(
    module: nn.Module, given: Tensor, expected: int
) -> None:
    module.eval()
    assert count_macs(lambda: module(given)) == expected


def test_an_encoder_s_fused_layers_count_too() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    module = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    linear = 2 * 5 * (4 * 64 + 2 * 128)
    attention = 2 * (2 * 5 * 5 * 8)
    assert 3 * linear <= count_macs(lambda: module(torch.rand(2, 5, 8))) <= 3 * (linear + attention)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mkldnn.enabled
