#!/usr/bin/env bash
# safetensors: saving the same tensors with the same metadata twice gives two files with different bytes.
#
# Most would expect equal content to give equal files with equal checksums. Tensor names are written in a fixed order,
# and without metadata the bytes are always the same.
# Seen: the metadata keys are written in an order that changes from save to save, even within one process.
# A store that recognises equal models by the SHA-256 of a file does not recognise them, and a build with metadata is
# not reproducible. Only the order differs: the loaded content is equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps safetensors==0.8.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load, save

SAVES = 64  # all equal by chance, with 8 keys in random order: once in (8!) ** 63 runs
tensors = {name: np.arange(6, dtype=np.float32).reshape(2, 3) for name in ("weight", "bias", "scale")}
metadata = {f"key_{number}": "value" for number in range(8)}


def header_of(file: bytes) -> dict:
    return json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])


plain = {save(tensors) for _ in range(SAVES)}
described = {save(tensors, metadata=metadata) for _ in range(SAVES)}
headers = [header_of(file) for file in described]
same_content = all(header == headers[0] for header in headers) and all(
    np.array_equal(tensor, tensors[name]) for file in described for name, tensor in load(file).items()
)
orders = {tuple(header["__metadata__"]) for header in headers}

print(f"safetensors {version('safetensors')}")
print(f"without metadata, {SAVES} saves: {'the same bytes' if len(plain) == 1 else 'different bytes'}")
print("with metadata, expected: the same bytes")
print(f"with metadata, seen:     {'the same bytes' if len(described) == 1 else 'different bytes'}")
print(f"the same content in all of them: {'yes' if same_content else 'no'}")
print(f"one order of the metadata's keys for each file: {'yes' if len(orders) == len(described) else 'no'}")

as_described = len(plain) == 1 and len(described) > 1 and same_content and len(orders) == len(described)
sys.exit(0 if as_described else 1)
PYTHON
