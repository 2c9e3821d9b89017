"""Checkpoints of several files."""

from __future__ import annotations

from pathlib import Path

import torch
from tests.support.checkpoint_corpus.nets import filled, net, stepped
from tests.support.checkpoint_corpus.registry import kind


@kind("distributed_checkpoint", suffix="", folder=True)
def distributed(path: Path) -> None:
    """A folder of torch.distributed.checkpoint."""
    import torch.distributed.checkpoint as dcp

    module = net()
    dcp.save(
        {"model": module.state_dict(), "optimizer": stepped(module).state_dict(), "epoch": 3},
        checkpoint_id=path,
        no_dist=True,
    )


def _bert(path: Path, **options: object) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=16
    )
    filled(BertModel(config)).save_pretrained(path, **options)


@kind("hugging_face", suffix="", folder=True, needs=("transformers",))
def hugging_face(path: Path) -> None:
    """A folder of `save_pretrained`."""
    _bert(path)


@kind("hugging_face_shards", suffix="", folder=True, needs=("transformers",))
def hugging_face_shards(path: Path) -> None:
    """One in several files, with their index."""
    _bert(path, max_shard_size="2KB")


@kind("hugging_face_bin", suffix="", folder=True, needs=("transformers",))
def hugging_face_bin(path: Path) -> None:
    """One of `pytorch_model.bin` and a config, as before safetensors."""
    _bert(path)
    from safetensors.torch import load_file

    held = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    torch.save(held, path / "pytorch_model.bin")


@kind("accelerate", suffix="", folder=True, needs=("accelerate",))
def accelerated(path: Path) -> None:
    """A folder of `Accelerator.save_state`."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    module = net()
    accelerator.prepare(module, stepped(module))
    accelerator.save_state(str(path))
