"""Whole folders, as torch saved them, and damaged ones."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import MetadataIndex

from statehouse.models import TensorTask, build_model, load_checkpoint, verify_records
from statehouse.models.errors import CheckpointContentError, CheckpointError, CheckpointUnreadableError
from statehouse.models.storage.distributed.folder import SavedFolder, read_saved_folder

CPU = torch.device("cpu")
Change = Callable[[Callable[[Any], object]], Path]


def read(folder: Path) -> SavedFolder:
    return read_saved_folder(folder, CPU)


def problems_of(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(folder)
    return str(caught.value)


def test_what_two_processes_saved_is_whole(of_two: Path, whole: dict[str, torch.Tensor]) -> None:
    found = read(of_two / "dcp")
    assert found.held["model"].keys() == whole.keys()
    for name, tensor in found.held["model"].items():
        assert (tensor.dtype, tensor.shape) == (whole[name].dtype, whole[name].shape)
        assert torch.equal(tensor, whole[name])
    mixed = found.held["extra"].pop("mixed")
    assert torch.equal(mixed[0], torch.ones(2))
    assert mixed[1] == 5
    assert found.held["extra"] == {"names": ["a", "b"], "rate": 0.5}
    assert found.held["epoch"] == 3
    names = [file.name for file in found.files]
    assert names == ["__0_0.distcp", "__1_0.distcp", ".metadata"]


def test_what_optimizers_hold_is_left_unread(copied: Path) -> None:
    found = read(copied)
    assert "optim" not in found.held
    assert found.notes == ("left unread, serving needs none of it: 'optim'",)


def test_one_process_needs_no_group(of_one: Callable[[dict[str, Any]], Path]) -> None:
    config = {"input_size": 4, "hidden_size": 8, "num_classes": 2}
    net = build_model("simple_net", config).eval()
    folder = of_one({"model": net.state_dict(), "epoch": 3})
    checkpoint = load_checkpoint(folder, architecture="simple_net", config=config, task=TensorTask())
    assert checkpoint.header.origin == "{'model': …}, epoch 3"
    assert checkpoint.header.path == folder / ".metadata"
    row = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(row), net(row))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).view(2, 3).t(),
        torch.tensor(3.0),
        torch.empty(0, 3),
        torch.ones(3, dtype=torch.bfloat16),
        torch.tensor([True, False]),
        torch.tensor([1 + 2j]),
        torch.ones(4).to(torch.float8_e4m3fn),
        torch.ones(5)[1:3],
        torch.nn.Parameter(torch.ones(2)),
        torch.arange(3, dtype=torch.uint8),
    ],
    ids=lambda each: f"{each.dtype}-{list(each.shape)}",
)
def test_a_tensor_is_as_it_was(tensor: torch.Tensor, of_one: Callable[[dict[str, Any]], Path]) -> None:
    found = read(of_one({"model": {"w": tensor}})).held["model"]["w"]
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(_bytes_of(found), _bytes_of(tensor))


def _bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.detach().contiguous()
    return plain.view(torch.uint8) if tensor.dim() else plain


def test_bare_tensors_beside_other_things_are_the_model(of_one: Callable[[dict[str, Any]], Path]) -> None:
    tensors = {"a.weight": torch.ones(2), "a.bias": torch.zeros(2)}
    found = read(of_one({**tensors, "train_state": {"step": 5}, "optimizer": {"lr": 0.1}}))
    assert found.held.keys() == {"model", "train_state"}
    assert found.held["model"].keys() == tensors.keys()
    assert read(of_one(tensors)).held.keys() == tensors.keys()


def test_meta_pt_says_the_rest(copied: Path) -> None:
    meta = {"pytorch-lightning_version": "2.6.6", "epoch": 7, "global_step": 40, "hyper_parameters": {"a": 1}}
    torch.save(meta, copied / "meta.pt")
    checkpoint = load_checkpoint(copied)
    assert checkpoint.header.origin == "a Lightning checkpoint (2.6.6), epoch 3, step 40"
    assert dict(checkpoint.header.config or {}) == {"a": 1}
    assert copied / "meta.pt" in checkpoint.header.files


def test_it_is_found_where_accelerate_puts_it(copied: Path, whole: dict[str, torch.Tensor]) -> None:
    above = copied.parent / "checkpoint-500"
    above.mkdir()
    copied.rename(above / "pytorch_model_fsdp_0")
    (above / "optimizer.bin").write_bytes(b"")
    for path in (above / "pytorch_model_fsdp_0", above / "pytorch_model_fsdp_0" / ".metadata"):
        assert load_checkpoint(path).state_dict.keys() == whole.keys()


def test_without_metadata_nothing_says_what_is_where(copied: Path) -> None:
    (copied / ".metadata").unlink()
    assert "copy it as well" in problems_of(copied)
    with pytest.raises(CheckpointUnreadableError, match="copy it as well"):
        load_checkpoint(copied)


def test_files_are_there_and_long_enough(copied: Path) -> None:
    (copied / "__0_0.distcp").unlink()
    os.truncate(copied / "__1_0.distcp", 5000)
    told = problems_of(copied)
    assert "'__0_0.distcp': is missing" in told
    assert "'__1_0.distcp': has 5,000 bytes" in told


def test_a_file_is_a_file(copied: Path) -> None:
    (copied / "__0_0.distcp").unlink()
    os.mkfifo(copied / "__0_0.distcp")  # would wait for a writer
    assert "'__0_0.distcp': is missing" in problems_of(copied)


def test_no_bytes_are_read_as_two_items(change: Change) -> None:
    def same(metadata: Any) -> None:
        places = metadata.storage_data
        places[MetadataIndex("model.0.bias", [0])] = places[MetadataIndex("model.1.bias", [0])]

    assert "items lie over each other" in problems_of(change(same))


def test_an_item_is_what_is_said_of_it(change: Change) -> None:
    def swap(metadata: Any) -> None:
        places = metadata.storage_data
        one, other = MetadataIndex("model.0.weight", [0, 0]), MetadataIndex("epoch")
        places[one], places[other] = places[other], places[one]

    assert "'model.0.weight': the part at [0, 0] is a int; expected a tensor" in problems_of(change(swap))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04.", b"{}", pickle.dumps({"a": 1}), b"\x80\x04cos\nsystem\n."]
)
def test_a_damaged_manifest_is_refused(copied: Path, content: bytes) -> None:
    (copied / ".metadata").write_bytes(content)
    assert ".metadata" in problems_of(copied) or "Metadata" in problems_of(copied)


def test_what_the_manifest_names_is_not_run(copied: Path, tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    (copied / ".metadata").write_bytes(pickle.dumps(Runs()))
    with pytest.raises(CheckpointContentError, match="expected the Metadata"):
        read(copied)
    assert not (tmp_path / "ran").exists()


def test_many_problems_are_listed_up_to_a_bound(change: Change) -> None:
    told = problems_of(change(lambda metadata: metadata.storage_data.clear()))
    assert "more such" in told
    assert len(told.splitlines()) == 22


def test_a_changed_byte_is_found_when_asked(copied: Path, whole: dict[str, torch.Tensor]) -> None:
    verify_records(copied)
    file = copied / "__1_0.distcp"
    content = bytearray(file.read_bytes())
    at = content.index(whole["columns"][:, 4:].contiguous().view(torch.uint8).numpy().tobytes())
    content[at] ^= 1
    file.write_bytes(content)
    assert not torch.equal(read(copied).held["model"]["columns"], whole["columns"])
    with pytest.raises(CheckpointUnreadableError, match="__1_0"):
        verify_records(copied)


def test_a_changed_byte_of_meta_pt_is_found_too(copied: Path) -> None:
    torch.save({"epoch": 7, "t": torch.full((3,), 7.5)}, copied / "meta.pt")
    verify_records(copied)
    content = (copied / "meta.pt").read_bytes()
    (copied / "meta.pt").write_bytes(content.replace(torch.tensor(7.5).numpy().tobytes(), b"abcd"))
    with pytest.raises(CheckpointUnreadableError, match=r"meta\.pt"):
        verify_records(copied)
