"""What a classifier's outputs are found to be, and when nobody can tell."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from statehouse.handlers.pipeline.labels import class_outputs, multi_label_outputs
from statehouse.models import (
    NumericFeature,
    TabularTask,
    TextClassificationTask,
    load_checkpoint,
    register_architecture,
    save_checkpoint,
)
from statehouse.models.foreign.hugging_face import _meaning as meaning_of_folder
from statehouse.scripts.errors import PublishError
from statehouse.scripts.publishing import meaning
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore

ENDS = {
    "logits": lambda x: x,
    "probabilities": lambda x: x.softmax(1),
    "log_probabilities": lambda x: x.log_softmax(1),
    "sigmoid": torch.sigmoid,
}


@register_architecture("ends_test", input_shape=lambda config: (2,))
class Ends(nn.Module):
    """One layer, and what its outputs are made of."""

    def __init__(self, count: int, end: str) -> None:
        super().__init__()
        self.layer, self.end = nn.Linear(2, count), end

    def forward(self, x):
        return ENDS[self.end](self.layer(x))


FEATURES = [NumericFeature(name="x"), NumericFeature(name="y")]


@pytest.fixture
def saved(tmp_path: Path):
    def save(end: str, labels: list[str], *, count: int | None = None, **config: object) -> Path:
        torch.manual_seed(0)
        sizes = {"count": count or len(labels), "end": end}
        module = Ends(**sizes)
        with torch.no_grad():
            module.layer.weight.mul_(8)
        task = TabularTask(kind="classification", labels=labels, features=FEATURES, **config)
        path = tmp_path / f"{end}.pt"
        save_checkpoint(path, module, architecture="ends_test", config=sizes, task=task)
        return path

    return save


def published(path: Path, tmp_path: Path, **options: object):
    said: list[str] = []
    store = LocalStore(tmp_path / "store")
    result = publish(path, store=store, name="net", version="1.0", report=said.append, **options)
    return result.version, said


def answer(version) -> dict[str, float]:
    [example] = json.loads(version.golden_path.read_text())["examples"]
    return {each["label"]: each["score"] for each in example["response"]["top_k"]}


def expected(path: Path, version) -> np.ndarray:
    """The module's own outputs for the golden request, by torch alone."""
    import base64

    [example] = json.loads(version.golden_path.read_text())["examples"]
    row = json.loads(base64.b64decode(example["body_base64"]))["inputs"]
    with torch.no_grad():
        return load_checkpoint(path).build().eval()(torch.tensor([[row["x"], row["y"]]])).numpy()[0]


@pytest.mark.parametrize("end", ["probabilities", "log_probabilities"])
def test_outputs_that_are_probabilities_already_are_answered_as_they_are(saved, tmp_path, end):
    path = saved(end, ["a", "b", "c"])
    version, said = published(path, tmp_path)
    assert version.manifest.task_config["outputs"] == end
    assert any("probabilities already" in text for text in said)
    own = expected(path, version)
    own = np.exp(own) if end == "log_probabilities" else own
    assert list(answer(version).values()) == pytest.approx(sorted(own, reverse=True), abs=1e-6)


def test_logits_are_scored_by_the_softmax_and_keep_their_digest(saved, tmp_path):
    path = saved("logits", ["a", "b", "c"])
    version, said = published(path, tmp_path)
    assert "outputs" not in version.manifest.task_config
    assert version.digest == load_checkpoint(path).digest()
    assert not any("already" in text for text in said)
    own = torch.softmax(torch.from_numpy(expected(path, version)), 0)
    assert list(answer(version).values()) == pytest.approx(sorted(own.tolist(), reverse=True), abs=1e-6)


def test_whoever_says_logits_gets_the_softmax_of_whatever_it_is(saved, tmp_path):
    version, _ = published(saved("probabilities", ["a", "b", "c"], outputs="logits"), tmp_path)
    assert max(answer(version).values()) < 0.6


def test_one_logit_for_two_labels_is_the_score_of_the_second(saved, tmp_path):
    path = saved("logits", ["no", "yes"], count=1)
    version, _ = published(path, tmp_path)
    yes = 1 / (1 + np.exp(-expected(path, version)[0]))
    assert answer(version) == pytest.approx({"yes": yes, "no": 1 - yes}, abs=1e-6)


def test_one_logit_for_one_label_is_never_always_1(saved, tmp_path):
    path = saved("logits", ["yes"])
    version, _ = published(path, tmp_path)
    assert answer(version) == pytest.approx({"yes": 1 / (1 + np.exp(-expected(path, version)[0]))}, abs=1e-6)


@pytest.mark.parametrize("labels", [["no", "yes"], ["yes"]])
def test_one_output_within_0_and_1_is_asked_about(saved, tmp_path, labels):
    path = saved("sigmoid", labels, count=1)
    with pytest.raises(PublishError, match="nobody can tell") as caught:
        published(path, tmp_path)
    assert '{"outputs": "probabilities"}' in caught.value.problems[0]
    assert any("nobody can tell" in each for each in inspect(str(path), store=LocalStore(tmp_path)).problems)
    given = saved("sigmoid", labels, count=1, outputs="probabilities")
    version, _ = published(given, tmp_path)
    assert answer(version)["yes"] == pytest.approx(expected(given, version)[0], abs=1e-6)


@pytest.mark.parametrize(("shift", "asked"), [(0, True), (3, False)])
def test_labels_by_themselves_that_are_within_0_and_1_are_asked_about(shift, asked):
    task = TextClassificationTask(tokenizer="{}", max_tokens=4, labels=["a", "b"], multi_label=True)
    given = torch.tensor([[0.2, 0.9]]) + shift
    handler = SimpleNamespace(
        make_example=lambda seed: None, preprocess=lambda rows: rows, inference=lambda rows: given
    )
    checkpoint = SimpleNamespace(header=SimpleNamespace(task=task))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meaning, "decode", lambda request, handler: SimpleNamespace(rows=np.zeros(1)))
        _, _, problems = meaning.derive_meaning(checkpoint, handler, [])
    assert bool(problems) is asked


def test_inspect_says_what_publish_would_do(saved, tmp_path):
    found = inspect(str(saved("probabilities", ["a", "b", "c"])), store=LocalStore(tmp_path / "store"))
    assert found.would_load
    assert any("probabilities already" in note for note in found.notes)
    version, _ = published(saved("probabilities", ["a", "b", "c"]), tmp_path)
    assert found.facts["digest"] == version.digest


def test_the_same_checkpoint_is_published_once(saved, tmp_path):
    path = saved("probabilities", ["a", "b", "c"])
    published(path, tmp_path)
    again = publish(path, store=LocalStore(tmp_path / "store"), name="net", version="1.0")
    assert again.already_published


@pytest.mark.parametrize(
    ("meaning", "score"),
    [(None, 0.7310586), ("probabilities", 1.0), ("log_probabilities", np.e), ("values", 1.0)],
)
def test_each_label_by_itself(meaning, score):
    outputs = multi_label_outputs(torch.tensor([[1.0, -2.0]]), ["a", "b"], meaning)
    assert outputs["score"][0] == pytest.approx(score)


def test_a_score_that_is_the_number_itself_has_no_bounds():
    assert class_outputs(torch.tensor([[-3.25]]), ["score"], "values")["score"][0] == -3.25


@pytest.mark.parametrize(
    ("kind", "labels", "meaning"), [(None, 2, None), (None, 1, "logits"), ("regression", 1, "values")]
)
def test_a_hugging_face_folder_says_how_its_score_is_read(kind, labels, meaning):
    assert meaning_of_folder(kind, labels) == meaning
