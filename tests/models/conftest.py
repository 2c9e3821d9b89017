from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from statehouse.models import build_model

SIMPLE_NET = {"input_size": 4, "hidden_size": 3, "num_classes": 2}


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def simple_net() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model("simple_net", SIMPLE_NET).eval()


@pytest.fixture
def simple_net_config() -> dict[str, int]:
    return dict(SIMPLE_NET)


@pytest.fixture
def rewrite_archive() -> Callable[..., Path]:
    """Copy a torch.save file record by record, changing its pickle, its compression or its records."""

    def rewrite(
        source: Path,
        target: Path,
        *,
        replace: tuple[tuple[bytes, bytes], ...] = (),
        compression: int = zipfile.ZIP_STORED,
        extra: dict[str, bytes] | None = None,
    ) -> Path:
        with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "w", compression) as write:
            for name in read.namelist():
                data = read.read(name)
                if name.endswith("/data.pkl"):
                    for old, new in replace:
                        assert old in data, f"{old!r} is not in the pickle: torch.save has changed"
                        data = data.replace(old, new)
                write.writestr(name, data)
            for name, data in (extra or {}).items():
                write.writestr(name, data)
        return target

    return rewrite
