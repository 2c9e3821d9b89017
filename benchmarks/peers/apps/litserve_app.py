"""A LitAPI as LitServe's documentation has it: decode one, batch, predict, unbatch, encode one."""

from __future__ import annotations

import base64
import sys
from typing import Any

import litserve as ls
import numpy as np

from benchmarks.peers.apps.network import KIND, answer_of, load_network, predict, row_of_bytes, row_of_numbers


class Api(ls.LitAPI):
    """One model."""

    def setup(self, device: str) -> None:
        """Load the module."""
        self.module = load_network()

    def decode_request(self, request) -> np.ndarray:  # noqa: ANN001 - LitServe would ask FastAPI to parse a type
        """Return one row."""
        if KIND == "image":
            return row_of_bytes(base64.b64decode(request["image"]))
        return row_of_numbers(request["inputs"])

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Return the rows as one array."""
        return np.stack(inputs)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of all rows."""
        return predict(self.module, rows)

    def unbatch(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Return each row's outputs."""
        return list(outputs)

    def encode_response(self, outputs: np.ndarray) -> dict[str, Any]:
        """Return one answer."""
        return answer_of(outputs)


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = ls.LitServer(
        Api(max_batch_size=32), accelerator="cpu", workers_per_device=workers, fast_queue=True
    )
    server.run("127.0.0.1", port, num_api_servers=workers, log_level="warning", generate_client_file=False)
