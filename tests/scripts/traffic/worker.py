"""A worker of a small network that answers so many requests, the last of which does not fit, and ends."""

import sys
from pathlib import Path

from statehouse.handlers.request import Request
from statehouse.handlers.tensor import TensorHandler
from statehouse.handlers.worker.metrics import WorkerMetrics
from statehouse.models import Checkpoint, TensorTask, build_model, load_checkpoint, save_checkpoint

folder, count = Path(sys.argv[1]), int(sys.argv[2])
config = {"input_size": 2, "hidden_size": 3, "num_classes": 2}
module = build_model("simple_net", config)
file = save_checkpoint(folder / "net.pt", module, architecture="simple_net", config=config, task=TensorTask())
checkpoint: Checkpoint = load_checkpoint(file)
handler = TensorHandler.from_checkpoint(checkpoint, name="digits", version="1.0")
metrics = WorkerMetrics(folder, name="digits", version="1.0")
bodies = [b'{"inputs": [1, 2]}'] * (count - 1) + [b'{"inputs": [1]}']
handler._serve(count, metrics, lambda: [Request(body, "application/json") for body in bodies])
