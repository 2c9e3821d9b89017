"""Folders with quantised weights, named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statehouse.models.errors import CheckpointUnreadableError
from statehouse.models.foreign.quantised_folder import refuse_quantised

FOLDER = Path("/a b/model")


def told(**config: Any) -> list[str]:
    with pytest.raises(CheckpointUnreadableError) as caught:
        refuse_quantised(FOLDER, config)
    return str(caught.value).split("\n")


def settings(method: object) -> dict[str, object]:
    return {"quant_method": method}


@pytest.mark.parametrize(
    ("config", "back"),
    [
        ({"quantization_config": settings("bitsandbytes")}, "model = model.dequantize()"),
        ({"quantization_config": {"load_in_8bit": True}}, "model = model.dequantize()"),
        (
            {"quantization_config": settings("torchao")},
            "model.hf_quantizer.remove_quantization_config(model)",
        ),
    ],
)
def test_the_lines_make_floats_of_it(config: dict[str, Any], back: str) -> None:
    first, *lines = told(**config, architectures=["BertForSequenceClassification"])
    assert first.endswith("then publish the folder whole:")
    lines = [line.strip() for line in lines]  # as inspect lists them
    assert back in lines
    assert lines[1] == "from transformers import AutoTokenizer, BertForSequenceClassification as Model"
    assert lines[2] == "model = Model.from_pretrained('/a b/model')"
    compile("\n".join(lines), "pasted", "exec")


@pytest.mark.parametrize(
    ("method", "name"), [("gptq", "GPTQ"), ("awq", "AWQ"), ("x\x1b" + "y" * 90, "'x\\x1b")]
)
def test_without_a_way_back_the_origin_is_named(method: str, name: str) -> None:
    (line,) = told(quantization_config=settings(method), _name_or_path="meta/Original")
    assert f"is quantised by {name}" in line
    assert line.endswith("publish the model that it was made from ('meta/Original', says config.json)")
    assert len(line) < 300


@pytest.mark.parametrize("named", [None, "x", [], [3], ["os; import x"], ["a\nb"]])
def test_only_a_name_becomes_code(named: object) -> None:
    lines = told(quantization_config=settings("bitsandbytes"), architectures=named)
    assert "from transformers import AutoTokenizer, AutoModel as Model" in lines[2]


@pytest.mark.parametrize("config", [{}, {"quantization_config": None}, {"quantization_config": {}}])
def test_a_model_of_floats_is_let_through(config: dict[str, Any]) -> None:
    refuse_quantised(FOLDER, config)
