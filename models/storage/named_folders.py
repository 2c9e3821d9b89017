"""Folders of training tools that hold no model to serve: named for what they are, with the lines that make one."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from statehouse.models.errors import CheckpointUnreadableError, listed

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model"
MAX_JSON_BYTES = 4 * 1024 * 1024
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model-00001-", "pytorch_model-00001-")
# What PEFT calls a task, and the class that loads base and adapter at once.
_TASK_CLASSES = {
    "SEQ_CLS": "AutoPeftModelForSequenceClassification",
    "TOKEN_CLS": "AutoPeftModelForTokenClassification",
    "QUESTION_ANS": "AutoPeftModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoPeftModelForFeatureExtraction",
    "CAUSAL_LM": "AutoPeftModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoPeftModelForSeq2SeqLM",
}
_OF_TEXTS = frozenset({"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"})
# These put vectors before a model's inputs, or between its layers: there is no weight to merge them into.
_NEVER_MERGED = frozenset(
    {"PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "ADAPTION_PROMPT"}
)
_HEAD = re.compile(r"base_model\.model\.(?:.*\.)?(?:classifier|score|out_proj)\.weight")
_DEEPSPEED_STATES = "*mp_rank_*_model_states.pt"
_TRAINER_FOLDER = re.compile(r"checkpoint-(\d+)")
_MAX_LISTED = 8
_BASE = "BASE"  # in lines to paste, what the user is to fill in


def refuse_named_folder(path: Path) -> None:
    """Refuse a folder, or a file of one, that a tool has made and that is no whole model.

    Raises CheckpointUnreadableError: what it is, and what to run.
    """
    folder = path.parent if path.is_file() and path.name.startswith(f"{ADAPTER_WEIGHTS}.") else path
    if not folder.is_dir() or any(file.name.startswith(_WEIGHTS) for file in folder.iterdir()):
        return
    told = _adapter(folder) or _deepspeed(folder) or _run_of_trainer(folder) or _llama_cpp(folder)
    if told:
        raise CheckpointUnreadableError(listed(f"{path}: {told[0]}", told[1:]))


def _adapter(folder: Path) -> list[str] | None:
    if not (folder / ADAPTER_CONFIG).is_file():
        return None
    config = _json(folder / ADAPTER_CONFIG)
    kind, base, task = (
        _word(config.get(key)) for key in ("peft_type", "base_model_name_or_path", "task_type")
    )
    of = ascii(base) if base else "a model that it does not name"
    what = f"is a PEFT adapter ({kind or 'no kind said'}, of {of}), which holds no model"
    if kind in _NEVER_MERGED:
        return [
            f"{what}; {kind} has no weights that could be merged into one: train with LoRA to serve it here"
        ]
    labels = f", num_labels={count}" if (count := _head_rows(folder)) and task.endswith("_CLS") else ""
    lines = [*_loading(folder, base, task, labels), 'model.merge_and_unload().save_pretrained("merged")']
    if task in _OF_TEXTS:
        home = ascii(str(folder)) if (folder / "tokenizer_config.json").is_file() else ascii(base or _BASE)
        lines += [
            "from transformers import AutoTokenizer",
            f'AutoTokenizer.from_pretrained({home}).save_pretrained("merged")',
        ]
    fill = "" if base else f", with what it was trained on for {_BASE}"
    return [f"{what}; run this in Python{fill}, then publish the folder merged:", *lines]


def _loading(folder: Path, base: str, task: str, labels: str) -> list[str]:
    """Return the lines that load base and adapter: PEFT finds the base itself where the adapter names it."""
    loads = _TASK_CLASSES.get(task, "AutoPeftModel")
    if base:
        return [
            f"from peft import {loads}",
            f"model = {loads}.from_pretrained({str(folder)!a}{labels})",
        ]
    plain = loads.replace("AutoPeft", "Auto").removesuffix("ForFeatureExtraction")
    return [
        "from peft import PeftModel",
        f"from transformers import {plain}",
        f"base = {plain}.from_pretrained({_BASE!r}{labels})",
        f"model = PeftModel.from_pretrained(base, {str(folder)!a})",
    ]


def _head_rows(folder: Path) -> int | None:
    """Return how many classes the adapter's own head has: the base may be saved without one."""
    try:
        with safe_open(folder / f"{ADAPTER_WEIGHTS}.safetensors", framework="pt") as file:
            heads = [name for name in file.keys() if _HEAD.fullmatch(name)]  # noqa: SIM118 - is no dict
            shapes = [file.get_slice(name).get_shape() for name in heads]
    except (SafetensorError, OSError):
        return None
    return shapes[0][0] if len(shapes) == 1 and len(shapes[0]) == 2 else None


def _deepspeed(folder: Path) -> list[str] | None:
    steps = sorted(
        {file.parent for pattern in ("", "*/") for file in folder.glob(pattern + _DEEPSPEED_STATES)}
    )
    if not steps and not (folder / "zero_to_fp32.py").is_file():
        return None
    what = "is a checkpoint of DeepSpeed"
    if steps and not any(any(step.glob("*zero_pp_rank_*_optim_states.pt")) for step in steps):
        return None if steps == [folder] else [f"{what} without ZeRO; name what its {steps[-1].name} holds"]
    if steps == [folder]:
        tag, folder = f" --tag {shlex.quote(folder.name)}", folder.parent
    else:
        tag = ""
    script = folder / "zero_to_fp32.py"
    runs = shlex.quote(str(script)) if script.is_file() else "zero_to_fp32.py"
    where = "" if script.is_file() else " (DeepSpeed writes that script beside the checkpoint)"
    return [
        f"{what}: each process has a part of the weights; run this where DeepSpeed is installed{where}, then publish "
        "the folder whole:",
        f"python {runs} {shlex.quote(str(folder))} whole --safe_serialization{tag}",
    ]


def _run_of_trainer(folder: Path) -> list[str] | None:
    """Name the checkpoints in the folder of a run, the last one first."""
    found = [
        (int(match[1]), each.name)
        for each in folder.iterdir()
        if (match := _TRAINER_FOLDER.fullmatch(each.name)) and each.is_dir()
    ]
    if not found:
        return None
    names = [name for _, name in sorted(found, reverse=True)]
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return [
        f"is a run of Hugging Face's Trainer; name one of its checkpoints: {', '.join(names[:_MAX_LISTED])}{more}"
    ]


def _llama_cpp(folder: Path) -> list[str] | None:
    if not any(folder.glob("*.gguf")):
        return None
    return [
        "holds a .gguf, which is llama.cpp's own form, mostly quantised; publish the model that it was made from"
    ]


def _json(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_JSON_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _word(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""
