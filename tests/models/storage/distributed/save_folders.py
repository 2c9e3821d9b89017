"""What two processes save of one network: `save_folders.py OUT`.

Processes of their own: torch keeps a group for each thread that has used one, and a fork of such a process hangs.
    OUT/dcp/        model (FSDP's DTensors, replicated buffers, one sharded along its last axis), optimizer, values
    OUT/shards/     the model by HuggingFaceStorageWriter, as each process wrote it
    OUT/part0.pt    the model as the first process has it
    OUT/whole.pt    the whole model, to compare with
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.checkpoint import HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

PROCESSES = 2


def save(rank: int, port: int, out: Path) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))  # 3 rows, and 1: not even
    fully_shard(net, mesh=mesh)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(4, 5)).sum().backward()
    optimizer.step()
    model, of_optimizer = get_state_dict(net, optimizer)
    model["columns"] = distribute_tensor(torch.arange(14.0).view(2, 7).bfloat16(), mesh, [Shard(1)])
    values = {"names": ["a", "b"], "mixed": [torch.ones(2), 5], "rate": 0.5}
    dcp.save(
        {"model": model, "optim": of_optimizer, "epoch": 3, "extra": values},
        checkpoint_id=out / "dcp",
    )
    dcp.save(model, storage_writer=HuggingFaceStorageWriter(out / "shards", save_distributed=True))
    torch.save({"model_state_dict": model, "epoch": 3}, out / f"part{rank}.pt")
    whole = {name: each.full_tensor() if isinstance(each, DTensor) else each for name, each in model.items()}
    if rank == 0:
        torch.save(whole, out / "whole.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
    mp.spawn(save, (free_port, Path(sys.argv[1])), nprocs=PROCESSES)
