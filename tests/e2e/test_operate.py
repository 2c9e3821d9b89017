"""An operator's day: the first version of a name, a swap, a version that cannot start, a stop, a start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch
import yaml
from tests.e2e.conftest import publish
from tests.e2e.server import STATEHOUSE, Server
from tests.scripts.servers.test_child_process import ends_soon
from torch import nn

from statehouse.handlers.golden import read_golden
from statehouse.handlers.images.decode import make_png
from statehouse.models import (
    ImageClassificationTask,
    TensorTask,
    build_model,
    import_architectures,
    save_checkpoint,
)
from statehouse.scripts.deployment.defaults import GPU, WORTHWHILE_SPEEDUP, default_settings, is_heavy
from statehouse.scripts.deployment.file import Limits, VersionSettings
from statehouse.scripts.progress import Step
from statehouse.scripts.serve import deployment_to_serve
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.store.folder import read_folder

NETS = Path(__file__).parents[1] / "nets"
SIZES = {"input_size": 784, "hidden_size": 256, "num_classes": 10}


class SimpleNet(nn.Module):
    """As tutorials write it."""

    def __init__(self, input_size: int = 784, hidden_size: int = 256, num_classes: int = 10) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.relu(self.fc1(x)))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tutorial") / "tutorial.pt"
    torch.save({"model_state_dict": SimpleNet().state_dict(), "model_config": SIZES}, file)
    return file


def publish_tutorial(server: Server, file: Path, version: str, name: str = "tutorial") -> None:
    publish(server, file, name, version, "--architecture", "simple_net", "--task", "tensor")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tutorial: Path) -> Iterator[Server]:
    """A server that starts with nothing, and has tutorial 1.0 by the end of the first test."""
    server = Server(tmp_path_factory.mktemp("operate"))
    publish_tutorial(server, tutorial, "1.0")
    server.write_deployment()
    server.start()
    server.run("swap", "tutorial", "1.0")
    yield server
    server.kill_if_running()


def answer_of(server: Server, path: str = "/predictions/tutorial") -> httpx.Response:
    return server.client.post(path, json={"inputs": [0.5] * 784})


def test_the_first_version_of_a_name_becomes_its_default(server: Server, tutorial: Path) -> None:
    module = SimpleNet()
    module.load_state_dict(torch.load(tutorial, weights_only=True)["model_state_dict"])
    with torch.inference_mode():
        expected = module(torch.full((1, 784), 0.5))[0]
    assert torch.allclose(torch.tensor(answer_of(server).json()["outputs"]), expected, atol=1e-5)
    models = server.read_deployment()["models"]
    assert models["tutorial"]["default"] == "1.0"


class Load(threading.Thread):
    """Requests one after another on one connection, counted by status and version, until stopped."""

    def __init__(self, front: str) -> None:
        super().__init__(daemon=True)
        self._front = front
        self._stopped = threading.Event()
        self.counts: Counter[tuple[int, str]] = Counter()
        self.errors: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._front, timeout=30) as client:
            while not self._stopped.is_set():
                try:
                    answer = client.post("/predictions/tutorial", json={"inputs": [0.5] * 784})
                    self.counts[answer.status_code, answer.headers["x-model-version"]] += 1
                except httpx.HTTPError as error:
                    self.errors.append(repr(error))

    def begin(self) -> None:
        """Start, and return when some have been answered."""
        self.start()
        deadline = time.monotonic() + 120
        while self.counts.total() < 10:
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.01)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def test_a_swap_under_load_fails_no_request_and_flips_at_once(server: Server, tutorial: Path) -> None:
    publish_tutorial(server, tutorial, "1.1")
    load = [Load(server.announced["front"]) for _ in range(4)]
    for each in load:
        each.begin()
    result = server.run_json("swap", "tutorial", "1.1")
    expected = {"name": "tutorial", "serving": "1.1", "before": "1.0", "changed": True}
    assert result == expected | {"code_changed": None}
    after = [answer_of(server).headers["x-model-version"] for _ in range(50)]
    for each in load:
        each.stop()
    counts: Counter[tuple[int, str]] = sum((each.counts for each in load), Counter())
    assert set(after) == {"1.1"}
    assert set(counts) == {(200, "1.0"), (200, "1.1")}
    assert [error for each in load for error in each.errors] == []
    assert answer_of(server, "/predictions/tutorial/1.0").headers["x-model-version"] == "1.0"
    assert server.read_deployment()["models"]["tutorial"]["default"] == "1.1"


def test_workers_that_serve_have_normal_priority_in_every_thread(server: Server) -> None:
    """They load nice, so that loading takes nothing from those who are being answered."""
    workers = server.model("tutorial", answer_of(server).headers["x-model-version"])["workers"]["pids"]
    threads = [int(path.name) for worker in workers for path in Path(f"/proc/{worker}/task").iterdir()]
    assert len(workers) == 1
    assert len(threads) >= 1
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {
        os.getpriority(os.PRIO_PROCESS, 0)
    }
    sessions = [Path(f"/proc/{worker}/autogroup") for worker in workers]
    assert {path.read_text().split()[-1] for path in sessions if path.exists()} <= {"0"}


def test_a_repeated_swap_changes_nothing(server: Server) -> None:
    serving = answer_of(server).headers["x-model-version"]
    pids = server.model("tutorial", serving)["workers"]["pids"]
    assert server.run_json("swap", "tutorial", serving)["changed"] is False
    assert server.model("tutorial", serving)["workers"]["pids"] == pids


def damage_tensors(server: Server, version: str) -> None:
    checkpoint = server.store / f"tutorial-{version}" / "checkpoint.pt"
    checkpoint.chmod(0o644)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)


def add_a_file(server: Server, version: str) -> None:
    (server.store / f"tutorial-{version}" / "handler.py").write_text("raise SystemExit")


def delete_the_version(server: Server, version: str) -> None:
    subprocess.run(["rm", "-r", server.store / f"tutorial-{version}"], check=True)


@pytest.mark.parametrize(
    ("version", "damage", "reason"),
    [
        ("2.0", damage_tensors, "SHA-256"),
        ("2.1", add_a_file, "handler.py"),
        ("2.2", delete_the_version, "no version 2.2"),
    ],
)
def test_a_version_that_is_not_as_published_is_refused_and_the_old_one_serves(
    server: Server, tutorial: Path, version: str, damage: Callable[[Server, str], None], reason: str
) -> None:
    publish_tutorial(server, tutorial, version)
    damage(server, version)
    before = answer_of(server).headers["x-model-version"]
    refused = server.run("swap", "tutorial", version, check=False)
    assert refused.returncode == 1
    assert reason in refused.stderr
    assert_nothing_is_left(server, version, before)


def assert_nothing_is_left(server: Server, version: str, serving: str) -> None:
    assert answer_of(server).headers["x-model-version"] == serving
    assert answer_of(server, f"/predictions/tutorial/{version}").status_code == 404
    assert version not in server.read_deployment()["models"]["tutorial"]["versions"]
    status = server.status()
    assert status["ready"] is True
    assert version not in {row["version"] for row in status["models"]}


@pytest.fixture(scope="module")
def my_nets(server: Server) -> Path:
    """A module of one's own beside the deployment of a server that runs, which does not name it."""
    return Path(shutil.copy(NETS.parents[1] / "examples" / "own_network" / "my_nets.py", server.folder))


def test_a_worker_that_cannot_start_says_why_and_is_gone(
    server: Server, trained: Path, my_nets: Path
) -> None:
    """Published before code was kept, with a module that the deployment does not name until it is told to."""
    publish(server, trained / "diabetes.pt", "diabetes", "0.9", "--architectures", "my_nets")
    file = server.store / "diabetes-0.9" / "version.json"
    manifest = json.loads(file.read_text())
    del manifest["architecture_code"]
    rewrite(file, json.dumps(manifest))
    refused = server.run("swap", "diabetes", "0.9", check=False)
    assert refused.returncode == 1
    assert "residual_mlp" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert server.client.post("/predictions/diabetes", json={"inputs": {}}).status_code == 404
    assert "diabetes" not in server.read_deployment()["models"]
    assert server.status()["ready"] is True

    deployment = server.read_deployment()
    server.deployment_file.write_text(yaml.safe_dump(deployment | {"architectures": ["my_nets"]}))
    server.run("apply")
    server.run("swap", "diabetes", "0.9")
    assert ask_diabetes(server).headers["x-model-version"] == "0.9"
    server.run("retire", "diabetes", "0.9", "--yes")
    server.deployment_file.write_text(yaml.safe_dump(server.read_deployment() | {"architectures": []}))
    server.run("apply")


def ask_diabetes(server: Server, version: str = "") -> httpx.Response:
    golden = next(server.store.glob("diabetes-*/golden.json"))
    answer = server.client.post(
        f"/predictions/diabetes{version}", content=read_golden(golden).examples[0].body
    )
    assert answer.status_code == 200, answer.text
    return answer


def test_the_code_that_proved_a_version_serves_it_whatever_becomes_of_the_file(
    server: Server, trained: Path, my_nets: Path
) -> None:
    sound = my_nets.read_text()
    publish(server, trained / "diabetes.pt", "diabetes", "1.0", "--architectures", "my_nets")
    server.run("swap", "diabetes", "1.0")  # the server takes it up as it runs
    first = ask_diabetes(server).json()
    assert server.model("diabetes", "1.0")["code_changed"] is None

    my_nets.write_text(f"{sound}\nraise RuntimeError('an edit that breaks it')\n")
    killed = set(server.model("diabetes", "1.0")["workers"]["pids"])
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while set(server.model("diabetes", "1.0")["workers"]["pids"]) & killed or not server.status()["ready"]:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.2)
    assert ask_diabetes(server).json() == first
    assert "my_nets on disk is newer" in server.run("status").stdout

    my_nets.write_text(sound.replace("hidden = hidden + block(hidden)", "hidden = hidden - block(hidden)"))
    publish(server, trained / "diabetes.pt", "diabetes", "1.1", "--architectures", "my_nets")
    assert "is newer" not in server.run("swap", "diabetes", "1.1").stdout
    second = ask_diabetes(server).json()
    assert second != first
    assert ask_diabetes(server, "/1.0").json() == first
    assert "is newer" in server.run("rollback", "diabetes").stdout
    assert ask_diabetes(server).json() == first
    status = server.reader.get("/status").json()["models"]
    changed = {row["version"]: bool(row["code_changed"]) for row in status if row["name"] == "diabetes"}
    assert changed == {"1.0": True, "1.1": False}

    server.run("retire", "diabetes", "1.1")
    code = json.loads((server.store / "diabetes-1.1" / "version.json").read_text())["architecture_code"]
    kept, away = server.folder / "deployment.architectures" / code["digest"], server.folder / "elsewhere"
    kept.rename(away)
    my_nets.unlink()
    refused = server.run("swap", "diabetes", "1.1", check=False)
    assert refused.returncode == 1
    command = next(line for line in refused.stderr.splitlines() if line.startswith("  statehouse"))
    assert server.run_json("history")[-1]["outcome"] == "refused"
    server.run(*command.replace("FOLDER", str(away)).split()[1:])
    server.run("swap", "diabetes", "1.1")
    assert ask_diabetes(server).json() == second
    my_nets.write_text(sound)


def test_a_golden_example_that_is_not_met_is_refused_by_the_worker(server: Server, tutorial: Path) -> None:
    """As on another device or library version: the files are as published, the answer is not."""
    publish_tutorial(server, tutorial, "3.0")
    folder = server.store / "tutorial-3.0"
    golden = json.loads((folder / "golden.json").read_text())
    golden["examples"][0]["response"]["outputs"][0] += 1
    rewrite(folder / "golden.json", json.dumps(golden))
    manifest = json.loads((folder / "version.json").read_text())
    content = (folder / "golden.json").read_bytes()
    import hashlib

    record = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    manifest["files"]["golden.json"] = record
    rewrite(folder / "version.json", json.dumps(manifest))
    before = answer_of(server).headers["x-model-version"]
    refused = server.run("swap", "tutorial", "3.0", check=False)
    assert refused.returncode == 1
    assert "golden" in refused.stderr
    assert_nothing_is_left(server, "3.0", before)


def rewrite(file: Path, text: str) -> None:
    file.chmod(0o644)
    file.write_text(text)


def test_two_operators_at_once_leave_one_default(server: Server) -> None:
    swaps = [
        subprocess.Popen([STATEHOUSE, "swap", "tutorial", version, "--json"], cwd=server.folder, text=True)
        for version in ("1.0", "1.1", "1.0", "1.1")
    ]
    assert [swap.wait(timeout=240) for swap in swaps] == [0, 0, 0, 0]
    default = server.read_deployment()["models"]["tutorial"]["default"]
    assert answer_of(server).headers["x-model-version"] == default


def test_a_command_that_dies_changes_nothing_of_what_it_began(server: Server, tutorial: Path) -> None:
    publish_tutorial(server, tutorial, "4.0")
    command = subprocess.Popen(
        [STATEHOUSE, "swap", "tutorial", "4.0"], cwd=server.folder, stderr=subprocess.PIPE
    )
    assert command.stderr is not None
    command.stderr.readline()  # the swap has begun
    command.kill()
    command.communicate()
    deadline = time.monotonic() + 60
    while answer_of(server).headers["x-model-version"] != "4.0":
        assert time.monotonic() < deadline
        time.sleep(0.2)


class TestStopAndStart:
    def test_a_second_serve_of_the_same_deployment_is_refused(self, server: Server) -> None:
        refused = server.run("serve", check=False)
        assert refused.returncode == 1
        assert str(server.process and server.process.pid) in refused.stderr

    def test_stopping_answers_what_is_in_flight_and_leaves_nothing(self, server: Server) -> None:
        status = server.status()
        workers = [pid for row in status["models"] for pid in row["workers"]["pids"]]
        load = Load(server.announced["front"])
        load.begin()
        assert server.stop(signal.SIGINT) == 0
        load.stop()
        assert {status for status, _ in load.counts} == {200}
        for pid in (*workers, *status["pids"].values()):
            assert ends_soon(pid)
        assert not RuntimeFolder.of_deployment(server.deployment_file).path.exists()

    def test_commands_say_that_nothing_serves(self, server: Server) -> None:
        for command in (["status"], ["swap", "tutorial", "1.0"], ["predict", "tutorial", "{}"]):
            refused = server.run(*command, check=False)
            assert refused.returncode == 3
            assert "statehouse serve" in refused.stderr

    def test_a_start_restores_the_deployment_and_one_that_cannot_start_takes_no_other_down(
        self, server: Server
    ) -> None:
        model = server.read_deployment()["models"]["tutorial"]
        default, previous = model["default"], model["previous"]
        damage_tensors(server, previous)
        server.start()
        assert server.announced["ready"] is False
        answer = server.reader.get("/ready")
        assert answer.status_code == 503
        [missing] = answer.json()["missing"]
        assert missing.startswith(f"tutorial {previous}")
        assert "SHA-256" in missing
        assert answer_of(server).headers["x-model-version"] == default == "4.0"
        assert answer_of(server, f"/predictions/tutorial/{previous}").status_code == 503
        assert server.model("tutorial", previous)["state"] == "FAILED"

    def test_killed_by_sigkill_it_leaves_nothing_serving(self, server: Server) -> None:
        status = server.status()
        workers = [pid for row in status["models"] for pid in row["workers"]["pids"]]
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        for pid in (*status["pids"].values(), *workers):
            assert ends_soon(pid)
        server.start()
        assert answer_of(server).headers["x-model-version"] == "4.0"


def test_a_deployment_is_made_of_the_highest_versions(
    make_server: Callable[[], Server], tutorial: Path
) -> None:
    server = make_server()
    for version in ("1.9", "1.10"):
        publish_tutorial(server, tutorial, version)
    (server.store / "stray").mkdir()
    steps: list[Step] = []
    deployment = deployment_to_serve(server.deployment_file, steps.append)
    assert [step.state for step in steps] == ["failed", "done"]
    assert deployment.models["tutorial"].default == "1.10"
    assert server.read_deployment()["models"]["tutorial"]["versions"].keys() == {"1.10"}


@pytest.mark.skipif(GPU.exists(), reason="every new name has one worker where there is a GPU")
def test_what_computes_much_gets_other_settings(make_server: Callable[[], Server], tutorial: Path) -> None:
    """Chosen when a first deployment is made, and when a name is swapped to for the first time."""
    server = make_server()
    config = {"in_channels": 3, "height": 64, "width": 64, "num_classes": 2, "channels": [16, 32]}
    task = ImageClassificationTask(
        labels=["cat", "dog"], height=64, width=64, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
    )
    file = server.folder / "pets.pt"
    save_checkpoint(file, build_model("convnet", config), architecture="convnet", config=config, task=task)
    publish(server, file, "pets", "1.0")
    publish_tutorial(server, tutorial, "1.0")
    made = deployment_to_serve(server.folder / "first.yaml", lambda step: None).models
    server.start()
    server.run("swap", "pets", "1.0")
    swapped = VersionSettings.model_validate(server.read_deployment()["models"]["pets"]["versions"]["1.0"])

    manifest = read_folder(server.store / "pets-1.0").manifest
    assert is_heavy(manifest.macs_per_row, manifest.parameter_count)
    chosen = default_settings(manifest, new_versions=1, keep_free_bytes=Limits().keep_free_bytes)
    assert swapped.batch_size == made["pets"].versions["1.0"].batch_size == chosen.batch_size
    assert made["tutorial"].versions["1.0"].batch_size == VersionSettings().batch_size != chosen.batch_size
    worth_freezing = (manifest.frozen_speedup or 0) >= WORTHWHILE_SPEEDUP
    assert swapped.optimizations == chosen.optimizations == (("freeze",) if worth_freezing else ())
    answer = server.client.post("/predictions/pets", content=make_png(0, task))
    assert answer.status_code == 200, answer.text

    # Another kind of model under the same name: what was good for the one before is not for it.
    publish_tutorial(server, tutorial, "2.0", name="pets")
    server.run("swap", "pets", "2.0", "--allow-new-interface")
    versions = server.read_deployment()["models"]["pets"]["versions"]
    assert VersionSettings.model_validate(versions["2.0"]) == VersionSettings()
    assert VersionSettings.model_validate(versions["1.0"]) == chosen


def test_one_that_cannot_be_frozen_after_one_that_is_runs_as_it_was_trained(
    make_server: Callable[[], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of the version before does not keep the next from being served."""
    server = make_server()
    shutil.copy(NETS / "deciding_nets.py", server.folder)
    monkeypatch.syspath_prepend(server.folder)
    import_architectures(["deciding_nets"])
    server.write_deployment(architectures=["deciding_nets"])
    config = {"in_channels": 3, "height": 64, "width": 64, "num_classes": 2, "channels": [16, 32]}
    for version, architecture, given in (("1.0", "convnet", config), ("2.0", "deciding_net", {})):
        file = server.folder / "net.pt"
        module = build_model(architecture, given)
        save_checkpoint(file, module, architecture=architecture, config=given, task=TensorTask())
        publish(server, file, "net", version, "--architectures", "deciding_nets")
    server.start()
    server.run("swap", "net", "1.0")
    deployment = server.read_deployment()
    deployment["models"]["net"]["versions"]["1.0"]["optimizations"] = ["bfloat16", "freeze"]
    server.deployment_file.write_text(yaml.safe_dump(deployment))
    server.run("apply")
    told = server.run("swap", "net", "2.0").stderr
    versions = server.read_deployment()["models"]["net"]["versions"]
    assert versions["1.0"]["optimizations"] == ["bfloat16", "freeze"]
    assert VersionSettings.model_validate(versions["2.0"]).optimizations == ()
    assert "optimization 'freeze' cannot be applied" in told
    assert "Trying net 2.0 without bfloat16, freeze." in told
