"""The configs of tasks whose rows are texts."""

from __future__ import annotations

import hashlib

import pytest

from statehouse.models.errors import TaskConfigError
from statehouse.models.tasks import text as text_module
from statehouse.models.tasks.text import EmbeddingTask, TextClassificationTask, TokenClassificationTask

READS = {"tokenizer": "{}", "max_tokens": 8}


def test_a_tokenizer_is_told_by_its_digest():
    task = EmbeddingTask(tokenizer='{"ä": 1}', max_tokens=8)
    content = '{"ä": 1}'.encode()
    facts = task.to_facts()
    assert facts["tokenizer"] == {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    assert facts | {"tokenizer": '{"ä": 1}'} == task.to_plain()


def test_a_tokenizer_has_a_largest_size_in_bytes(monkeypatch):
    monkeypatch.setattr(text_module, "MAX_TOKENIZER_BYTES", 4)
    assert EmbeddingTask(tokenizer="ää", max_tokens=8).tokenizer == "ää"
    with pytest.raises(
        TaskConfigError, match=r"tokenizer has 5 bytes; expected a tokenizer.json of at most 4"
    ):
        EmbeddingTask(tokenizer="ääx", max_tokens=8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokenizer": ""}, {"max_tokens": 0}, {"max_tokens": 32_769}, {"too_long": "cut"}, {"max_characters": 0},
        {"pad_token_id": -1}, {"pooling": "sum"},
    ],
)  # fmt: skip
def test_what_no_text_task_can_have_is_refused(wrong):
    with pytest.raises(TaskConfigError) as caught:
        EmbeddingTask(**READS | wrong)
    [problem] = caught.value.problems
    assert problem.startswith(f"{next(iter(wrong))}: got ")


@pytest.mark.parametrize("kind", [TextClassificationTask, TokenClassificationTask])
def test_labels_differ(kind):
    assert kind(**READS, labels=["a", "b"]).labels == ["a", "b"]
    with pytest.raises(TaskConfigError, match="labels must differ from each other; repeated: a"):
        kind(**READS, labels=["a", "b", "a"])
    with pytest.raises(TaskConfigError, match="labels"):
        kind(**READS, labels=[])


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_is_a_share(threshold):
    with pytest.raises(TaskConfigError, match="threshold"):
        TextClassificationTask(**READS, labels=["a"], threshold=threshold)


def test_of_tokens_what_is_no_name_is_not_told_unless_asked():
    assert TokenClassificationTask(**READS, labels=["O", "B-PER"]).ignored_labels == ["O"]
    assert TokenClassificationTask(**READS, labels=["O"], ignored_labels=[]).ignored_labels == []
