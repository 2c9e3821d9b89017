"""What sentence-transformers' own files say; tests/scripts/publishing has how it is applied."""

from __future__ import annotations

from typing import Any

import pytest

from statehouse.models.foreign.sentence_transformers import (
    is_cross_encoder,
    outputs_of,
    prompt_fields,
    truncation_fields,
)

IDENTITY = "torch.nn.modules.linear.Identity"
ACTIVATIONS = "torch.nn.modules.activation."


@pytest.mark.parametrize(
    ("settings", "always", "fields"),
    [
        ({}, ("query",), {}),
        ({"prompts": {"query": "", "document": None}, "default_prompt_name": None}, (), {}),
        ({"prompts": {"query": ""}, "default_prompt_name": "query"}, (), {}),
        ({"prompts": {"find": "f: "}}, ("query",), {"prompts": {"query": "", "find": "f: "}}),
        (
            {"prompts": {"query": "q: ", "document": None}, "default_prompt_name": "document"},
            (),
            {"prompts": {"query": "q: ", "document": ""}, "default_prompt": "document"},
        ),
    ],
)
def test_prompts_are_kept_where_one_has_a_word(
    settings: dict[str, Any], always: tuple[str, ...], fields: dict[str, Any]
) -> None:
    problems: list[str] = []
    assert prompt_fields(settings, problems, always=always) == fields
    assert problems == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"prompts": ["query"]}, "prompts is ['query']; expected texts by name"),
        ({"prompts": {"query": 3}}, "expected texts by name"),
        ({"prompts": {"query": "q"}, "default_prompt_name": "passage"}, "expected one of query"),
        ({"default_prompt_name": "passage"}, "expected one of none"),
        ({"prompts": {"query": "q"}, "default_prompt_name": ["query"]}, "expected one of query"),
    ],
)
def test_prompts_that_cannot_be_are_told(settings: dict[str, Any], reason: str) -> None:
    problems: list[str] = []
    prompt_fields(settings, problems)
    assert reason in problems[0]


@pytest.mark.parametrize("size", [0, -3, True, 2.5, "5"])
def test_a_cut_is_a_whole_number(size: object) -> None:
    problems: list[str] = []
    assert truncation_fields({"truncate_dim": size}, problems) == {}
    assert "truncate_dim is" in problems[0]
    assert truncation_fields({"truncate_dim": 5}, []) == {"truncate_dim": 5}
    assert truncation_fields({}, []) == {}


@pytest.mark.parametrize(
    ("config", "settings", "marked"),
    [
        ({}, {}, False),
        ({}, {"model_type": "SentenceTransformer"}, False),
        ({}, {"model_type": "CrossEncoder"}, True),
        ({"sentence_transformers": {"version": "4.0.0"}}, {}, True),
        ({"sbert_ce_default_activation_function": IDENTITY}, {}, True),
    ],
)
def test_a_cross_encoder_is_marked(config: dict[str, Any], settings: dict[str, Any], marked: bool) -> None:
    assert is_cross_encoder(config, settings) == marked


@pytest.mark.parametrize(
    ("config", "settings", "labels", "fields"),
    [
        ({}, {}, 1, {"outputs": "logits", "multi_label": False}),
        ({}, {}, 3, {"outputs": "values"}),
        ({}, {"activation_fn": IDENTITY}, 1, {"outputs": "values"}),
        ({"sentence_transformers": {"activation_fn": IDENTITY}}, {}, 1, {"outputs": "values"}),
        ({"sbert_ce_default_activation_function": IDENTITY}, {}, 1, {"outputs": "values"}),
        ({}, {"activation_fn": f"{ACTIVATIONS}Sigmoid"}, 3, {"outputs": "logits", "multi_label": True}),
        ({}, {"activation_fn": f"{ACTIVATIONS}Softmax"}, 3, {"outputs": "logits"}),
    ],
)
def test_scores_are_as_the_activation_says(
    config: dict[str, Any], settings: dict[str, Any], labels: int, fields: dict[str, Any]
) -> None:
    problems: list[str] = []
    assert outputs_of(config, settings, labels, problems) == fields
    assert problems == []


@pytest.mark.parametrize(("activation", "labels"), [("Tanh", 1), ("Softmax", 1), ("evil.Net", 2)])
def test_another_activation_is_refused(activation: str, labels: int) -> None:
    problems: list[str] = []
    assert outputs_of({}, {"activation_fn": f"{ACTIVATIONS}{activation}"}, labels, problems) == {}
    assert "expected Identity, Sigmoid, or of several labels Softmax" in problems[0]
