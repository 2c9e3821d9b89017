"""How much a library's network computes, beside what its authors say."""

from __future__ import annotations

import pytest
import torch

from statehouse.models import build_model
from statehouse.models.macs import count_macs


def test_a_known_network_has_what_its_authors_say() -> None:
    """MobileNetV2: 300 million (Sandler et al. 2018, table 4)."""
    module = build_model("torchvision:mobilenet_v2", {}).eval()
    assert count_macs(lambda: module(torch.rand(1, 3, 224, 224))) == pytest.approx(300e6, rel=0.01)
