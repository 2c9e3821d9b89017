"""`--rename`: shown before anything is written, and recorded in the version."""

from __future__ import annotations

import json

import pytest
import torch
from tests.scripts.commands_run import run_statehouse

from statehouse.models import build_model, load_checkpoint
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

SIMPLE_NET = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
ABOUT = {"architecture": "simple_net", "config": SIMPLE_NET, "task": "tensor"}
RULE = r"net(\d\..*)=fc\1"


@pytest.fixture
def store(store_folder):
    return LocalStore(store_folder)


@pytest.fixture
def renamed_net(tmp_path):
    net = build_model("simple_net", SIMPLE_NET)
    torch.save(
        {name.replace("fc", "net"): tensor for name, tensor in net.state_dict().items()}, tmp_path / "net.pt"
    )
    return tmp_path / "net.pt"


def test_inspect_shows_what_names_become_and_writes_nothing(store, renamed_net):
    assert not inspect(str(renamed_net), store=store, **ABOUT).would_load
    found = inspect(str(renamed_net), store=store, rename=[RULE], **ABOUT)
    assert (found.would_load, found.problems) == (True, [])
    assert found.facts["renaming"]["rules"] == [{"rule": RULE, "matched": 4}]
    assert found.facts["renaming"]["names"]["net1.weight"] == "fc1.weight"
    assert list(store.folder.iterdir()) == []


@pytest.mark.usefixtures("only_built_in")
def test_wrong_rules_are_told_once_with_all_else_that_is_wrong(store, renamed_net):
    found = inspect(str(renamed_net), store=store, rename=["x=y", "net.*=same"])
    assert found.facts["tensors"].keys() >= {"net1.weight"}
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "architecture",
        "--rename x=y",
        "--rename",
        "task",
    ]


def test_publish_shows_the_names_first_and_the_version_says_them(store, renamed_net):
    seen = []

    def show(header):
        seen.append((dict(header.renaming.names), list(store.folder.iterdir())))

    version = publish(
        renamed_net, store=store, name="net", version="1.0", rename=[RULE], show=show, **ABOUT
    ).version
    assert seen[0][0]["net2.bias"] == "fc2.bias"
    assert seen[0][1] == []
    assert version.manifest.metadata["reading"]["renaming"]["rules"] == [{"rule": RULE, "matched": 4}]
    assert load_checkpoint(version.checkpoint_path).header.tensors.keys() == {
        "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
    }  # fmt: skip


def test_the_command_shows_the_table(renamed_net, tmp_path):
    options = ["--architecture", "simple_net", "--task", "tensor", "--config", json.dumps(SIMPLE_NET)]
    shown = run_statehouse(tmp_path, "inspect", "net.pt", *options, "--rename", RULE).stdout.splitlines()
    assert shown[1].startswith("Publish it: statehouse publish net.pt")
    assert "--rename 'net" in shown[1]
    assert [line.split() for line in shown if line.startswith("net1.bias")] == [["net1.bias", "fc1.bias"]]
    done = run_statehouse(
        tmp_path, "publish", "net.pt", "--name", "net", "--version", "1.0", *options, "--rename", RULE
    )
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["RENAME", "NAMES"]
    assert lines[2].split() == [RULE, "4"]
    assert any(line.startswith("✓ net 1.0 published") for line in lines)
