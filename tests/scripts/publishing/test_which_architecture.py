"""What is said of a file that names no architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from statehouse.models.architecture import list_architectures
from statehouse.models.building import build_model
from statehouse.models.libraries.index import Difference, Group
from statehouse.models.libraries.index.make import build_on_meta
from statehouse.models.tensors.state_dict import describe
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.scripts.publishing import which_architecture as module
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.which_architecture import candidate_facts, which_architecture
from statehouse.scripts.store import LocalStore

PATH = Path("my net.pth")
pytestmark = pytest.mark.usefixtures("only_built_in")


def said(group, monkeypatch, tensors=("fc.weight",), task=None):
    monkeypatch.setattr(module, "candidates", lambda *_, **__: [group])
    return which_architecture(PATH, {name: TensorInfo("float32", (1,)) for name in tensors}, task)


def test_the_whole_command_is_said(monkeypatch):
    group = Group(("timm:a",), 0.9, 7, 7, num_classes=10, in_chans=1, task="image_classification")
    [line] = said(group, monkeypatch)
    assert line == (
        "architecture: the file names none; all 7 names and shapes fit timm:a (num_classes 10; in_chans 1): "
        "statehouse publish 'my net.pth' --name NAME --version 1.0 --architecture timm:a "
        """--config '{"num_classes": 10, "in_chans": 1}' --task image_classification"""
    )


def test_a_task_that_was_given_goes_first(monkeypatch):
    [line] = said(Group(("timm:a",), 1, 7, 7, task="image_classification"), monkeypatch, task="tensor")
    assert line.endswith("--task tensor")


def test_what_equals_differ_in_is_said_and_the_user_chooses(monkeypatch):
    differences = tuple(Difference(f"eps{n}", {"1": ("timm:a",), "2": ("timm:b",)}) for n in range(9))
    first, *rest = said(Group(("timm:a", "timm:b"), 1, 7, 7, differences=differences), monkeypatch)
    assert "fit timm:a, timm:b" in first
    assert "choose: they differ in eps0: 1 in timm:a; 2 in timm:b" in rest[0]
    assert rest[8] == "architecture: they differ in eps8: 1 in timm:a; 2 in timm:b"


def test_equals_without_a_known_difference_are_left_to_the_user_too(monkeypatch):
    lines = said(Group(("timm:a", "torchvision:a"), 1, 7, 7), monkeypatch)
    assert lines[1].endswith("they differ in no setting that their libraries name")


def test_what_does_not_fit_is_said_shortened_and_ones_own_are_offered(monkeypatch):
    group = Group(("timm:a",), 0.8, 5, 9, missing=("x",) * 5, unexpected=("y" * 500,), reshaped=("z",))
    first, own = said(group, monkeypatch)
    assert "5 of 9 names and shapes fit timm:a (without x, x, x and 2 more; with, unlike it, " in first
    assert "y" * 81 not in first
    assert f"say --architecture, one of {', '.join(list_architectures())}" in own


def test_channels_that_torchvision_cannot_have_are_said(monkeypatch):
    [line] = said(Group(("torchvision:a",), 1, 7, 7, in_chans=1), monkeypatch)
    assert "whose builder takes 3 channels alone" in line


def test_a_prefix_of_some_names_needs_a_rule(monkeypatch):
    group = Group(("timm:a",), 0.8, 5, 9, prefix="backbone.")
    assert r"--rename 'backbone\.(.*)=\1'" in said(group, monkeypatch, ("backbone.x", "head"))[0]
    assert "--rename" not in said(group, monkeypatch, ("backbone.x",))[0]


def test_a_prefix_that_no_rule_can_have_makes_none(monkeypatch):
    group = Group(("timm:a",), 0.8, 5, 9, prefix="a=b.model.")
    assert "--rename" not in said(group, monkeypatch, ("a=b.model.x", "head"))[0]


def test_a_file_that_is_near_nothing_keeps_the_short_list():
    [line] = which_architecture(PATH, {"near.nothing": TensorInfo("float32", (4, 4))})
    assert f"say --architecture, one of {', '.join(list_architectures())}; no " in line


@pytest.mark.parametrize("name", ["timm:tf_efficientnet_b0", "torchvision:resnet18"])
def test_a_real_file_is_inspected(name, tmp_path):
    tensors = build_on_meta(name, {"num_classes": 10}).state_dict()
    torch.save(
        {key: torch.zeros(each.shape, dtype=each.dtype) for key, each in tensors.items()}, tmp_path / "net.pt"
    )
    found = inspect(str(tmp_path / "net.pt"), store=LocalStore(tmp_path / "store"))
    assert name in found.problems[0]
    assert """--config '{"num_classes": 10}' --task image_classification""" in found.problems[0]
    [candidate] = found.facts["candidates"]
    assert candidate["num_classes"] == 10
    assert name in candidate["architectures"]
    assert candidate["command"] in found.problems[0]


def test_facts_are_plain():
    tensors = {name: TensorInfo("float32", shape) for name, shape in {"fc1.weight": (4, 4)}.items()}
    assert candidate_facts(PATH, tensors) == []


def test_one_of_ours_is_proposed_with_what_its_shapes_say():
    config = {"input_size": 4, "hidden_size": 8, "num_classes": 2}
    lines = which_architecture(PATH, describe(build_model("simple_net", config).state_dict()))
    assert any(
        "fit simple_net (input_size 4, hidden_size 8, num_classes 2): statehouse publish" in line
        for line in lines
    )
    assert any(line.endswith("--architecture simple_net --task tensor") for line in lines)
