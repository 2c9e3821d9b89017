"""TorchServe's gRPC predictions as a client makes them; messages written by hand, no generated code.

From inference.proto: PredictionsRequest {string model_name = 1; string model_version = 2;
map<string, bytes> input = 3;}, PredictionResponse {bytes prediction = 1;}.
"""

from __future__ import annotations

import grpc

PREDICTIONS = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"


def predict(address: str, name: str, body: bytes, *, token: str | None, version: str = "") -> bytes:
    entry = _field(1, b"body") + _field(2, body)
    request = _field(1, name.encode()) + _field(2, version.encode()) + _field(3, entry)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        answer: bytes = channel.unary_unary(PREDICTIONS)(request, metadata=metadata, timeout=30)
    _, length, start = answer[0], *_varint(answer, 1)
    return answer[start : start + length]


def _field(number: int, value: bytes) -> bytes:
    length, encoded = len(value), bytearray()
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes([number << 3 | 2]) + bytes(encoded) + value


def _varint(data: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[start]
        value |= (byte & 127) << shift
        start, shift = start + 1, shift + 7
        if byte < 128:
            return value, start
