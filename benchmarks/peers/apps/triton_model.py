"""The model.py of Triton's Python backend: a batch of requests is one forward pass, as its documentation advises."""

from __future__ import annotations

import os
import sys

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, os.environ["BENCH_ROOT"])  # Triton's stub takes no PYTHONPATH
sys.path.insert(0, f"{os.environ['BENCH_ROOT']}/src")

from benchmarks.peers.apps.network import KIND, load_network, predict, row_of_bytes


class TritonPythonModel:
    """What the backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the module."""
        self.module = load_network()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer a batch."""
        inputs = [pb_utils.get_input_tensor_by_name(request, "input").as_numpy() for request in requests]
        counts = np.cumsum([len(each) for each in inputs])[:-1]
        rows = np.concatenate(inputs)
        if KIND == "image":
            rows = np.stack([row_of_bytes(jpeg) for jpeg in rows[:, 0]])
        outputs = np.split(predict(self.module, rows), counts)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("output", each)]) for each in outputs]
