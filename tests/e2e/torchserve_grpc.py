"""TorchServe's gRPC predictions as a client makes them; messages written by hand, no generated code."""

from __future__ import annotations

import grpc

from statehouse.scripts.load_test.grpc_messages import PREDICTIONS, decode_prediction, encode_request


def predict(address: str, name: str, body: bytes, *, token: str | None, version: str = "") -> bytes:
    request = encode_request(name, body, version)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        answer: bytes = channel.unary_unary(PREDICTIONS)(request, metadata=metadata, timeout=30)
    return decode_prediction(answer)
