"""docs/checkpoints.md and architectures.md: tables have every field there is; examples save what could be published.

docs/training.md: its examples run, and print what stands below them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from statehouse.models import (
    CategoricalFeature,
    ImageClassificationTask,
    ImageSegmentationTask,
    NumericFeature,
    ObjectDetectionTask,
    TabularTask,
    TensorTask,
    get_architecture,
    load_checkpoint,
)
from statehouse.models.tasks.config import TaskConfig

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "checkpoints.md").read_text()
TABLES = TEXT + (DOCS / "architectures.md").read_text()
DOCUMENTED = {
    "| `simple_net` |": [get_architecture("simple_net").config_class],
    "| `mlp` |": [get_architecture("mlp").config_class],
    "| `convnet` |": [get_architecture("convnet").config_class],
    "| every task |": [TaskConfig],
    "| `TensorTask`, `tensor` |": [TensorTask],
    "| `TabularTask`, `tabular` |": [TabularTask],
    "| `ImageClassificationTask`, `image_classification` |": [ImageClassificationTask],
    "| `ObjectDetectionTask`, `object_detection` |": [ObjectDetectionTask],
    "| `ImageSegmentationTask`, `image_segmentation` |": [ImageSegmentationTask],
    "| feature |": [NumericFeature, CategoricalFeature],
}


@pytest.mark.parametrize("heading", DOCUMENTED)
def test_every_field_is_in_its_table_and_nothing_else(heading: str) -> None:
    table = TABLES[TABLES.index(heading) :].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = set(re.findall(r"`([a-z_]+)`", " ".join(first_cells)))
    assert named == {field for model in DOCUMENTED[heading] for field in fields_of(model)}


def fields_of(model: type[BaseModel]) -> set[str]:
    shared = set() if model is TaskConfig else set(TaskConfig.model_fields)
    return set(model.model_fields) - {"task", "type"} - shared


def test_the_examples_save_checkpoints_that_describe_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        exec(block, {})
    for name in ("prices.pt", "pets.safetensors"):
        checkpoint = load_checkpoint(name)
        assert checkpoint.header.task
        assert checkpoint.build()


def test_the_training_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "training.md").read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "python", ""]
    resuming, pretrained, shown = (block for _, block in blocks)
    exec(resuming, {})
    exec(resuming, {})  # resumes at its end
    capsys.readouterr()
    exec(pretrained, {})
    assert capsys.readouterr().out == shown
