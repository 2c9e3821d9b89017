import json

import pytest
import torch

from statehouse.models import TensorTask, build_model
from statehouse.scripts.errors import InspectTargetError, VersionNotFoundError
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

SIMPLE_NET = {"input_size": 4, "hidden_size": 3, "num_classes": 2}


@pytest.fixture
def store(store_folder):
    return LocalStore(store_folder)


@pytest.fixture
def published(store, save_net):
    return publish(save_net(), store=store, name="net", version="1.0").version


def test_a_checkpoint_that_describes_itself(store, save_net):
    found = inspect(str(save_net(metadata={"accuracy": 0.5})), store=store)
    assert (found.kind, found.would_load, found.problems) == ("checkpoint", True, [])
    assert found.facts["architecture"] == "simple_net"
    assert found.facts["parameter_count"] == 23
    assert found.facts["tensors"]["fc1.weight"] == {"dtype": "float32", "shape": [3, 4]}
    assert len(found.facts["digest"]) == 64
    assert found.facts["metadata"]["accuracy"] == 0.5
    json.dumps(found.to_plain())


@pytest.mark.usefixtures("only_built_in")
def test_a_foreign_checkpoint_is_told_and_what_is_missing(store, tmp_path):
    path = tmp_path / "bare.pt"
    torch.save(build_model("simple_net", SIMPLE_NET).state_dict(), path)
    found = inspect(str(path), store=store)
    assert (found.would_load, found.facts["form"]) == (False, "bare")
    assert len(found.problems) == 2
    assert inspect(
        str(path), store=store, architecture="simple_net", config=SIMPLE_NET, task="tensor"
    ).would_load


def test_every_problem_of_a_checkpoint(store, tmp_path):
    state = build_model("simple_net", SIMPLE_NET).state_dict()
    del state["fc1.bias"], state["fc2.bias"]
    torch.save({"model_state_dict": state, "model_config": SIMPLE_NET}, tmp_path / "odd.pt")
    found = inspect(str(tmp_path / "odd.pt"), store=store, architecture="simple_net", task="tensor")
    assert [problem for problem in found.problems if problem.startswith("missing: ")] == [
        "missing: fc1.bias",
        "missing: fc2.bias",
    ]


def test_a_file_that_is_no_checkpoint(store, tmp_path):
    (tmp_path / "file.pt").write_bytes(b"<html>")
    found = inspect(str(tmp_path / "file.pt"), store=store)
    assert not found.would_load
    assert found.facts == {}
    assert "web page" in found.problems[0]


@pytest.mark.parametrize("spelling", ["net-1.0", "net/1.0", "folder"])
def test_a_version(store, published, spelling):
    target = str(published.folder) if spelling == "folder" else spelling
    found = inspect(target, store=store)
    assert (found.kind, found.would_load, found.notes) == ("version", True, [])
    assert found.facts["digest"] == published.digest
    assert found.facts["folder"] == str(published.folder)


@pytest.mark.parametrize(("config", "row_by_row"), [({}, False), ({"rows_per_batch": 1}, True)])
def test_how_its_rows_were_proved_stays_with_a_version(store, save_net, config, row_by_row):
    publish(save_net(task=TensorTask(**config)), store=store, name="net", version="1.0")
    proof = inspect("net/1.0", store=store).facts["row_proof"]
    assert proof == {"rows": 4, "batch_sizes": [2, 3, 8, 32], "tolerance": 1e-4, "row_by_row": row_by_row}


def test_every_changed_file_of_a_version(store, published):
    for name in published.manifest.files:
        (published.folder / name).chmod(0o644)
        (published.folder / name).write_bytes(b"x")
    found = inspect("net/1.0", store=store)
    assert len(found.problems) == 2
    assert not found.would_load


def test_a_changed_architecture_is_noted(store, published):
    manifest = json.loads((published.folder / "version.json").read_bytes())
    manifest["architecture_source_digest"] = "0" * 64
    (published.folder / "version.json").chmod(0o644)
    (published.folder / "version.json").write_text(json.dumps(manifest))
    found = inspect("net/1.0", store=store)
    assert found.would_load
    assert "the source of architecture 'simple_net' is not the one" in found.notes[0]


def test_no_such_thing(store, published):
    with pytest.raises(VersionNotFoundError, match=r"it has net-1\.0"):
        inspect("net/2.0", store=store)
    with pytest.raises(InspectTargetError, match=r"no file 'nothing\.pt'.*expected a checkpoint's path"):
        inspect("nothing.pt", store=store)
