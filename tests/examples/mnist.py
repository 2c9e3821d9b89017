"""The whole of MNIST, as `make test-mnist` runs it: minutes, so not among the tests of `make test`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from statehouse.models import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "examples/train_mnist.py", "--output"]


def test_digits_are_recognised_and_a_killed_run_resumes(tmp_path):
    whole, killed = tmp_path / "whole.pt", tmp_path / "killed.pt"
    subprocess.run([*COMMAND, whole], cwd=ROOT, check=True)
    checkpoint = load_checkpoint(whole)
    assert checkpoint.header.metadata["test_accuracy"] >= 0.985

    process = subprocess.Popen([*COMMAND, killed], cwd=ROOT)
    while not list((tmp_path / "killed.run").glob("step-*.pt")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run([*COMMAND, killed, "--resume"], cwd=ROOT, check=True)
    assert load_checkpoint(killed).digest() == checkpoint.digest()
