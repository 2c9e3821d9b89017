"""A training run of a user's own: FOLDER STEPS [KILLED_AT]. It goes on where it was killed, and prints its digest."""

import os
import random
import signal
import sys
from pathlib import Path

import my_nets  # noqa: F401 - registers the network
import numpy
import torch
from torch import nn

from statehouse import (
    BatchOrder,
    CheckpointKeeper,
    TensorTask,
    build_model,
    load_checkpoint,
    load_pretrained,
    resume_training,
    save_checkpoint,
)

folder, steps = Path(sys.argv[1]), int(sys.argv[2])
killed_at = int(sys.argv[3]) if len(sys.argv) > 3 else None
config = {"input_size": 4}
about = {"architecture": "narrow", "config": config, "task": TensorTask(input_shape=[4])}

torch.manual_seed(1)
random.seed(1)
numpy.random.seed(1)
rows = torch.randn(100, 4)
model = build_model("narrow", config)
save_checkpoint(folder / "before.safetensors", model, **about)
print(load_pretrained(model, folder / "before.safetensors", include="layers.0.*"))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7)
order = BatchOrder(len(rows), 16, seed=3)
keeper = CheckpointKeeper(folder / "run", every=5)
state = keeper.resume(model, optimizer, scheduler=scheduler, order=order)
step = state.step if state else 0
print("began after step", step)
model.train()
while step < steps:
    for batch in order:
        noise = random.random() * float(numpy.random.rand()) * torch.randn(len(batch), 4)
        loss = nn.functional.mse_loss(model(rows[batch] + noise), rows[batch, :2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        step += 1
        if keeper.is_due(step):
            keeper.save(
                model, step=step, metric=loss, optimizer=optimizer, scheduler=scheduler, order=order, **about
            )
        if step == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == steps:
            break
save_checkpoint(folder / "end.pt", model, **about)
assert keeper.last is not None
resume_training(keeper.last, model, optimizer, scheduler=scheduler, order=order)
server = {
    "yaml",
    "httpx",
    "typer",
    "rich",
    "ts",
    "orjson",
    "PIL",
    "prometheus_client",
    "packaging",
    "starlette",
}
print("of the server", sorted(server & set(sys.modules)))
print("digest", load_checkpoint(folder / "end.pt").digest())
