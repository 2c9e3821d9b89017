"""What `make serve` does before it serves; the serving itself is for the tests with real servers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from statehouse.scripts.store import LocalStore

ROOT = Path(__file__).resolve().parents[2]
PREPARE = """
import sys
sys.path.insert(0, "examples")
import demo

from statehouse.scripts.store import LocalStore

demo.prepare(demo.DEMOS[1], LocalStore("model_store"))
sys.exit(3 if "torch" in sys.modules else 0)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return an empty project's folder in which the demo has been prepared once, and what that printed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder, prepare(folder)


def prepare(folder):
    done = subprocess.run(
        [sys.executable, "-c", PREPARE], cwd=folder, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_time_it_trains_and_publishes(project):
    folder, printed = project
    assert (folder / "checkpoints" / "breast_cancer.safetensors").exists()
    version = LocalStore(folder / "model_store").get("breast_cancer", "1.0")
    assert version.manifest.golden.source == "checkpoint"
    assert (
        "$ python examples/train_breast_cancer.py --output checkpoints/breast_cancer.safetensors --resume"
        in printed
    )
    assert "$ statehouse publish checkpoints/breast_cancer.safetensors --name breast_cancer" in printed


def test_it_leaves_a_request(project):
    request = json.loads((project[0] / "checkpoints" / "patient.json").read_bytes())
    assert len(request["inputs"]) == 30


def test_the_second_time_there_is_nothing_to_do(project):
    folder, _ = project
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert prepare(folder) == ""
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
