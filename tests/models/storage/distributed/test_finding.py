"""Which folder a path means."""

from __future__ import annotations

from pathlib import Path

import pytest

from statehouse.models.storage.distributed.finding import find_saved_folder


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "name", [".metadata", "__0_0.distcp", "shard-00001-model-00001-of-00001.safetensors"]
)
def test_a_folder_is_known_by_its_files(tmp_path: Path, name: str) -> None:
    assert find_saved_folder(made(tmp_path, name)) == tmp_path


def test_its_files_mean_the_folder(tmp_path: Path) -> None:
    made(tmp_path, ".metadata", "__0_0.distcp")
    assert find_saved_folder(tmp_path / ".metadata") == tmp_path
    assert find_saved_folder(tmp_path / "__0_0.distcp") == tmp_path


@pytest.mark.parametrize("inner", ["pytorch_model_fsdp_0", "sharded"])
def test_it_may_be_in_a_folder_of_accelerate_or_torch(tmp_path: Path, inner: str) -> None:
    made(tmp_path, "optimizer_0/.metadata", f"{inner}/.metadata")
    assert find_saved_folder(tmp_path) == tmp_path / inner


@pytest.mark.parametrize(
    "names", [["model.safetensors"], ["optimizer_0/readme.txt"], ["pytorch_model_fsdp_0/x.txt"]]
)
def test_anything_else_is_none(tmp_path: Path, names: list[str]) -> None:
    assert find_saved_folder(made(tmp_path, *names)) is None
    assert find_saved_folder(tmp_path / names[0]) is None
    assert find_saved_folder(tmp_path / "absent") is None


def test_of_several_models_none_is_taken(tmp_path: Path) -> None:
    made(tmp_path, "pytorch_model_fsdp_0/.metadata", "pytorch_model_fsdp_1/.metadata")
    assert find_saved_folder(tmp_path) is None
