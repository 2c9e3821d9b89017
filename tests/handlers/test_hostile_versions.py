"""The worker's own refusal of a version that would run code, whatever the supervisor let through."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from statehouse.models import TensorTask

NET = {"input_size": 4, "hidden_size": 5, "num_classes": 3}


class RunsACommand:
    """Unpickled by anything that trusts it, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._trace}",)


def pickled_in_a_zip(folder: Path, trace: Path) -> None:
    torch.save(
        {"model_state_dict": {"a": torch.zeros(1)}, "metadata": RunsACommand(trace)}, folder / "checkpoint.pt"
    )


def bare_pickle(folder: Path, trace: Path) -> None:
    (folder / "checkpoint.pt").write_bytes(pickle.dumps(RunsACommand(trace)))


def a_whole_module(folder: Path, trace: Path) -> None:
    torch.save(torch.nn.Linear(4, 3), folder / "checkpoint.pt")


def a_script(folder: Path, trace: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(4, 3), torch.zeros(1, 4)), folder / "checkpoint.pt")


@pytest.mark.parametrize("spoil", [pickled_in_a_zip, bare_pickle, a_whole_module, a_script])
def test_a_checkpoint_that_would_run_code_is_not_loaded(
    make_version: Callable[..., Path], load_worker, write_settings, tmp_path: Path, spoil
) -> None:
    private = make_version("simple_net", NET, TensorTask())
    folder = tmp_path / "model-1.0"
    spoil(folder, tmp_path / "ran")
    write_settings(private, folder)  # as if it had been verified so
    with pytest.raises(RuntimeError):
        load_worker(private, "statehouse.handlers.tensor")
    assert not (tmp_path / "ran").exists()
    assert json.loads((private / "failure.json").read_bytes())["type"].endswith("Error")


def test_a_folder_that_is_a_link_is_refused(make_version, load_worker, tmp_path: Path) -> None:
    private = make_version("simple_net", NET, TensorTask())
    (tmp_path / "model-1.0").rename(tmp_path / "model-1.0-evil")
    (tmp_path / "model-1.0").symlink_to("model-1.0-evil")
    with pytest.raises(RuntimeError, match="is a link"):
        load_worker(private, "statehouse.handlers.tensor")


@pytest.mark.parametrize(
    "checkpoint", ["../model-1.0-evil/checkpoint.pt", "/etc/passwd", "../checkpoint.pt", "x.pt"]
)
def test_a_checkpoint_of_another_folder_is_refused(
    make_version, load_worker, tmp_path: Path, checkpoint: str
) -> None:
    private = make_version("simple_net", NET, TensorTask(), checkpoint=checkpoint)
    evil = tmp_path / "model-1.0-evil"
    evil.mkdir()
    (evil / "checkpoint.pt").write_bytes((tmp_path / "model-1.0" / "checkpoint.pt").read_bytes())
    with pytest.raises(RuntimeError, match="is not among the files"):
        load_worker(private, "statehouse.handlers.tensor")
