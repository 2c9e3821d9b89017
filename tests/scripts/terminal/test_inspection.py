"""What `statehouse inspect` and `publish` print, run as a person runs them."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.scripts.shown_on_terminal import shown_on_terminal

from statehouse.models import CategoricalFeature, NumericFeature, TabularTask, build_model, save_checkpoint

COMMAND = Path(sysconfig.get_path("scripts")) / "statehouse"
MY_NETS = """
from torch import nn
from statehouse import register_architecture

@register_architecture("two_layers", input_shape=lambda config: (config.size,))
class TwoLayers(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, 3), nn.ReLU(), nn.Linear(3, 2))

    def forward(self, x):
        return self.layers(x)
"""


@pytest.fixture
def statehouse(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command in the test's folder, in a pipe."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A checkpoint of a tabular classification with three features and long metadata."""
    features = [NumericFeature(name="age", mean=51.25, std=13.5, minimum=0), NumericFeature(name="weight")]
    features.append(CategoricalFeature(name="smokes", categories=["yes", "no"]))
    task = TabularTask(kind="classification", features=features, labels=["ill", "well"])
    config = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
    return save_checkpoint(
        tmp_path / "patients.pt", build_model("simple_net", config), architecture="simple_net",
        config=config, task=task, metadata={"test_indices": list(range(500)), "note": None},
    )  # fmt: skip


def test_the_verdict_then_what_to_do_then_one_line_per_feature(statehouse, patients):
    shown = statehouse("inspect", "patients.pt").stdout
    lines = shown.splitlines()
    assert lines[:3] == [
        "✓ patients.pt: it would load",
        "Publish it: statehouse publish patients.pt --name patients --version 1.0",
        "",
    ]
    assert "task             tabular, classification" in lines
    assert "features (3)     age     51.25 ± 13.5, ≥ 0" in lines
    assert "                 weight  0 ± 1" in lines
    assert "                 smokes  one of yes, no" in lines
    assert "training state   none" in lines
    assert "test_indices 0, 1, 2 … (500 in all)" in shown
    assert "kB, describes itself" in shown
    assert "None" not in shown
    assert "null" not in shown
    assert all(line == line.rstrip() for line in lines)


def test_how_the_rows_of_a_version_were_proved(statehouse, patients):
    statehouse("publish", "patients.pt", "--name", "patients", "--version", "1.0")
    shown = statehouse("inspect", "patients-1.0").stdout
    assert "proved at publish: 4 rows, batches of 2, 3, 8, 32, 0.0001 allowed\n" in shown


def test_it_fits_a_terminal(patients, tmp_path):
    lines = shown_on_terminal([COMMAND, "inspect", "patients.pt"], width=60, folder=tmp_path)
    assert max(map(len, lines)) <= 60
    assert "features (3)     age     51.25 ± 13.5, ≥ 0" in lines


def test_problems_first_and_how_to_give_what_is_missing(statehouse, tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(4, 2))
    torch.save(net.state_dict(), tmp_path / "bare.pt")
    done = statehouse("inspect", "bare.pt", "--architecture", "mlp", "--task", "tabular")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:6] == [
        "✗ bare.pt: it would not load",
        "  ✗ model_config.input_size: is missing (give --config '{…}')",
        "  ✗ model_config.hidden_sizes: is missing (give --config '{…}')",
        "  ✗ model_config.output_size: is missing (give --config '{…}')",
        "  ✗ task.kind: is missing (give --task-config '{…}')",
        "  ✗ task.features: is missing (give --task-config '{…}')",
    ]
    config = '{"input_size": 4, "hidden_sizes": [], "output_size": 2}'
    renamed = statehouse(
        "inspect", "bare.pt", "--architecture", "mlp", "--task", "tensor", "--config", config
    )
    assert renamed.stdout.splitlines()[1:3] == [
        "  ✗ likely renaming: 0.weight → layers.0.weight",
        "  ✗ likely renaming: 0.bias → layers.0.bias",
    ]
    assert "strict" not in renamed.stdout


def test_what_a_publish_must_be_told_as_well(statehouse, tmp_path):
    config = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
    torch.save(build_model("simple_net", config).state_dict(), tmp_path / "bare.pt")
    (tmp_path / "net.json").write_text(json.dumps(config))
    told = ["--architecture", "simple_net", "--config", "net.json", "--task", "tensor"]
    hint = statehouse("inspect", "bare.pt", *told).stdout.splitlines()[1]
    assert statehouse(*hint.removeprefix("Publish it: statehouse ").split()).returncode == 0
    version = statehouse("inspect", "bare-1.0").stdout
    assert "golden examples  1, none was given: made from the input schema with a fixed seed" in version
    assert "model_store/bare-1.0, " in version


def test_a_publish_says_that_the_code_is_kept(statehouse, tmp_path):
    (tmp_path / "my_nets.py").write_text(MY_NETS)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    state = {f"layers.{name}": value for name, value in net.state_dict().items()}
    torch.save({"model_state_dict": state, "model_config": {"size": 4}}, tmp_path / "own.pt")
    publish = ["publish", "own.pt", "--name", "own", "--version", "1.0", "--architecture", "two_layers"]
    publish += ["--task", "tensor", "--architectures", "my_nets"]
    [kept, then] = statehouse(*publish).stdout.splitlines()[-2:]
    [snapshot] = (tmp_path / "deployment.architectures").iterdir()
    assert kept == f"  its code, my_nets, is kept here, digest {snapshot.name[:12]}"
    assert then == "Serve it: statehouse swap own 1.0"

    (tmp_path / "my_nets.py").write_text(f"{MY_NETS}\n# another")
    [note, _] = statehouse(*publish).stdout.splitlines()[-2:]
    assert note.startswith("  note: it was proved by my_nets as it was")
    assert list((tmp_path / "deployment.architectures").iterdir()) == [snapshot]
