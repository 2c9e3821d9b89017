"""Makes the fixture that later builds are tested with: what a server of the build before has written and answered.

This was run once, with the build of commit a4ad4b8 plus the commit after it (840322f), and is kept for the record.
It cannot be run with later builds, whose imports moved. With that build checked out in FOLDER, and this file and
own_nets.py in a folder of their own:

    PYTHONPATH=FOLDER XDG_RUNTIME_DIR=/tmp/short python make_fixture.py
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import tokenizers
import torch
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import own_nets  # noqa: E402, F401 - registers its architectures

from models import (  # noqa: E402
    CategoricalFeature,
    EmbeddingTask,
    Example,
    ImageClassificationTask,
    ImageSegmentationTask,
    NumericFeature,
    ObjectDetectionTask,
    TabularTask,
    Task,
    TensorTask,
    TextClassificationTask,
    TokenClassificationTask,
    build_model,
    save_checkpoint,
)
from tests.e2e.server import Server  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "red", "green", "blue", "the", "house", "tree", "is", "in", "Oslo", "grün", "."]
CLASSES = ["background", "sky", "sea"]
PORTS = {"front": "127.0.0.1:18640", "reader": "127.0.0.1:18641", "grpc": "127.0.0.1:18642"}
FOREIGN = "numbers"  # published of a file that says nothing of itself
SHARDED = "vectors"
SEEDS = {"boxes": 1, "parts": 43}  # with others every pixel is of one class, and every box has one label
RESULTS = ("deployment.yaml", "deployment.history.jsonl", "answers.json", "digests.json", "metric_names.txt")


class Net(NamedTuple):
    """One version: what it is made of, and one request to it."""

    name: str
    version: str
    container: str
    architecture: str
    config: dict[str, Any]
    task: Task
    content_type: str
    body: bytes

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"


def tokenizer() -> str:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made.to_str()


def picture(width: int, height: int, mode: str) -> bytes:
    """A PNG of two colours that run into each other."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(255, 0, height))
    bands = [across, down, (across + down) / 2]
    pixels = np.stack(bands[: 1 if mode == "L" else 3], axis=2).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels).save(file, "PNG")
    return file.getvalue()


def as_json(**members: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(members, ensure_ascii=False).encode()


def nets() -> list[Net]:
    """Every task, container and built-in architecture, and three architectures of the user's own."""
    digits = ImageClassificationTask(
        labels=list("0123456789"), height=8, width=8, mode="greyscale", mean=[0.3], std=[0.4], top_k=3
    )
    digits_config = {"in_channels": 1, "height": 8, "width": 8, "num_classes": 10, "channels": [4, 6]}
    patients = TabularTask(
        kind="classification",
        labels=["well", "ill"],
        features=[
            NumericFeature(name="age", mean=50.0, std=20.0, minimum=0.0, maximum=130.0),
            NumericFeature(name="mean radius", mean=14.0, std=3.5),
            CategoricalFeature(name="smokes", categories=["no", "yes", "früher"]),
        ],
    )
    prices = TabularTask(
        kind="regression",
        features=[
            NumericFeature(name="area", mean=80.0, std=25.0, minimum=0.0),
            CategoricalFeature(name="garden", categories=["no", "yes"]),
        ],
        target_mean=250.0,
        target_std=90.0,
    )
    text: dict[str, Any] = {"tokenizer": tokenizer(), "max_tokens": 16}
    colours = TextClassificationTask(labels=["warm", "cold", "none"], multi_label=True, **text)
    vectors = EmbeddingTask(pooling="none", **text)
    places = TokenClassificationTask(labels=["O", "B-CITY", "I-CITY"], too_long="refuse", **text)
    finder = ObjectDetectionTask(labels=["__background__", "cat", "cup"], score_threshold=0.2)
    segmenter = ImageSegmentationTask(labels=CLASSES, mask="run_length")
    png = "image/png", picture(24, 16, "RGB")
    digit = "image/png", picture(8, 8, "L")
    sentence = "the red house in Oslo is grün ."
    return [
        Net("digits", "1.0", "pt", "convnet", digits_config, digits, *digit),
        Net("digits", "1.1", "safetensors", "convnet", digits_config, digits, *digit),
        Net(
            "patients", "1.0", "pt", "mlp",
            {"input_size": 5, "hidden_sizes": [8, 6], "output_size": 2, "normalisation": "batch", "dropout": 0.2},
            patients, *as_json(inputs={"age": 61, "mean radius": 17.9, "smokes": "früher"}),
        ),
        Net(
            "prices", "2.0rc1", "safetensors", "mlp",
            {"input_size": 3, "hidden_sizes": [5], "output_size": 1, "activation": "gelu"},
            prices, *as_json(instances=[{"area": 72.5, "garden": "yes"}, {"area": 140, "garden": "no"}]),
        ),
        Net(
            FOREIGN, "1.0", "pt", "simple_net", {"input_size": 6, "hidden_size": 5, "num_classes": 3},
            TensorTask(), *as_json(inputs=[0.5, -1, 2, 0.25, 1e-3, 3]),
        ),
        Net(
            "colours", "1.0", "safetensors", "text_bag",
            {"vocabulary_size": len(WORDS), "embedding_size": 6, "output_size": 3, "hidden_size": 4},
            colours, *as_json(inputs=[sentence, "blue"]),
        ),
        Net(
            SHARDED, "0.9", "pt", "text_bag",
            {"vocabulary_size": len(WORDS), "embedding_size": 8, "output_size": 5},
            vectors, "text/plain", sentence.encode(),
        ),
        Net(
            "places", "1.0", "pt", "token_tagger", {"vocabulary_size": len(WORDS), "size": 4, "labels": 3},
            places, *as_json(inputs=sentence),
        ),
        Net("boxes", "1.0", "pt", "colour_finder", {"classes": 3}, finder, *png),
        Net("parts", "1.0", "safetensors", "half_size_segmenter", {"classes": len(CLASSES)}, segmenter, *png),
    ]  # fmt: skip


def publish(server: Server, net: Net, work: Path) -> None:
    """Publish random weights, always the same, large enough that answers differ."""
    torch.manual_seed(SEEDS.get(net.name, 0) + sum(net.folder.encode()))
    module = build_model(net.architecture, net.config)
    with torch.no_grad():
        for tensor in module.parameters():
            torch.nn.init.normal_(tensor, std=0.8)
    file = work / f"{net.folder}.{net.container}"
    command = ["publish", str(file), "--name", net.name, "--version", net.version]
    if net.name == FOREIGN:
        torch.save({"model_state_dict": module.state_dict(), "model_config": net.config}, file)
        command += ["--architecture", net.architecture, "--task", net.task.task]
    else:
        save_checkpoint(
            file, module, architecture=net.architecture, config=net.config, task=net.task,
            metadata={"accuracy": 0.5, "made for": "compatibility"},
            examples=[Example(content_type=net.content_type, body=net.body)],
        )  # fmt: skip
    server.run(*command, *(["--shard-size", "500B"] if net.name == SHARDED else []))


def write_first_deployment(server: Server, every: list[Net]) -> None:
    """What an operator may have written: a few settings of each kind."""
    one_lane: dict[str, Any] = {"lanes": [{"batch_size": 8}]}
    two_lanes = {"lanes": [{"batch_size": 1, "up_to": 2}, {"batch_size": 8, "max_batch_delay_ms": 2}]}
    models = {net.name: {"default": net.version, "versions": {net.version: one_lane}} for net in every}
    models["digits"] = {"default": "1.0", "versions": {"1.0": two_lanes | {"optimizations": ["freeze"]}}}
    server.write_deployment(
        listen=PORTS, architectures=["own_nets"], limits={"request_timeout_seconds": 30}, models=models
    )


def operate(server: Server) -> None:
    """Every kind of change, one that is refused and one that a killed server interrupts."""
    server.run("swap", "digits", "1.1", "--shadow", "goldens")
    server.run("rollback", "digits")
    server.run("swap", "digits", "1.1", "--watch", "1s", "--retire")
    server.run("swap", "digits", "7.0", check=False)
    server.run("scale", "patients", "1.0", "2")
    server.run("retire", FOREIGN, "1.0", "--yes")
    server.run("swap", FOREIGN, "1.0")
    server.run("swap", "digits", "1.0")
    edited = server.read_deployment()
    edited["models"]["prices"]["versions"]["2.0rc1"]["lanes"] = [{"batch_size": 4}]
    server.write_deployment(**edited)
    server.run("apply")
    interrupt(server)


def interrupt(server: Server) -> None:
    """Kill the server while it watches a swap, which the next start undoes."""
    import threading

    watching = threading.Thread(
        target=lambda: server.run("swap", "digits", "1.1", "--watch", "60s", check=False)
    )
    watching.start()
    deadline = time.monotonic() + 60
    while (
        server.client.post("/predictions/digits", content=picture(8, 8, "L")).headers["x-model-version"]
        != "1.1"
    ):
        if time.monotonic() > deadline:
            raise TimeoutError("the swap that was to be interrupted took no effect")
        time.sleep(0.2)
    server.stop(signal.SIGKILL)
    watching.join()
    server.start()


def ask_all(server: Server, every: list[Net]) -> dict[str, Any]:
    """One request to each version, by its own URL; and requests that are refused, for the metrics."""
    answers = {}
    for net in every:
        path = f"/predictions/{net.name}/{net.version}"
        response = server.client.post(path, content=net.body, headers={"content-type": net.content_type})
        response.raise_for_status()
        answers[net.folder] = {
            "path": path,
            "content_type": net.content_type,
            "body_base64": base64.b64encode(net.body).decode(),
            "x_model_version": response.headers["x-model-version"],
            "x_model_digest": response.headers["x-model-digest"],
            "answer": response.json(),
        }
    refused: list[tuple[str, dict[str, Any]]] = [
        ("/predictions/patients", {"json": {"inputs": {"age": -1}}}),
        ("/predictions/nobody", {"json": {"inputs": 1}}),
    ]
    for path, body in refused:
        response: httpx.Response = server.client.post(path, **body)
        if not 400 <= response.status_code < 500:
            raise ValueError(f"{path}: {response.status_code}")
    return answers


def metric_names(text: str) -> list[str]:
    """``name{label,label}`` of everything measured; the bounds of buckets are no label of ours."""
    found = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sorted(sample.labels.keys() - {"le"})
            found.add(f"{family.name}{{{','.join(labels)}}}")
    return sorted(found)


def without_people(history: str) -> str:
    """The journal with nobody's name in it."""
    lines = [json.loads(line) | {"user": "operator", "host": "host"} for line in history.splitlines()]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def main() -> None:
    work = HERE / "work"
    shutil.rmtree(work, ignore_errors=True)
    folder = work / "server"
    folder.mkdir(parents=True)
    shutil.copy(HERE / "own_nets.py", folder)
    server, every = Server(folder), nets()
    server.write_deployment(listen=PORTS, architectures=["own_nets"])
    for net in every:
        publish(server, net, work)
    write_first_deployment(server, every)
    server.start()
    try:
        operate(server)
        answers = ask_all(server, every)
        time.sleep(3)  # the front tells of requests after it has answered them
        metrics = server.reader.get("/metrics").text
    finally:
        server.kill_if_running()
    manifests = {
        net.folder: json.loads((server.store / net.folder / "version.json").read_bytes()) for net in every
    }
    digests = {version: manifest["digest"] for version, manifest in manifests.items()}
    history = server.deployment_file.with_suffix(".history.jsonl")
    history.write_text(without_people(history.read_text()).replace(str(folder), "/srv/statehouse"))
    (folder / "answers.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    (folder / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")
    (folder / "metric_names.txt").write_text("".join(f"{name}\n" for name in metric_names(metrics)))
    shutil.rmtree(HERE / "model_store", ignore_errors=True)
    shutil.copytree(server.store, HERE / "model_store", ignore=shutil.ignore_patterns(".*"))
    for name in RESULTS:
        shutil.copy(folder / name, HERE / name)
    if found := re.findall(r"/tmp/|/home/|/root/", "".join((HERE / name).read_text() for name in RESULTS)):
        raise ValueError(f"paths of this machine are left: {found}")


if __name__ == "__main__":
    main()
