"""Metadata as people have it is written as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path, PurePosixPath
from uuid import UUID

import numpy
import pytest
import torch

from statehouse.models import build_model, read_checkpoint_header, save_checkpoint
from statehouse.models.errors import CheckpointContentError
from statehouse.models.plain_metadata import MAX_ELEMENTS, as_plain

CONFIG = {"input_size": 4, "hidden_size": 8, "num_classes": 2}


class Split(Enum):
    TEST = "test"


@dataclass
class Run:
    rate: float
    where: PurePosixPath


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (torch.__version__, str(torch.__version__)),
        (numpy.float64(0.93), 0.93),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (numpy.array([[1.0, 0.5]]), [[1.0, 0.5]]),
        (torch.tensor(0.25), 0.25),
        (PurePosixPath("/data"), "/data"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Split.TEST, "test"),
        (Run(0.1, PurePosixPath("a")), {"rate": 0.1, "where": "a"}),
        ({"b", "a"}, ["a", "b"]),
        ((1, (2,)), [1, [2]]),
    ],
)
def test_it_has_a_plain_form(value: object, plain: object) -> None:
    found = as_plain({"it": value})
    assert found == {"it": plain}
    assert type(found["it"]) is type(plain)  # type: ignore[index]


def test_it_is_saved_and_read_again(tmp_path: Path) -> None:
    model = build_model("simple_net", CONFIG)
    path = tmp_path / "m.pt"
    about = {
        "torch_version": torch.__version__,
        "accuracy": numpy.float32(0.5),
        "data": tmp_path,
        "run": Run(1.0, PurePosixPath("x")),
    }
    save_checkpoint(path, model, architecture="simple_net", config=CONFIG, metadata=about)
    metadata = read_checkpoint_header(path).metadata
    assert metadata["accuracy"] == 0.5
    assert metadata["data"] == str(tmp_path)
    assert metadata["run"] == {"rate": 1.0, "where": "x"}


def test_what_has_no_plain_form_is_told_all_of_it(tmp_path: Path) -> None:
    model = build_model("simple_net", CONFIG)
    about = {"a": object(), "b": {"c": b"x"}, "d": numpy.zeros(MAX_ELEMENTS + 1)}
    with pytest.raises(CheckpointContentError) as error:
        save_checkpoint(tmp_path / "m.pt", model, architecture="simple_net", config=CONFIG, metadata=about)
    assert [each.partition(":")[0] for each in error.value.problems] == [
        "metadata.a",
        "metadata.b.c",
        "metadata.d",
    ]
    assert not (tmp_path / "m.pt").exists()
