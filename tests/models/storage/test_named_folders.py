"""Folders of training tools, named for what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from statehouse.models import load_checkpoint
from statehouse.models.errors import CheckpointUnreadableError

ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "a/base", "task_type": "SEQ_CLS"}


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def adapter(folder: Path, rows: int = 3, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**ADAPTER, **changes}))
    names = ("bert.query.lora_A.weight", "classifier.weight")
    held = {f"base_model.model.{name}": torch.ones(rows, 4) for name in names}
    save_file(held, folder / "adapter_model.safetensors")
    return folder


def told(path: Path) -> list[str]:
    with pytest.raises(CheckpointUnreadableError) as caught:
        load_checkpoint(path)
    first, *lines = str(caught.value).split("\n")
    return [first.removeprefix(f"{path}: "), *(line.strip() for line in lines)]


@pytest.mark.parametrize("name", ["", "adapter_model.safetensors"])
def test_an_adapter_is_merged_into_its_base(tmp_path: Path, name: str) -> None:
    folder = adapter(tmp_path / "adapter")
    first, *lines = told(folder / name)
    assert first == (
        "is a PEFT adapter (LORA, of 'a/base'), which holds no model; "
        "run this in Python, then publish the folder merged:"
    )
    assert lines == [
        "from peft import AutoPeftModelForSequenceClassification",
        f"model = AutoPeftModelForSequenceClassification.from_pretrained({str(folder)!r}, num_labels=3)",
        'model.merge_and_unload().save_pretrained("merged")',
        "from transformers import AutoTokenizer",
        "AutoTokenizer.from_pretrained('a/base').save_pretrained(\"merged\")",
    ]
    compile("\n".join(lines), "pasted", "exec")


def test_an_adapter_s_own_tokenizer_goes_first(tmp_path: Path) -> None:
    folder = made(adapter(tmp_path / "adapter"), "tokenizer_config.json")
    assert told(folder)[-1].startswith(f"AutoTokenizer.from_pretrained({str(folder)!r})")


def test_of_no_task_the_general_class_is_named(tmp_path: Path) -> None:
    lines = told(adapter(tmp_path / "adapter", task_type=None))
    assert lines[1] == "from peft import AutoPeftModel"
    assert "num_labels" not in "".join(lines)
    assert "AutoTokenizer" not in "".join(lines)


@pytest.mark.parametrize("base", ["", None])
def test_without_a_base_s_name_it_is_asked_for(tmp_path: Path, base: str | None) -> None:
    folder = adapter(tmp_path / "adapter", base_model_name_or_path=base)
    first, *lines = told(folder)
    assert "of a model that it does not name" in first
    assert "with what it was trained on for BASE" in first
    assert lines == [
        "from peft import PeftModel",
        "from transformers import AutoModelForSequenceClassification",
        "base = AutoModelForSequenceClassification.from_pretrained('BASE', num_labels=3)",
        f"model = PeftModel.from_pretrained(base, {str(folder)!r})",
        'model.merge_and_unload().save_pretrained("merged")',
        "from transformers import AutoTokenizer",
        "AutoTokenizer.from_pretrained('BASE').save_pretrained(\"merged\")",
    ]
    compile("\n".join(lines), "pasted", "exec")


def test_what_cannot_be_merged_is_said(tmp_path: Path) -> None:
    assert (
        "PREFIX_TUNING has no weights that could be merged"
        in told(adapter(tmp_path / "adapter", peft_type="PREFIX_TUNING"))[0]
    )


def test_nothing_of_an_adapter_is_shown_raw(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", base_model_name_or_path="x\x1b[31m\ny'; import os" + "z" * 1000)
    text = "".join(told(folder))
    assert "\x1b" not in text
    assert len(text) < 1500
    compile("\n".join(told(folder)[1:]), "pasted", "exec")
    assert "import os" not in [line.strip() for line in told(folder)]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000])
def test_a_broken_adapter_is_one_still(tmp_path: Path, content: bytes) -> None:
    folder = made(tmp_path / "adapter", "adapter_model.safetensors")
    (folder / "adapter_config.json").write_bytes(content)
    assert told(folder)[0].startswith("is a PEFT adapter (no kind said, of a model that it does not name)")


def test_parts_of_deepspeed_are_put_together_by_its_script(tmp_path: Path) -> None:
    step = "global_step500/"
    folder = made(
        tmp_path / "a run",
        "latest",
        "zero_to_fp32.py",
        step + "mp_rank_00_model_states.pt",
        step + "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt",
    )
    first, line = told(folder)
    assert first.startswith("is a checkpoint of DeepSpeed: each process has a part of the weights")
    assert line == f"python '{folder}/zero_to_fp32.py' '{folder}' whole --safe_serialization"
    assert told(folder / step)[1] == f"{line} --tag global_step500"


def test_deepspeed_without_zero_has_whole_weights(tmp_path: Path) -> None:
    folder = made(tmp_path, "latest", "global_step5/mp_rank_00_model_states.pt")
    assert told(folder) == ["is a checkpoint of DeepSpeed without ZeRO; name what its global_step5 holds"]
    torch.save({"model_state_dict": {"a": torch.ones(2)}}, folder / "global_step5/mp_rank_00_model_states.pt")
    assert load_checkpoint(folder / "global_step5").state_dict.keys() == {"a"}


def test_the_checkpoints_of_a_run_are_listed(tmp_path: Path) -> None:
    folder = made(
        tmp_path, *(f"checkpoint-{step}/model.safetensors" for step in (500, 1000, 50)), "checkpoint-x/a"
    )
    assert told(folder) == [
        "is a run of Hugging Face's Trainer; name one of its checkpoints: "
        "checkpoint-1000, checkpoint-500, checkpoint-50"
    ]
    made(tmp_path, *(f"checkpoint-{step}/model.safetensors" for step in range(1, 9)))
    assert told(folder)[0].endswith("and 3 more")


def test_a_gguf_is_named(tmp_path: Path) -> None:
    assert told(made(tmp_path, "q4.gguf"))[0].startswith("holds a .gguf")


@pytest.mark.parametrize(
    "beside", ["adapter_config.json", "zero_to_fp32.py", "checkpoint-500/a", "q4.gguf", "optimizer.bin"]
)
def test_a_folder_with_weights_is_read(tmp_path: Path, beside: str) -> None:
    made(tmp_path, beside, "random_states_0.pkl", "scheduler.bin")
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path).state_dict.keys() == {"a"}
