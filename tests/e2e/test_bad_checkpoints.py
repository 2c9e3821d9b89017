"""Files that are no checkpoint, or more than one: the commands say why, publish nothing and run nothing of them."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.e2e.server import Server
from torch import nn

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.tasks.registry import TensorTask

CONFIG = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
SAID = ["--architecture", "simple_net", "--config", json.dumps(CONFIG), "--task", "tensor"]


class RunsACommand:
    """Unpickled by anything that trusts it, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._trace}",)


def good(path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model("simple_net", CONFIG)
    return save_checkpoint(path, model, architecture="simple_net", config=CONFIG, task=TensorTask())


def cut_short(path: Path) -> None:
    content = good(path).read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def empty(path: Path) -> None:
    path.touch()


def flipped_in_a_tensor(path: Path) -> None:
    content = bytearray(good(path).read_bytes())
    torch.manual_seed(0)  # as in good()
    weight = build_model("simple_net", CONFIG).fc1.weight.detach().numpy().tobytes()
    content[bytes(content).index(weight) + 5] ^= 4
    path.write_bytes(content)


def picture(path: Path) -> None:
    Image.new("L", (8, 8)).save(path, "PNG")


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w:document/>")


def whole_module(path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(4, 2)), path)


def torchscript(path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(4, 2), torch.zeros(1, 4)), path)


def command_in_a_zip(path: Path) -> None:
    torch.save(
        {"model_state_dict": {"a": torch.zeros(1)}, "metadata": RunsACommand(path.with_name("ran"))}, path
    )


def command_in_a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(RunsACommand(path.with_name("ran"))))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A folder with an empty store; nothing of it is started."""
    return Server(tmp_path_factory.mktemp("checkpoints"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (cut_short, ""),
        (empty, "empty"),
        (flipped_in_a_tensor, "CRC"),
        (picture, "PNG"),
        (other_zip, ""),
        (whole_module, "fc1.weight"),
        (torchscript, "TorchScript"),
        (command_in_a_zip, "fc1.weight"),
        (command_in_a_pickle, "bare pickle"),
    ],
)
def test_no_command_takes_it(
    project: Server, tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "file.pt")
    said = [] if make in (cut_short, flipped_in_a_tensor) else SAID
    file = str(tmp_path / "file.pt")
    commands = [["publish", file, "--name", "net", "--version", "1.0", *said], ["inspect", file, *said]]
    with ThreadPoolExecutor() as pool:  # each takes seconds to import torch
        done = list(pool.map(lambda command: project.run(*command, check=False), commands))
    for refused in done:
        output = refused.stdout + refused.stderr
        assert refused.returncode == 1, output
        assert reason in output
        assert "file.pt" in output
        assert "Traceback" not in output
    assert [entry.name for entry in project.store.iterdir() if entry.is_dir()] == []
    assert not (tmp_path / "ran").exists()


def test_the_command_would_have_run(tmp_path: Path) -> None:
    """What the test above relies on: a loader that trusts the file runs it."""
    command_in_a_zip(tmp_path / "file.pt")
    torch.load(tmp_path / "file.pt", weights_only=False)
    assert (tmp_path / "ran").exists()


def with_a_file_more(folder: Path) -> None:
    (folder / "notes.txt").write_text("trained on Monday")


def with_a_handler(folder: Path) -> None:
    (folder / "handler.py").write_text(
        f"import pathlib; pathlib.Path({str(folder.parent / 'ran')!r}).touch()"
    )


def with_a_link(folder: Path) -> None:
    checkpoint = folder / "checkpoint.pt"
    checkpoint.rename(folder.parent.parent / "elsewhere.pt")
    checkpoint.symlink_to(folder.parent.parent / "elsewhere.pt")


def itself_a_link(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


SPOILT = {
    "1.1": (with_a_file_more, "notes.txt does not belong"),
    "1.2": (with_a_handler, "handler.py does not belong"),
    "1.3": (with_a_link, "not a plain file"),
    "1.4": (itself_a_link, "a link"),
}


def test_a_version_with_anything_else_is_refused_while_the_others_serve(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    server = make_server()
    source = good(tmp_path / "net.pt")
    for version in ("1.0", *SPOILT):
        server.run("publish", str(source), "--name", "net", "--version", version)
    for version, (spoil, _) in SPOILT.items():
        spoil(server.store / f"net-{version}")
    at_start = {version: {} for version in ("1.0", "1.1", "1.3")}
    server.write_deployment(models={"net": {"default": "1.0", "versions": at_start}})
    server.start()
    assert server.announced["ready"] is False
    missing = server.reader.get("/ready").json()["missing"]
    assert [line.split(":")[0] for line in missing] == ["net 1.1", "net 1.3"]
    for line, version in zip(missing, ("1.1", "1.3"), strict=True):
        assert SPOILT[version][1] in line
    pids = server.model("net", "1.0")["workers"]["pids"]
    for version, (_, reason) in SPOILT.items():
        refused = server.run("swap", "net", version, check=False)
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
        assert server.client.post(f"/predictions/net/{version}", json={}).status_code in (404, 503)
        answer = server.client.post("/predictions/net", json={"inputs": [0.0] * 4})
        assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1.0")
    assert server.model("net", "1.0")["workers"]["pids"] == pids
    assert not (server.store / "ran").exists()
