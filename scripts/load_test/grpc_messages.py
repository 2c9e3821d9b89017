"""TorchServe's gRPC messages as protobuf writes them, by hand: no generated code for two fields.

From inference.proto: PredictionsRequest {string model_name = 1; string model_version = 2;
map<string, bytes> input = 3;}, PredictionResponse {bytes prediction = 1;}.
"""

from __future__ import annotations

PREDICTIONS = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"


def encode_request(model: str, body: bytes, version: str = "") -> bytes:
    """Return a PredictionsRequest that carries ``body`` under the key ``body``."""
    entry = _field(1, b"body") + _field(2, body)
    return _field(1, model.encode()) + _field(2, version.encode()) + _field(3, entry)


def decode_prediction(message: bytes) -> bytes:
    """Return the prediction of a PredictionResponse; nothing where it is empty."""
    if not message:
        return b""
    length, start = _varint(message, 1)
    return message[start : start + length]


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
