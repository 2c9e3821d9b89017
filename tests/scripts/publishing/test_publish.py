import hashlib
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from statehouse.models import (
    Example,
    ImageClassificationTask,
    TabularTask,
    TensorTask,
    build_model,
    get_architecture,
    import_architectures,
    load_checkpoint,
    save_checkpoint,
)
from statehouse.models.errors import (
    CheckpointContentError,
    CheckpointError,
    CheckpointUnreadableError,
)
from statehouse.scripts.deployment.defaults import is_heavy
from statehouse.scripts.errors import (
    ExampleFileError,
    NameRuleError,
    PublishError,
    VersionExistsError,
    VersionFolderError,
)
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

NETS = Path(__file__).parents[2] / "nets"
SIMPLE_NET = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
ONE_ROW = Example(content_type="application/json", body=b'{"inputs": [1, 2, 3, 4]}')

PUBLISHES_AND_DIES = """
import os, signal, sys
from pathlib import Path
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

def die(step):
    if step.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

publish(Path(sys.argv[1]), store=LocalStore(sys.argv[2]), name="net", version="1.0", report=die)
"""


PUBLISHES_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from statehouse.scripts.errors import StoreWriteError
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    publish(Path(sys.argv[1]), store=LocalStore(sys.argv[2]), name="net", version="1.0")
except StoreWriteError as error:
    sys.exit("nothing was published" not in str(error))
sys.exit("it was published")
"""


@pytest.fixture
def store(store_folder):
    return LocalStore(store_folder)


@pytest.fixture
def publish_net(store):
    """Publish a checkpoint as net 1.0 unless told otherwise."""

    def run(path, *, name="net", version="1.0", **options):
        return publish(path, store=store, name=name, version=version, **options)

    return run


def versions_in(store):
    return [f"{found.name}-{found.version}" for found in store.scan().versions]


def refusal(publish_net, store, path, error=PublishError, **options):
    with pytest.raises(error) as caught:
        publish_net(path, **options)
    assert versions_in(store) == []
    assert [entry.name for entry in store.folder.iterdir()] in ([], [".publishing.lock"])
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_version_is_complete_and_describes_itself(publish_net, save_net, store, suffix):
    path = save_net(f"net.{suffix}", metadata={"accuracy": 0.5})
    result = publish_net(path)
    version = store.get("net", "1.0")
    assert not result.already_published
    assert result.version == version
    assert {entry.name for entry in version.folder.iterdir()} == {
        f"checkpoint.{suffix}",
        "golden.json",
        "version.json",
    }
    written = load_checkpoint(version.checkpoint_path)
    source = load_checkpoint(path)
    assert written.digest() == source.digest() == version.digest
    assert written.header.metadata == source.header.metadata
    row = torch.randn(1, 4)
    assert torch.equal(written.build()(row), source.build()(row))
    store.verify(version)


def test_the_manifest_says_what_it_is(publish_net, save_net):
    manifest = publish_net(save_net(metadata={"accuracy": 0.5})).version.manifest
    assert (manifest.architecture, manifest.config) == ("simple_net", SIMPLE_NET)
    assert (manifest.task, manifest.labels, manifest.dtypes) == ("tensor", None, ["float32"])
    assert manifest.parameter_count == 4 * 3 + 3 + 3 * 2 + 2
    assert manifest.macs_per_row == 4 * 3 + 3 * 2
    assert manifest.metadata["accuracy"] == 0.5
    assert manifest.architecture_source_digest == get_architecture("simple_net").source_digest
    assert manifest.built_by.torch == torch.__version__
    assert [(tensor.name, tensor.shape) for tensor in manifest.inputs] == [("input", [-1, 4])]
    assert [(tensor.name, tensor.shape) for tensor in manifest.outputs] == [("output", [-1, 2])]


HEAVY = {"in_channels": 3, "height": 64, "width": 64, "num_classes": 2, "channels": [16, 32]}


def test_what_computes_much_is_measured_frozen(store, tmp_path):
    file = tmp_path / "net.pt"
    save_checkpoint(
        file, build_model("convnet", HEAVY), architecture="convnet", config=HEAVY, task=TensorTask()
    )
    steps = []
    manifest = publish(file, store=store, name="net", version="1.0", report=steps.append).version.manifest
    assert is_heavy(manifest.macs_per_row, manifest.parameter_count)
    assert manifest.frozen_speedup > 0
    assert any("frozen" in step for step in steps)
    light = SIMPLE_NET
    save_checkpoint(
        file, build_model("simple_net", light), architecture="simple_net", config=light, task=TensorTask()
    )
    assert publish(file, store=store, name="net", version="2.0").version.manifest.frozen_speedup is None


def test_what_computes_much_and_cannot_be_frozen_is_published_and_the_reason_told(
    store, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(NETS)
    import_architectures(["deciding_nets"])
    file = tmp_path / "net.pt"
    module = build_model("deciding_net", {})
    save_checkpoint(file, module, architecture="deciding_net", config={}, task=TensorTask())
    steps = []
    published = publish(file, store=store, name="net", version="1.0", report=steps.append)
    assert published.version.manifest.frozen_speedup == 0
    assert any("decides in Python" in step for step in steps)


def test_a_measurement_that_fails_ends_no_publishing(store, tmp_path, monkeypatch):
    def fail(handler):
        raise RuntimeError("Expected 15 elements in a list but found 13")

    monkeypatch.setattr("statehouse.scripts.publishing.version_files.frozen_speedup", fail)
    file = tmp_path / "net.pt"
    module = build_model("convnet", HEAVY)
    save_checkpoint(file, module, architecture="convnet", config=HEAVY, task=TensorTask())
    steps = []
    published = publish(file, store=store, name="net", version="1.0", report=steps.append)
    assert published.version.manifest.frozen_speedup == 0
    assert "it cannot be frozen: Expected 15 elements in a list but found 13" in steps


def test_the_same_digest_again_is_fine_and_changes_nothing(publish_net, save_net, store):
    first = publish_net(save_net("net.pt")).version
    before = store.identity(first)
    again = publish_net(save_net("other.safetensors", metadata={"tried": "again"}))
    assert again.already_published
    assert store.identity(again.version) == before


def test_another_digest_is_refused(publish_net, save_net, store):
    first = publish_net(save_net(seed=0)).version
    before = store.identity(first)
    with pytest.raises(
        VersionExistsError, match=r"net 1\.0 is published with digest .* under another version"
    ):
        publish_net(save_net(seed=1))
    assert store.identity(first) == before


def test_different_versions_may_share_a_digest(publish_net, save_net, store):
    path = save_net()
    publish_net(path, version="1.0")
    publish_net(path, version="2.0")
    assert versions_in(store) == ["net-1.0", "net-2.0"]


def test_a_published_version_that_was_changed_is_not_taken_for_the_same(publish_net, save_net):
    path = save_net()
    golden = publish_net(path).version.golden_path
    golden.chmod(0o644)
    golden.write_text("{}")
    with pytest.raises(VersionFolderError, match=r"golden\.json"):
        publish_net(path)


def test_training_state_is_left_behind(publish_net, store, tmp_path):
    net = build_model("simple_net", SIMPLE_NET)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    path = save_checkpoint(
        tmp_path / "training.pt",
        net,
        architecture="simple_net",
        config=SIMPLE_NET,
        task=TensorTask(),
        optimizer=optimizer,
        epoch=3,
    )
    version = publish_net(path).version
    assert load_checkpoint(path).training is not None
    assert load_checkpoint(version.checkpoint_path).training is None
    assert version.checkpoint_path.stat().st_size < path.stat().st_size


def test_a_tutorials_file_is_completed_by_the_command_line(publish_net, tmp_path):
    net = build_model("simple_net", SIMPLE_NET)
    torch.save({"model_state_dict": net.state_dict(), "model_config": SIMPLE_NET}, tmp_path / "tutorial.pt")
    version = publish_net(tmp_path / "tutorial.pt", architecture="simple_net", task="tensor").version
    checkpoint = load_checkpoint(version.checkpoint_path)
    assert not checkpoint.header.is_foreign
    assert checkpoint.header.task == TensorTask()
    assert torch.equal(checkpoint.build()(torch.ones(1, 4)), net(torch.ones(1, 4)))


def test_a_bare_state_dict_with_everything_said_beside_it(publish_net, tmp_path):
    torch.save(
        torch.nn.DataParallel(build_model("simple_net", SIMPLE_NET)).state_dict(), tmp_path / "bare.pth"
    )
    task = {"kind": "classification", "labels": ["no", "yes"], "features": [_feature(c) for c in "abcd"]}
    manifest = publish_net(
        tmp_path / "bare.pth", architecture="simple_net", config=SIMPLE_NET, task="tabular", task_config=task
    ).version.manifest
    assert (manifest.checkpoint, manifest.labels) == ("checkpoint.pt", ["no", "yes"])


def _feature(name):
    return {"type": "numeric", "name": name}


def test_golden_examples_come_from_the_checkpoint(publish_net, save_net):
    version = publish_net(save_net(examples=[ONE_ROW])).version
    golden = json.loads(version.golden_path.read_bytes())
    net = load_checkpoint(version.checkpoint_path).build()
    expected = net(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0].tolist()
    assert (golden["source"], version.manifest.golden.count) == ("checkpoint", 1)
    assert golden["examples"][0]["response"]["outputs"] == pytest.approx(expected, abs=1e-6)
    assert load_checkpoint(version.checkpoint_path).header.examples[0].response is not None


def test_golden_examples_come_from_files(publish_net, save_net, tmp_path):
    (tmp_path / "row.json").write_bytes(ONE_ROW.body)
    (tmp_path / "row.bin").write_bytes(torch.ones(4).numpy().tobytes())
    version = publish_net(save_net(), examples=[tmp_path / "row.json", tmp_path / "row.bin"]).version
    golden = json.loads(version.golden_path.read_bytes())
    assert golden["source"] == "file"
    assert [e["content_type"] for e in golden["examples"]] == ["application/json", "application/octet-stream"]


def test_golden_examples_are_made_of_the_schema_and_always_the_same(publish_net, save_net):
    one, other = (publish_net(save_net(), version=version).version for version in ("1.0", "2.0"))
    assert one.manifest.golden.source == "made"
    assert one.golden_path.read_bytes() == other.golden_path.read_bytes()


@pytest.mark.parametrize("name", ["../net", "", "a b"])
def test_a_name_that_cannot_be(publish_net, store, tmp_path, name):
    with pytest.raises(NameRuleError):
        publish_net(tmp_path / "absent.pt", name=name)


@pytest.mark.usefixtures("only_built_in")
def test_everything_that_a_foreign_file_leaves_out_is_named_at_once(publish_net, store, tmp_path):
    torch.save(build_model("simple_net", SIMPLE_NET).state_dict(), tmp_path / "bare.pt")
    message = refusal(publish_net, store, tmp_path / "bare.pt", CheckpointContentError)
    assert "all names and shapes fit simple_net (" in message
    assert "--architecture simple_net --task tensor" in message
    assert "--task, one of image_classification, tabular, tensor" in message


def test_a_state_dict_that_does_not_fit(publish_net, store, tmp_path):
    state = build_model("simple_net", SIMPLE_NET).state_dict()
    state["fc1.weight"] = torch.ones(3, 5)
    state["fc9.bias"] = state.pop("fc2.bias")
    torch.save({"model_state_dict": state, "model_config": SIMPLE_NET}, tmp_path / "odd.pt")
    message = refusal(publish_net, store, tmp_path / "odd.pt", architecture="simple_net", task="tensor")
    for expected in ("wrong shape: fc1.weight", "likely renaming: fc9.bias → fc2.bias"):
        assert expected in message


def test_parameters_that_are_not_finite_and_labels_that_do_not_fit_at_once(publish_net, store, tmp_path):
    config = {"in_channels": 1, "height": 4, "width": 4, "num_classes": 3, "channels": [2]}
    net = build_model("convnet", config)
    with torch.no_grad():
        net.classifier.bias[0] = float("nan")
        net.classifier.weight[0, 0] = float("inf")
    task = ImageClassificationTask(
        labels=["a", "b"], height=4, width=4, mode="greyscale", mean=[0.5], std=[0.5]
    )
    path = save_checkpoint(tmp_path / "net.pt", net, architecture="convnet", config=config, task=task)
    message = refusal(publish_net, store, path)
    for expected in (
        "classifier.bias",
        "classifier.weight",
        "the module gives [3] per row",
    ):
        assert expected in message


def test_a_task_that_the_module_cannot_take(publish_net, store, save_net):
    features = [_feature(name) for name in "abcde"]
    task = TabularTask.model_validate({"kind": "regression", "features": features})
    assert "nothing was published" in refusal(publish_net, store, save_net(task=task))


def test_a_stated_response_must_be_given(publish_net, store, save_net):
    stated = ONE_ROW.model_copy(update={"response": {"outputs": [100.0, 200.0]}})
    message = refusal(publish_net, store, save_net(examples=[ONE_ROW, stated]))
    assert "example 1 of the checkpoint: does not get the response that it states: $.outputs[0]" in message
    assert "$.outputs[1]: expected 200.0" in message


def test_examples_that_the_endpoint_refuses_are_all_named(publish_net, store, save_net, tmp_path):
    (tmp_path / "short.json").write_text('{"inputs": [1, 2]}')
    (tmp_path / "broken.json").write_text('{"inputs": ')
    message = refusal(
        publish_net, store, save_net(), examples=[tmp_path / "short.json", tmp_path / "broken.json"]
    )
    assert "short.json: is answered 422" in message
    assert "broken.json: is answered 400" in message


def test_an_example_file_must_be_there_and_hold_something(publish_net, store, save_net, tmp_path):
    (tmp_path / "empty").touch()
    path = save_net()
    assert "No such file" in refusal(
        publish_net, store, path, ExampleFileError, examples=[tmp_path / "absent"]
    )
    assert "has 0 bytes" in refusal(publish_net, store, path, ExampleFileError, examples=[tmp_path / "empty"])


RANDOM_NET = """
import torch
from statehouse import register_architecture

@register_architecture("random_net", input_shape=lambda config: (config.size,))
class RandomNet(torch.nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(size, 2)

    def forward(self, x):
        return self.layer(x) + torch.rand(2)
"""


def test_a_module_that_answers_differently_each_time(publish_net, store, tmp_path, monkeypatch):
    (tmp_path / "random_nets.py").write_text(RANDOM_NET)
    monkeypatch.syspath_prepend(tmp_path)
    torch.save(torch.nn.Module.state_dict(_layer(4)), tmp_path / "random.pt")
    message = refusal(
        publish_net,
        store,
        tmp_path / "random.pt",
        architecture="random_net",
        config={"size": 4},
        task="tensor",
        architectures=["random_nets"],
    )
    assert "the model answers the same request differently each time" in message


JEALOUS_NET = """
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode
from statehouse import register_architecture

@register_architecture("jealous_net", input_shape=lambda config: (config.size,))
class JealousNet(torch.nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(size, 2)

    def forward(self, x):
        if _get_current_dispatch_mode() is not None:
            raise RuntimeError("computes unwatched or not at all")
        return self.layer(x)
"""


def test_a_module_whose_operators_cannot_be_watched_is_published_without_their_count(
    publish_net, tmp_path, monkeypatch
):
    (tmp_path / "jealous_nets.py").write_text(JEALOUS_NET)
    monkeypatch.syspath_prepend(tmp_path)
    torch.save(_layer(4).state_dict(), tmp_path / "jealous.pt")
    published = publish_net(
        tmp_path / "jealous.pt",
        architecture="jealous_net",
        config={"size": 4},
        task="tensor",
        architectures=["jealous_nets"],
    )
    assert published.version.manifest.macs_per_row is None
    assert published.version.manifest.parameter_count == 4 * 2 + 2


EIGHT_BIT_NET = """
import torch
from statehouse import register_architecture

@register_architecture("eight_bit_net", input_shape=lambda config: (config.size,))
class EightBitNet(torch.nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2, size).to(torch.float8_e4m3fn))

    def forward(self, x):
        return x.float() @ self.weight.float().T
"""


def test_a_dtype_without_a_tolerance(publish_net, store, tmp_path, monkeypatch):
    (tmp_path / "eight_bit_nets.py").write_text(EIGHT_BIT_NET)
    monkeypatch.syspath_prepend(tmp_path)
    torch.save({"weight": torch.ones(2, 4).to(torch.float8_e4m3fn)}, tmp_path / "eight.pt")
    message = refusal(
        publish_net,
        store,
        tmp_path / "eight.pt",
        architecture="eight_bit_net",
        config={"size": 4},
        task="tensor",
        architectures=["eight_bit_nets"],
    )
    assert "nothing says how near answers on cpu/float8_e4m3fn must be" in message


def _layer(size):
    return torch.nn.ModuleDict({"layer": torch.nn.Linear(size, 2)})


def _flip_a_bit_of_a_tensor(path):
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        record = next(info for info in archive.infolist() if "/data/" in info.filename)
        start = record.header_offset + 30
        length = int.from_bytes(content[start - 4 : start - 2], "little") + int.from_bytes(
            content[start - 2 : start], "little"
        )
    content[start + length] ^= 1
    path.write_bytes(bytes(content))


def test_a_flipped_bit_is_found(publish_net, store, save_net):
    path = save_net()
    _flip_a_bit_of_a_tensor(path)
    load_checkpoint(path)  # loading maps the file, and does not notice
    assert "CRC" in refusal(publish_net, store, path, CheckpointUnreadableError)


def test_a_pickled_module_is_read_and_not_run(publish_net, store, tmp_path):
    torch.save(build_model("simple_net", SIMPLE_NET), tmp_path / "whole.pt")
    message = refusal(publish_net, store, tmp_path / "whole.pt", CheckpointContentError)
    assert "what is known of this checkpoint" in message  # no word of its class: what it is for is to be said


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"<html>"])
def test_a_file_that_is_no_checkpoint(publish_net, store, tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    refusal(publish_net, store, tmp_path / "file.pt", CheckpointError)


@pytest.mark.parametrize("step", ["checking", "running", "writing"])
def test_killed_at_any_step_it_leaves_no_version(publish_net, save_net, store, step):
    path = save_net()
    killed = subprocess.run([sys.executable, "-c", PUBLISHES_AND_DIES, path, store.folder, step], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert versions_in(store) == []
    publish_net(path)
    assert versions_in(store) == ["net-1.0"]
    assert list(store.folder.glob(".publishing-*")) == []


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_full_disk_leaves_nothing(save_net, store, suffix):
    path = save_net(f"net.{suffix}")
    limit_bytes = str(path.stat().st_size // 2)
    command = [sys.executable, "-c", PUBLISHES_ON_A_FULL_DISK, path, store.folder, limit_bytes]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [entry.name for entry in store.folder.iterdir()] == [".publishing.lock"]


def test_the_files_hashes_are_those_of_the_manifest(publish_net, save_net):
    version = publish_net(save_net()).version
    for name, record in version.manifest.files.items():
        content = Path(version.folder, name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (record.size_bytes, record.sha256)
