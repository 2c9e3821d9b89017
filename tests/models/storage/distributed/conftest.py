"""Folders that two processes and one have saved, made once."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp

SCRIPT = Path(__file__).with_name("save_folders.py")


@pytest.fixture(scope="session")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `save_folders.py` wrote; not to be changed."""
    out = tmp_path_factory.mktemp("of-two")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(out)], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def whole(of_two: Path) -> dict[str, torch.Tensor]:
    held: dict[str, torch.Tensor] = torch.load(of_two / "whole.pt", weights_only=True)
    return held


@pytest.fixture
def copied(of_two: Path, tmp_path: Path) -> Path:
    """A copy of the folder of torch.distributed.checkpoint, to be damaged."""
    return Path(shutil.copytree(of_two / "dcp", tmp_path / "dcp"))


@pytest.fixture
def change(copied: Path) -> Callable[[Callable[[Any], object]], Path]:
    """Change what `.metadata` says, as torch's own classes, and return the folder."""

    def apply(edit: Callable[[Any], object]) -> Path:
        path = copied / ".metadata"
        metadata = pickle.loads(path.read_bytes())
        edit(metadata)
        path.write_bytes(pickle.dumps(metadata))
        return copied

    return apply


@pytest.fixture
def of_one(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Save something by this process alone, which needs no group."""

    def save(state: dict[str, Any]) -> Path:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        dcp.save(state, checkpoint_id=folder, no_dist=True)
        return folder

    return save
