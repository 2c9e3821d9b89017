"""All tensors of a file together stay within what its storages and a fixed bound allow."""

from __future__ import annotations

import pytest
import torch

from statehouse.models.storage.inert import views
from statehouse.models.storage.inert.views import Bounds, UnsoundTensorError

STORAGE = torch.UntypedStorage(4)


def test_each_expanded_tensor_counts_once_and_all_of_them_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MAX_EXPANDED_BYTES", 1_000)
    bounds = Bounds(0)
    for _ in range(3):
        bounds.check(STORAGE, torch.float32, 0, (200,), (0,))
    with pytest.raises(UnsoundTensorError, match="all tensors would take more than 1,000 bytes"):
        bounds.check(STORAGE, torch.float32, 0, (51,), (0,))


def test_tied_and_overlapping_views_have_room() -> None:
    storage = torch.UntypedStorage(4_000)
    bounds = Bounds(4_000)
    for offset in range(10):
        assert bounds.check(storage, torch.float32, offset, (990,), (1,)) == (offset, (990,), (1,))
