"""TorchServe as shipped: a handler on BaseHandler, an archive, its own settings (see stock_torchserve.py)."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch

from benchmarks.load import Target
from benchmarks.peers.peer import json_target
from benchmarks.processes import PeerUnavailableError
from benchmarks.stock_torchserve import StockTorchServe
from benchmarks.workloads import Form, Workload


class TorchServe:
    """Of the product's own environment: it is the engine of both."""

    name = "torchserve"

    def __init__(self) -> None:
        self._server: StockTorchServe | None = None

    def start(self, workload: Workload, folder: Path) -> None:
        """Write its archive and serve it."""
        if workload.name != "small":
            raise PeerUnavailableError("measured with the small network only")
        self.workload = workload
        weights = folder / "stock.pt"
        torch.save(torch.load(workload.checkpoint, weights_only=True)["model_state_dict"], weights)
        self._server = StockTorchServe(folder / "stock", weights)
        self._server.__enter__()

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None

    def standing_still(self) -> AbstractContextManager[None]:
        """It waits without polling."""
        return nullcontext()

    def target(self, form: Form) -> Target | None:
        """Return JSON."""
        return json_target(self._server.url, self.workload) if self._server and form == "json" else None

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Read the bare list."""
        return np.array(json.loads(answer))
