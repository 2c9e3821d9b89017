"""What DDP and FSDP write of a network: `save_distributed.py KIND NET FILE`.

A process of its own: torch keeps a group for each thread that has used one, and a fork of such a process hangs.
"""

from __future__ import annotations

import socket
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FullStateDictConfig, FullyShardedDataParallel, StateDictType, fully_shard
from torch.nn.parallel import DistributedDataParallel


def ddp(net: nn.Module) -> object:
    return DistributedDataParallel(net).state_dict()


def fsdp_full(net: nn.Module) -> object:
    wrapped = FullyShardedDataParallel(net, use_orig_params=True, device_id=torch.device("cpu"))
    whole = FullStateDictConfig(offload_to_cpu=True, rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(wrapped, StateDictType.FULL_STATE_DICT, whole):
        return {"model_state_dict": wrapped.state_dict(), "step": 12}


def fsdp_shards(net: nn.Module) -> object:
    return fully_shard(net).state_dict()


def main(kind: str, net_file: str, file: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    save = {"ddp": ddp, "fsdp_full": fsdp_full, "fsdp_shards": fsdp_shards}[kind]
    torch.save(save(torch.load(net_file, weights_only=False)), file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
