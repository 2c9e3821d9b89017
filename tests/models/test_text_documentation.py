"""docs/text.md: its tables have every field there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import EmbeddingTask, TextClassificationTask, TokenClassificationTask, get_architecture
from models.text_task import TextTask

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "text.md").read_text()
SHARED = set(TextTask.model_fields)
DOCUMENTED = {
    "| `TextBag`, `text_bag` |": set(get_architecture("text_bag").config_class.model_fields),
    "| every task here |": SHARED,
    "| `TextClassificationTask`, `text_classification` |": set(TextClassificationTask.model_fields) - SHARED,
    "| `EmbeddingTask`, `embedding` |": set(EmbeddingTask.model_fields) - SHARED,
    "| `TokenClassificationTask`, `token_classification` |": set(TokenClassificationTask.model_fields)
    - SHARED,
}


@pytest.mark.parametrize("heading", DOCUMENTED)
def test_every_field_is_in_its_table_and_nothing_else(heading: str) -> None:
    table = TEXT[TEXT.index(heading) :].partition("\n\n")[0]
    named = {re.findall(r"`([a-z_]+)`", line.split("|")[1])[0] for line in table.splitlines()[2:]}
    assert named == DOCUMENTED[heading] - {"task"}
