"""The forms in which a client writes a text, a pair of texts, and the name of a prompt."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from text_nets import tokenizer

from statehouse.handlers.errors import InvalidInputError
from statehouse.handlers.text.given import GivenText, TextForm
from statehouse.models import EmbeddingTask, TextClassificationTask

PROMPTS = {"query": "find: ", "plain": ""}
SAID = {"tokenizer": tokenizer(), "max_tokens": 12, "max_characters": 9}
FORMS = {
    "text": TextForm(EmbeddingTask(**SAID)),
    "prompts": TextForm(EmbeddingTask(**SAID, prompts=PROMPTS)),
    "default": TextForm(EmbeddingTask(**SAID, prompts=PROMPTS, default_prompt="query")),
    "pairs": TextForm(TextClassificationTask(**SAID, labels=["a"], pairs=True)),
    "both": TextForm(
        TextClassificationTask(**SAID, labels=["a"], pairs=True, prompts=PROMPTS, default_prompt="query")
    ),
}

TAKEN: list[tuple[str, Any, GivenText]] = [
    ("text", "red", GivenText("red")),
    ("prompts", "red", GivenText("red")),
    ("prompts", {"text": "red"}, GivenText("red")),
    ("prompts", {"text": "red", "prompt": "query"}, GivenText("red", None, "find: ")),
    ("default", "red", GivenText("red", None, "find: ")),
    ("default", {"text": "red", "prompt": "plain"}, GivenText("red")),
    ("pairs", ["red", "blue"], GivenText("red", "blue")),
    ("pairs", {"text_pair": "blue", "text": "red"}, GivenText("red", "blue")),
    ("both", ["red", "blue"], GivenText("red", "blue", "find: ")),
    ("both", {"text": "red", "text_pair": "blue", "prompt": "plain"}, GivenText("red", "blue")),
]


@pytest.mark.parametrize(("form", "value", "given"), TAKEN)
def test_what_is_taken_is_as_the_schema_says(form: str, value: Any, given: GivenText) -> None:
    assert FORMS[form].read(value) == given
    assert Draft202012Validator(FORMS[form].schema()).is_valid(value)


REFUSED: list[tuple[str, Any, str]] = [
    ("text", {"text": "red"}, "is an object; expected a text."),
    ("text", ["red", "blue"], "is a list; expected a text."),
    ("prompts", 5, '5 is a number; expected a text, or {"text": "…"}, and perhaps "prompt".'),
    ("prompts", {"prompt": "query"}, "'text' is missing"),
    ("prompts", {"text": "red", "text_pair": "blue"}, "'text_pair' is unknown"),
    (
        "prompts",
        {"text": "red", "prompt": "passage"},
        "prompt 'passage' is unknown; expected one of query, plain.",
    ),
    ("prompts", {"text": "red", "prompt": None}, "expected one of query, plain."),
    ("prompts", {"text": "red", "prompt": ["query"]}, "expected one of query, plain."),
    ("prompts", {"text": 5}, "5 is a number; expected a text."),
    ("pairs", "red", "expected a pair of texts"),
    ("pairs", ["red"], "expected a pair of texts"),
    ("pairs", ["red", "blue", "sky"], "expected a pair of texts"),
    ("pairs", ["red", 5], "5 is a number; expected a text."),
    ("pairs", {"text": "red"}, "'text_pair' is missing"),
    ("pairs", {"text": "red", "text_pair": "blue", "prompt": "query"}, "'prompt' is unknown"),
    ("pairs", ["red", "0123456789"], "10 characters; at most 9"),
]


@pytest.mark.parametrize(("form", "value", "reason"), REFUSED)
def test_what_is_refused_is_not_as_the_schema_says(form: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        FORMS[form].read(value)
    assert reason in caught.value.detail
    assert not Draft202012Validator(FORMS[form].schema()).is_valid(value)


def test_a_list_is_several_rows_but_for_the_two_texts_of_a_pair() -> None:
    assert FORMS["text"].is_several(["red", "blue"])
    assert FORMS["pairs"].is_several([["red", "blue"], {"text": "red", "text_pair": "blue"}])
    assert not FORMS["pairs"].is_several(["red", "blue"])
    assert not FORMS["pairs"].is_several({"text": "red", "text_pair": "blue"})


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_again(form: str) -> None:
    for prompt in (None, *FORMS[form].prompts):
        given = FORMS[form].read(FORMS[form].write("red", "blue", prompt))
        assert (given.text, given.second) == ("red", "blue" if FORMS[form].pairs else None)
        if prompt is not None:
            assert given.prompt == PROMPTS[prompt]
