"""What sentence-transformers says of a folder in files of its own: prompts, how an embedding is cut, activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SETTINGS_FILE = "config_sentence_transformers.json"

_IDENTITY, _SIGMOID, _SOFTMAX = "Identity", "Sigmoid", "Softmax"


def prompt_fields(
    settings: Mapping[str, Any], problems: list[str], *, always: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the task's fields of the prompts: all of them, and `always` as empty ones; none where none has a word."""
    prompts, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        problems.append(f"{SETTINGS_FILE}: prompts is {prompts!r}; expected texts by name")
        return {}
    named = dict.fromkeys(always, "") | {name: text or "" for name, text in prompts.items()}
    if default is not None and (not isinstance(default, str) or default not in named):
        problems.append(
            f"{SETTINGS_FILE}: default_prompt_name is {default!r}; expected one of {', '.join(named) or 'none'}"
        )
    if not any(named.values()):
        return {}
    return {"prompts": named} | ({"default_prompt": default} if default is not None else {})


def truncation_fields(settings: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the task's field that says how many components of an embedding are kept."""
    size = settings.get("truncate_dim")
    if size is None:
        return {}
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        problems.append(f"{SETTINGS_FILE}: truncate_dim is {size!r}; expected a whole number of at least 1")
        return {}
    return {"truncate_dim": size}


def is_cross_encoder(config: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether a CrossEncoder saved the folder: each version of the library marks it in its own way."""
    return (
        settings.get("model_type") == "CrossEncoder"
        or isinstance(config.get("sentence_transformers"), dict)
        or "sbert_ce_default_activation_function" in config
    )


def outputs_of(
    config: Mapping[str, Any], settings: Mapping[str, Any], label_count: int, problems: list[str]
) -> dict[str, Any]:
    """Return the task's fields that make its scores what `CrossEncoder.predict` returns.

    Where no activation is said, one label's score is the sigmoid, and several labels' are the numbers themselves.
    """
    own = config.get("sentence_transformers")
    said = [
        settings.get("activation_fn"),
        own.get("activation_fn") if isinstance(own, dict) else None,
        config.get("sbert_ce_default_activation_function"),
    ]
    usual = _SIGMOID if label_count == 1 else _IDENTITY
    activation = next((str(each) for each in said if each is not None), usual).rpartition(".")[2]
    if activation == _IDENTITY:
        return {"outputs": "values"}
    if activation == _SIGMOID:
        return {"outputs": "logits", "multi_label": label_count > 1}
    if activation == _SOFTMAX and label_count > 1:
        return {"outputs": "logits"}
    problems.append(
        f"activation_fn: is {activation!r} of {label_count} labels; expected {_IDENTITY}, {_SIGMOID}, or of several "
        f"labels {_SOFTMAX}"
    )
    return {}
