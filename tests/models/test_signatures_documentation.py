"""docs/signatures.md: its programs run, and what they write is served as it says."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from statehouse.handlers.base import CheckpointHandler
from statehouse.models import load_checkpoint
from statehouse.models.tasks.kinds import registered_inputs, registered_outputs

TEXT = (Path(__file__).resolve().parents[2] / "docs/signatures.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def run(program: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "signatures_documentation"}
    exec(compile(program, "docs/signatures.md", "exec"), names)
    return names


def test_the_first_program_writes_a_checkpoint_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(PROGRAMS[0].replace('"photo_and_patient"', '"documented_photo_and_patient"'))
    handler = CheckpointHandler.from_checkpoint(load_checkpoint("skin.pt"))
    [response] = handler.answer([handler.make_example()])
    assert json.loads(response.body).keys() == {"risk", "vector"}


def test_the_kinds_of_ones_own_work() -> None:
    run(
        PROGRAMS[1]
        .replace('"waveform"', '"documented_waveform"')
        .replace('"percent"', '"documented_percent"')
    )
    kind = registered_inputs()["documented_waveform"][1](samples=4)  # type: ignore[call-arg]
    assert kind.decode(kind.example(np.random.default_rng(0))).shape == (4,)
    assert registered_outputs()["documented_percent"][1]().encode(np.array([0.25])) == "25 %"


def test_scalers_and_transforms_become_fields() -> None:
    importlib.import_module(
        "statehouse.models.libraries.torchvision"
    )  # defines what torchvision's import needs
    found = run(PROGRAMS[2])
    assert [each["name"] for each in found["features"]] == ["age", "height"]
    assert (found["image"]["resize"], found["image"]["height"]) == (256, 224)


def test_each_padding_and_source_that_is_shown_is_plain_json() -> None:
    for block in re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
        assert json.loads(block)["pad"].keys() == {"value", "side", "mask", "length"}
