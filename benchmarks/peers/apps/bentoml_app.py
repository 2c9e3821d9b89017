"""A service as BentoML's documentation has it, with a batchable method."""

import os

import bentoml
import numpy as np

from benchmarks.peers.apps.network import DTYPE, load_network, predict

WORKERS = int(os.environ["BENCH_WORKERS"])


@bentoml.service(
    workers=WORKERS,
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Network:
    """One model."""

    def __init__(self) -> None:
        self.module = load_network()

    @bentoml.api(batchable=True, max_batch_size=32)
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs (N, classes) of rows (N, …)."""
        return predict(self.module, np.asarray(inputs, DTYPE))
