"""Each task in each form, told from what the version itself answers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from tests.scripts.commands_run import run_statehouse

from statehouse.models import (
    ImageSegmentationTask,
    ObjectDetectionTask,
    TensorTask,
    load_checkpoint,
    register_architecture,
    save_checkpoint,
)
from statehouse.models.tasks.registry import parse_task
from statehouse.scripts.errors import ExportError, VersionFolderError, VersionNotFoundError
from statehouse.scripts.export import to_onnx, to_torchscript
from statehouse.scripts.export.export import export
from statehouse.scripts.export.form import Form
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore, sha256_of

SHAPES = {
    "pets": (["batch", 3, 8, 8], ["batch", 3]),
    "prices": (["batch", 3], ["batch", 1]),
    "numbers": (["batch", 4], ["batch", 2]),
    "parts": (["batch", 3, "height", "width"], ["batch", 3, "mask_height", "mask_width"]),
    "colours": (["batch", "length"], ["batch", 2]),
    "places": (["batch", "length", 3], ["batch", "length", 4]),
    "vectors": (["batch", "length"], ["batch", 2]),
}
SUFFIXES = {"onnx": ".onnx", "torchscript": ".torchscript.pt", "mar": ".mar", "safetensors": ".safetensors"}


@pytest.mark.parametrize("form", ["onnx", "torchscript", "safetensors"])
@pytest.mark.parametrize("name", ["pets", "prices", "numbers", "parts", "colours", "places", "vectors"])
def test_each_task_in_each_form(store, tmp_path, monkeypatch, name, form):
    monkeypatch.chdir(tmp_path)
    steps = []
    result = export(store, name, "1.0", form=form, report=steps.append)
    file = tmp_path / f"{name}-1.0{SUFFIXES[form]}"
    assert {path.resolve() for path in result.files} == {file, file.with_name(file.name + ".json")}
    assert result.files == {path: sha256_of(path) for path in result.files}
    assert sorted(tmp_path.iterdir()) == [file, file.with_name(file.name + ".json")]
    assert result.to_plain()["files"] == {str(path): digest for path, digest in result.files.items()}
    assert [step.split()[0] for step in steps] == ["reading", "writing", "answering"]

    about = json.loads(file.with_name(file.name + ".json").read_text())
    version = store.get(name, "1.0")
    assert about["digest"] == version.manifest.digest
    assert (
        parse_task(about["task"], about["task_config"])
        == load_checkpoint(version.checkpoint_path).header.task
    )
    assert (about["input"]["shape"], about["output"]["shape"]) == SHAPES[name]


def test_onnx_runtime_alone_answers_batches_of_any_length(store, tmp_path):
    import onnxruntime

    export(store, "pets", "1.0", form="onnx", output=tmp_path / "pets.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "pets.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["statehouse"])["name"] == "pets"
    module = load_checkpoint(store.get("pets", "1.0").checkpoint_path).build()
    for rows in (1, 2, 7, 64):
        images = torch.randn(rows, 3, 8, 8)
        [output] = session.run(["output"], {"input": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(output), module(images), rtol=1e-4, atol=1e-4)


def test_torch_alone_loads_torchscript(store, tmp_path):
    """In a process that cannot import this project."""
    path = tmp_path / "numbers.pt"
    export(store, "numbers", "1.0", form="torchscript", output=path)
    program = (
        "import sys, torch\n"
        "sys.meta_path = [each for each in sys.meta_path if 'editable' not in repr(each).lower()]\n"
        "extra = {'statehouse.json': ''}\n"
        "module = torch.jit.load(sys.argv[1], _extra_files=extra)\n"
        "assert not {'models', 'handlers', 'scripts'} & {name.partition('.')[0] for name in sys.modules}\n"
        "print(module(torch.ones(3, 4)).tolist())\n"
    )
    command = [sys.executable, "-P", "-c", program, str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    module = load_checkpoint(store.get("numbers", "1.0").checkpoint_path).build()
    torch.testing.assert_close(torch.tensor(json.loads(printed)), module(torch.ones(3, 4)))


def test_safetensors_publish_again_under_the_same_digest(store, tmp_path):
    path = tmp_path / "prices.safetensors"
    export(store, "prices", "1.0", form="safetensors", output=path)
    again = publish(path, store=LocalStore(tmp_path / "store"), name="prices", version="1.0").version
    assert again.digest == store.get("prices", "1.0").digest
    assert again.golden_path.read_bytes().count(b"body_base64") == 1


def test_nothing_is_overwritten_unless_forced(store, tmp_path):
    path = tmp_path / "deep" / "numbers.pt"
    export(store, "numbers", "1.0", form="torchscript", output=path)
    path.write_bytes(b"mine")
    with pytest.raises(ExportError, match=r"numbers.pt is there already; give --force"):
        export(store, "numbers", "1.0", form="torchscript", output=path)
    assert path.read_bytes() == b"mine"
    path.unlink()
    with pytest.raises(ExportError, match=r"numbers.pt.json is there already"):
        export(store, "numbers", "1.0", form="torchscript", output=path)
    result = export(store, "numbers", "1.0", form="torchscript", output=path, force=True)
    assert result.files[path] == sha256_of(path)


def test_what_came_while_it_was_verified_is_not_overwritten(store, tmp_path, monkeypatch):
    path = tmp_path / "numbers.pt"
    monkeypatch.setattr(to_torchscript, "problems", lambda source, file: path.write_bytes(b"mine") and [])
    with pytest.raises(ExportError, match="is there already"):
        export(store, "numbers", "1.0", form="torchscript", output=path)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("form", "maker"), [("onnx", to_onnx), ("torchscript", to_torchscript)])
def test_a_form_that_answers_otherwise_is_refused_and_leaves_nothing(
    store, tmp_path, monkeypatch, form, maker
):
    """Here the form is of another module: the fault that the check is for."""
    write = maker.write

    def write_another(source, path):
        for parameter in source.module.parameters():
            parameter.add_(0.5)
        write(source, path)
        for parameter in source.module.parameters():
            parameter.sub_(0.5)

    monkeypatch.setattr(maker, "write", write_another)
    with pytest.raises(
        ExportError, match="answers otherwise than the version; nothing was written"
    ) as caught:
        export(store, "pets", "1.0", form=form, output=tmp_path / "pets.out")
    assert any(problem.startswith("example 0: $.") for problem in caught.value.problems)
    assert any(problem.startswith("3 rows at once") for problem in caught.value.problems)
    assert not list(tmp_path.iterdir())


def publish_own(module_class, name, tmp_path, task=None):
    """Publish a module that has one argument, `size`, and takes rows of that length, or what the task says."""
    register_architecture(name, input_shape=lambda config: (config.size,))(module_class)
    path = save_checkpoint(
        tmp_path / f"{name}.pt",
        module_class(4),
        architecture=name,
        config={"size": 4},
        task=task or TensorTask(),
    )
    store = LocalStore(tmp_path / "store")
    publish(path, store=store, name="own", version="1.0")
    return store


class RowByRow(torch.nn.Module):
    """Computes each row in a loop, which a recording holds as often as it saw it go round."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(size, 2)

    def forward(self, x):
        return torch.stack([self.layer(row) for row in x])


def test_a_module_that_cannot_be_recorded_is_refused_with_the_reason(tmp_path):
    store = publish_own(RowByRow, "row_by_row", tmp_path)
    for form in ("torchscript", "onnx"):
        with pytest.raises(ExportError, match=f"own 1.0 as {form} .*nothing was written") as caught:
            export(store, "own", "1.0", form=form, output=tmp_path / "out" / form)
        assert caught.value.problems
        assert not list((tmp_path / "out").iterdir())


class OneSize(torch.nn.Module):
    """Gives logits of half the image's size, which it works out in Python: a recording has it as a constant."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, size, padding="same")

    def forward(self, images):
        size = (int(images.shape[2]) // 2, int(images.shape[3]) // 2)
        return torch.nn.functional.interpolate(self.layer(images), size=size)


@pytest.mark.filterwarnings("ignore:Using padding=.same.:UserWarning")
def test_a_segmenter_that_was_recorded_for_one_size_is_refused(tmp_path):
    task = ImageSegmentationTask(labels=["background", "cat"], resize=64)
    store = publish_own(OneSize, "one_size", tmp_path, task)
    for form in ("torchscript", "mar"):
        with pytest.raises(ExportError, match="answers otherwise than the version") as caught:
            export(store, "own", "1.0", form=form, output=tmp_path / "out" / form)
        assert any("1 rows at once with a width of 56" in problem for problem in caught.value.problems)
    assert not list((tmp_path / "out").iterdir())


class FindsOne(torch.nn.Module):
    """Takes a list of images and gives a list of dicts, as torchvision's detection models do."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = torch.nn.Parameter(torch.full((1,), 1 / size))

    def forward(self, images):
        boxes, labels = torch.tensor([[0.0, 0.0, 8.0, 9.0]]), torch.ones(1, dtype=torch.int64)
        return [{"boxes": boxes, "labels": labels, "scores": self.score} for _ in images]


def test_a_module_that_takes_more_than_a_tensor_is_exported_as_tensors_alone(tmp_path):
    task = ObjectDetectionTask(labels=["background", "cat"], score_threshold=0.1)
    store = publish_own(FindsOne, "finds_one", tmp_path, task)
    for form in ("onnx", "torchscript", "mar"):
        with pytest.raises(
            ExportError, match=r"task object_detection: its module .*; export it as safetensors"
        ):
            export(store, "own", "1.0", form=form, output=tmp_path / "out" / form)
    export(store, "own", "1.0", form="safetensors", output=tmp_path / "out" / "own.safetensors")
    about = json.loads((tmp_path / "out" / "own.safetensors.json").read_text())
    assert (about["input"], about["task"]) == (None, "object_detection")


def test_versions_that_are_absent_or_changed_are_refused(store, tmp_path):
    with pytest.raises(VersionNotFoundError, match=r"There is no version 2\.0"):
        export(store, "pets", "2.0", form="onnx", output=tmp_path / "x.onnx")
    copy = LocalStore(tmp_path / "store")
    path = store.get("numbers", "1.0").checkpoint_path
    publish(path, store=copy, name="numbers", version="1.0")
    file = copy.get("numbers", "1.0").checkpoint_path
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(VersionFolderError, match="SHA-256"):
        export(copy, "numbers", "1.0", form="safetensors", output=tmp_path / "x.safetensors")
    with pytest.raises(ExportError, match="'gguf' is no form of export; expected one of onnx, torchscript"):
        export(store, "pets", "1.0", form="gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_an_absent_extra_says_what_to_install(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match=r"onnxscript: install them with pip install -e '\.\[export\]'"):
        export(store, "pets", "1.0", form="onnx", output=tmp_path / "pets.onnx")


def test_every_form_has_a_maker_and_a_suffix():
    suffixes = {str(form): import_module(f"statehouse.scripts.export.to_{form}").SUFFIX for form in Form}
    assert suffixes == SUFFIXES


def test_the_command_says_what_it_wrote_and_what_it_did_not(store, tmp_path):
    folder, output = store.folder.parent, str(tmp_path / "numbers.pt")
    command = ("export", "numbers", "1.0", "--to", "torchscript", "--output", output)
    done = run_statehouse(folder, *command)
    assert done.returncode == 0, done.stderr
    assert f"{output}  (" in done.stdout
    assert "answers 1 golden examples as the version does, within 0.0001" in done.stdout
    again = run_statehouse(folder, *command, "--json")
    assert again.returncode == 1
    assert "is there already; give --force" in json.loads(again.stdout)["message"]
