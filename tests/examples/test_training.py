"""The examples as a newcomer runs them: each script once, then what it wrote."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from statehouse.models import load_checkpoint
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_script(script: str, output: Path, *options: str) -> str:
    """Run an example; return what it printed."""
    command = [sys.executable, str(EXAMPLES / script), "--output", str(output), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout


def import_script(script: str):
    spec = spec_from_file_location(Path(script).stem, EXAMPLES / script)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.pt"
    return path, run_script("train_digits.py", path)


@pytest.fixture(scope="module")
def breast_cancer(tmp_path_factory):
    path = tmp_path_factory.mktemp("breast_cancer") / "breast_cancer.safetensors"
    return path, run_script("train_breast_cancer.py", path)


def test_digits_are_recognised(digits):
    path, printed = digits
    metadata = load_checkpoint(path).header.metadata
    assert metadata["test_accuracy"] >= 0.98
    assert f"accuracy {metadata['test_accuracy']:.2%} on 450 held-out digits" in printed


def test_a_killed_run_that_resumes_ends_with_the_digest_of_one_never_stopped(digits, tmp_path):
    path, run_folder = tmp_path / "digits.pt", tmp_path / "digits.run"
    command = [sys.executable, str(EXAMPLES / "train_digits.py"), "--output", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not list(run_folder.glob("step-*.pt")):  # until the first is whole
        assert process.poll() is None, "it ended before it saved anything"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not path.exists()

    unasked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert unasked.returncode == 2
    assert "has a run that stopped at step " in unasked.stderr

    printed = run_script("train_digits.py", path, "--resume")
    assert "going on after step " in printed
    assert load_checkpoint(path).digest() == load_checkpoint(digits[0]).digest()
    assert not run_folder.exists()


def test_the_digits_held_out_are_the_ones_stated(digits):
    split = import_script("train_digits.py").load_split()
    assert load_checkpoint(digits[0]).header.metadata["test_indices"] == split.test_indices.tolist()
    assert len(split.train_labels) + len(split.test_labels) == 1797
    assert np.bincount(split.test_labels).min() >= 43  # stratified: every digit is there


def test_digits_are_light_on_dark_pngs(digits):
    module = import_script("train_digits.py")
    pixels = module.load_split().test_pixels[0]
    image = Image.open(io.BytesIO(module.to_png(pixels)))
    assert (image.mode, image.size) == ("L", (8, 8))
    assert np.array_equal(np.asarray(image), pixels)
    assert pixels.max() == 255
    assert pixels[:, 0].max() == 0


def test_the_endpoint_sees_digits_as_training_did(digits, tmp_path):
    module = import_script("train_digits.py")
    golden, net = publish_and_read(digits[0], tmp_path)
    assert len(golden["examples"]) == 10
    split = module.load_split()
    labels = [example["response"]["label"] for example in golden["examples"]]
    firsts = [int(np.flatnonzero(split.test_labels == digit)[0]) for digit in range(10)]
    logits = net(module.to_tensor(split.test_pixels[firsts], module.describe_task(split.train_pixels)))
    assert labels == [str(int(label)) for label in logits.argmax(dim=1)]
    scores = [example["response"]["score"] for example in golden["examples"]]
    assert scores == pytest.approx(logits.softmax(dim=1).max(dim=1).values.tolist(), abs=1e-5)


def test_tumours_are_told_apart(breast_cancer):
    path, printed = breast_cancer
    metadata = load_checkpoint(path).header.metadata
    assert metadata["test_accuracy"] >= 0.95
    assert f"accuracy {metadata['test_accuracy']:.2%} on 143 held-out rows" in printed


def test_the_endpoint_sees_rows_as_training_did(breast_cancer, tmp_path):
    module = import_script("train_breast_cancer.py")
    golden, net = publish_and_read(breast_cancer[0], tmp_path)
    split = module.load_split()
    rows = [int(np.flatnonzero(split.test_targets == target)[0]) for target in range(2)]
    logits = net(module.to_tensor(split.test_rows[rows], module.describe_task(split)))
    for example, scores in zip(golden["examples"], logits.softmax(dim=1), strict=True):
        label = split.labels[int(scores.argmax())]
        assert example["response"]["label"] == label
        assert example["response"]["score"] == pytest.approx(float(scores.max()), abs=1e-5)


def test_the_same_seed_gives_the_same_model(breast_cancer, tmp_path):
    run_script("train_breast_cancer.py", tmp_path / "again.pt")
    assert load_checkpoint(tmp_path / "again.pt").digest() == load_checkpoint(breast_cancer[0]).digest()


def test_a_network_of_ones_own_is_published(tmp_path, monkeypatch):
    path = tmp_path / "diabetes.pt"
    assert "held-out patients" in run_script("own_network/train.py", path)
    monkeypatch.syspath_prepend(EXAMPLES / "own_network")
    golden, net = publish_and_read(path, tmp_path, architectures=["my_nets"])
    checkpoint = load_checkpoint(path)
    module = import_script("own_network/train.py")
    rows, _ = module.load_rows()
    row = rows[checkpoint.header.metadata["test_indices"][0]]
    task = checkpoint.header.task
    value = float(net(module.to_tensor([row], task))) * task.target_std + task.target_mean
    assert golden["examples"][0]["response"]["value"] == pytest.approx(value, rel=1e-5)
    assert checkpoint.header.metadata["test_r_squared"] > 0.25


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """train_mnist.py on a few hundred of scikit-learn's digits, enlarged, in files of MNIST's form."""
    module = import_script("train_mnist.py")
    digits = import_script("train_digits.py").load_split()
    folder = tmp_path / "data"
    folder.mkdir()
    parts = {
        "train": (digits.train_pixels, digits.train_labels),
        "t10k": (digits.test_pixels, digits.test_labels),
    }
    digests = {}
    for name, (pixels, labels) in parts.items():
        images = np.pad(np.kron(pixels[:300], np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
        for kind, array in (("images-idx3", images), ("labels-idx1", labels[:300].astype(np.uint8))):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            file = folder / f"{name}-{kind}-ubyte"
            file.write_bytes(header + array.tobytes())
            digests[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "DIGESTS", digests)
    monkeypatch.setattr(module, "VALIDATION_IMAGES", 100)
    monkeypatch.setattr(module, "measure_accuracy", lambda model, pixels, labels: 0.5)
    return module, ["--data", str(folder), "--output", str(tmp_path / "mnist.pt")]


def test_mnist_begins_with_the_convolutions_of_another_checkpoint(mnist, digits, monkeypatch, capsys):
    module, options = mnist
    monkeypatch.setattr(sys, "argv", ["train_mnist.py", *options, "--from", str(digits[0])])
    module.main()
    printed = capsys.readouterr().out
    assert "12 of 14 tensors from" in printed
    assert "left at its initial value: classifier.*" in printed
    checkpoint = load_checkpoint(options[-1])
    assert checkpoint.header.metadata["test_accuracy"] == 0.5
    assert checkpoint.build()


def test_mnist_refuses_other_files_and_says_how_to_get_them(mnist, monkeypatch):
    module, options = mnist
    monkeypatch.setattr(sys, "argv", ["train_mnist.py", *options])
    labels = Path(options[1]) / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\xff")
    with pytest.raises(
        SystemExit, match="is not the file that was published; remove it, then: make data/mnist"
    ):
        module.main()
    labels.unlink()
    with pytest.raises(SystemExit, match="no such file; fetch the data with: make data/mnist"):
        module.main()


def publish_and_read(path: Path, folder: Path, **options):
    """Publish a checkpoint; return its golden examples and its module."""
    store = LocalStore(folder / "model_store")
    version = publish(path, store=store, name="example", version="1.0", **options).version
    torch.set_num_threads(1)
    net = load_checkpoint(version.checkpoint_path).build()
    return json.loads(version.golden_path.read_bytes()), net
