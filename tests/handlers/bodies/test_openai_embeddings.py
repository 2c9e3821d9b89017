"""OpenAI's form of asking for embeddings: what is read, what is answered, what is refused all at once."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from tests.handlers.test_text_rows import BAG, TEXTS, embedding

from statehouse.handlers.bodies.openai_embeddings import (
    EmbeddingsRequest,
    read_embeddings_request,
    write_embeddings,
)
from statehouse.handlers.errors import InvalidInputError, MalformedRequestError
from statehouse.handlers.request import Request
from statehouse.models.tasks.registry import TensorTask

SIMPLE_NET = {"input_size": 4, "hidden_size": 3, "num_classes": 2}


def read(document: Any) -> EmbeddingsRequest:
    return read_embeddings_request(Request(json.dumps(document).encode()), name="minilm", version="1.0")


@pytest.mark.parametrize("model", ["minilm", "minilm/1.0"])
def test_a_text_or_several(model: str) -> None:
    assert read({"model": model, "input": "a"}) == EmbeddingsRequest(["a"], False, None)
    asked = read(
        {"model": model, "input": ["a", "b"], "encoding_format": "base64", "dimensions": 3, "user": "u"}
    )
    assert asked == EmbeddingsRequest(["a", "b"], True, 3)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        read({"model": "gpt", "input": [[1, 2]], "encoding_format": "hex", "dimensions": "3", "size": 1})
    for expected in ("'size' is unknown", "model is 'gpt'", "hex", "dimensions is '3'", "token ids"):
        assert expected in raised.value.detail
    with pytest.raises(InvalidInputError, match=r"model is missing. input is missing"):
        read({})
    with pytest.raises(MalformedRequestError):
        read(["a"])


def test_vectors_are_answered_as_numbers_or_as_base64() -> None:
    vectors = np.array([[0.5, -1.0], [2.0, 3.0]])
    asked = EmbeddingsRequest(["a", "b"], as_base64=False, dimensions=2, token_count=7)
    document = json.loads(write_embeddings(asked, vectors, name="minilm").body)
    assert [each["embedding"] for each in document["data"]] == vectors.tolist()
    assert document["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    document = json.loads(write_embeddings(asked._replace(as_base64=True), vectors, name="minilm").body)
    decoded = [
        np.frombuffer(base64.b64decode(each["embedding"]), "<f4").tolist() for each in document["data"]
    ]
    assert decoded == vectors.tolist()
    with pytest.raises(InvalidInputError, match="vectors have 2"):
        write_embeddings(asked._replace(dimensions=3), vectors, name="minilm")


def test_a_handler_answers_texts_with_their_own_vectors_and_counts_their_tokens(make_handler: Any) -> None:
    handler = make_handler("text_bag", BAG, embedding(pooling="none"))
    handler.name = "minilm"
    texts = TEXTS[:2]
    body = json.dumps({"model": "minilm", "input": texts}).encode()
    [answer] = handler.answer([Request(body, form="openai")])
    assert answer.status == 200, answer.body
    document = json.loads(answer.body)
    usual = json.dumps({"inputs": texts}).encode()
    [plain] = handler.answer([Request(usual, "application/json")])
    wanted = [each["embedding"] for each in json.loads(plain.body)["predictions"]]
    assert np.allclose([each["embedding"] for each in document["data"]], wanted)
    one = json.loads(
        handler.answer([Request(json.dumps({"model": "minilm", "input": texts[0]}).encode(), form="openai")])[
            0
        ].body
    )
    assert document["usage"]["total_tokens"] > one["usage"]["total_tokens"] > 0


def test_a_task_without_vectors_says_so_in_openais_own_form(make_handler: Any) -> None:
    handler = make_handler("simple_net", SIMPLE_NET, TensorTask())
    body = json.dumps({"model": "x", "input": "a"}).encode()
    [answer] = handler.answer([Request(body, form="openai")])
    assert answer.status == 422
    document = json.loads(answer.body)
    assert "task is tensor" in document["detail"]
    assert document["error"]["message"] == document["detail"]
