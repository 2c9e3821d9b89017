"""docs/text.md: its tables have every field there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from statehouse.models import EmbeddingTask, TextClassificationTask, TokenClassificationTask, get_architecture
from statehouse.models.tasks.config import TaskConfig
from statehouse.models.tasks.text import TextTask

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "text.md").read_text()
TEXT_FIELDS = set(TextTask.model_fields)
SHARED = set(TextTask.model_fields) - set(
    TaskConfig.model_fields
)  # docs/checkpoints.md has those of all tasks
DOCUMENTED = {
    "| `TextBag`, `text_bag` |": set(get_architecture("text_bag").config_class.model_fields),
    "| every task here |": SHARED,
    "| `TextClassificationTask`, `text_classification` |": set(TextClassificationTask.model_fields)
    - TEXT_FIELDS,
    "| `EmbeddingTask`, `embedding` |": set(EmbeddingTask.model_fields) - TEXT_FIELDS,
    "| `TokenClassificationTask`, `token_classification` |": set(TokenClassificationTask.model_fields)
    - TEXT_FIELDS,
}


@pytest.mark.parametrize("heading", DOCUMENTED)
def test_every_field_is_in_its_table_and_nothing_else(heading: str) -> None:
    table = TEXT[TEXT.index(heading) :].partition("\n\n")[0]
    named = {re.findall(r"`([a-z_]+)`", line.split("|")[1])[0] for line in table.splitlines()[2:]}
    assert named == DOCUMENTED[heading] - {"task"}
