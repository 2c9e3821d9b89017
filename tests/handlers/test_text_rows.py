"""Tasks with texts: how a text comes in, what the module gets, and what is answered."""

import json

import numpy as np
import orjson
import pytest
import torch
import tritonclient.http as triton
from text_nets import VOCABULARY, tokenizer

from statehouse.handlers.errors import ModuleMismatchError, OptimizationError
from statehouse.handlers.request import Request
from statehouse.handlers.text.modules import TextModule
from statehouse.handlers.text_rows import like_lengths
from statehouse.models import (
    EmbeddingTask,
    TextClassificationTask,
    TokenClassificationTask,
    import_architectures,
)

import_architectures(["text_nets"])

LABELS = ["colour", "thing", "neither"]
BAG = {"vocabulary_size": len(VOCABULARY), "embedding_size": 6, "output_size": 3}
TEXTS = ["red", "the tree is green in the blue sky .", "the house"]


def classification(**fields):
    return TextClassificationTask(**{"tokenizer": tokenizer(), "max_tokens": 12, "labels": LABELS} | fields)


def embedding(**fields):
    return EmbeddingTask(**{"tokenizer": tokenizer(), "max_tokens": 12} | fields)


def tagging(**fields):
    return TokenClassificationTask(**{"tokenizer": tokenizer(), "max_tokens": 12} | fields)


@pytest.fixture
def classifier(make_handler):
    return make_handler("text_bag", BAG, classification())


def ask(handler, body, content_type="application/json", **more):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    [response] = handler.answer([Request(body, content_type, **more)])
    return response.status, orjson.loads(response.body)


def ids_of(text):
    return torch.tensor([[1, *(VOCABULARY[word] for word in text.split()), 2]])


def scores_of(handler, text):
    ids = ids_of(text)
    with torch.inference_mode():
        return torch.softmax(handler.module.module(ids, torch.ones_like(ids)), dim=1)[0].numpy()


def test_a_text_comes_in_by_every_way_and_is_answered_alike(classifier):
    text = TEXTS[1]
    scores = scores_of(classifier, text)
    status, alone = ask(classifier, {"inputs": text})
    assert status == 200
    assert alone["label"] == LABELS[int(scores.argmax())]
    assert [each["score"] for each in alone["top_k"]] == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    for content_type in ("text/plain", "", "application/octet-stream"):
        assert ask(classifier, text.encode(), content_type) == (200, alone)
    assert ask(classifier, {"inputs": [text]}) == (200, {"predictions": [alone]})
    assert ask(classifier, {"instances": [text]}) == (200, {"predictions": [alone]})
    assert ask(classifier, {"instances": [text]}, form="v1") == (200, {"predictions": [alone]})


def test_texts_of_different_lengths_are_answered_as_each_alone(classifier):
    _, document = ask(classifier, {"inputs": TEXTS})
    for text, answer in zip(TEXTS, document["predictions"], strict=True):
        assert answer["score"] == pytest.approx(scores_of(classifier, text).max(), abs=1e-6)
    responses = classifier.answer([Request(text.encode(), "text/plain") for text in TEXTS])
    together = [orjson.loads(response.body)["score"] for response in responses]
    assert together == pytest.approx([each["score"] for each in document["predictions"]], abs=1e-6)


def test_what_goes_together_is_of_like_length():
    assert like_lengths([10, 9, 6, 5, 5, 3, 2, 1]) == [3, 3, 1, 1]
    assert like_lengths([7]) == [1]


def test_short_texts_are_not_computed_as_long_ones(make_handler):
    handler = make_handler("token_vectors", {"size": 5}, embedding())
    seen = []
    handler.module.module.register_forward_hook(
        lambda net, given, answer: seen.append(tuple(answer.shape[:2]))
    )
    rows = ["red", "the tree is green in the sky .", "blue", "the house is in the sky ."]
    _, document = ask(handler, {"inputs": rows})
    assert seen == [(2, 10), (2, 3)]
    for text, answer in zip(rows, document["predictions"], strict=True):
        assert answer["embedding"] == pytest.approx(ask(handler, {"inputs": text})[1]["embedding"], abs=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_own_client_sends_texts(classifier, binary):
    tensor = triton.InferInput("text", [3], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in TEXTS], dtype=object), binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body(
        [tensor], outputs=[triton.InferRequestedOutput("label", binary_data=False)]
    )
    [response] = classifier.answer(
        [Request(body, "application/octet-stream", "v2", str(length) if length else "")]
    )
    assert response.status == 200, response.body
    [label] = orjson.loads(response.body)["outputs"]
    assert label["data"] == [LABELS[int(scores_of(classifier, text).argmax())] for text in TEXTS]


def test_every_bad_text_is_told_by_its_number_and_harms_no_other(make_handler):
    handler = make_handler("text_bag", BAG, classification(max_characters=40, too_long="refuse"))
    rows = ["red", 5, "  ", "x" * 41, None, "in " * 11, "blue"]
    bad, good = handler.answer(
        [Request(json.dumps({"inputs": rows}).encode(), "application/json"), Request(b"red", "text/plain")]
    )
    assert (bad.status, good.status) == (422, 200)
    document = orjson.loads(bad.body)
    expected = {
        1: "5 is a number; expected a text",
        2: "is empty",
        3: "41 characters; at most 40",
        4: "expected a text",
        5: "13 tokens; at most 12",  # two of them are special
    }
    assert document["rows"] == list(expected)
    for error in document["errors"]:
        assert expected[error["row"]] in error["detail"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\xff\xfe", "text/plain", 400),
        (b"\x89PNG\r\n\x1a\n....", "", 415),
        (b"red", "text/html", 415),
        (b"", "text/plain", 400),
        (b" \n ", "text/plain", 422),
        (b'{"inputs": []}', "application/json", 422),
        (b'{"inputs": {"text": "red"}}', "application/json", 422),
    ],
)
def test_what_is_no_text_is_refused(classifier, body, content_type, status):
    assert ask(classifier, body, content_type)[0] == status


def test_a_text_without_a_known_word_is_refused_where_nothing_stands_for_it(make_handler):
    handler = make_handler("text_bag", BAG, classification(tokenizer=tokenizer(special=False, unknown=False)))
    assert ask(handler, {"inputs": "red sky"})[0] == 200
    status, document = ask(handler, {"inputs": "quux"})
    assert status == 422
    assert "cannot read 'quux'" in document["detail"]


def test_a_long_text_is_cut_with_its_special_tokens(classifier):
    _, cut = ask(classifier, {"inputs": "red " + "sky " * 50})
    assert cut["score"] == pytest.approx(scores_of(classifier, "red " + "sky " * 9).max(), abs=1e-6)


def test_each_label_by_itself(make_handler):
    handler = make_handler("text_bag", BAG, classification(multi_label=True, threshold=0.4, top_k=1))
    ids = ids_of("red")
    with torch.inference_mode():
        scores = torch.sigmoid(handler.module.module(ids, torch.ones_like(ids)))[0].numpy()
    _, answer = ask(handler, {"inputs": "red"})
    order = np.argsort(-scores)
    assert [each["label"] for each in answer["labels"]] == [LABELS[i] for i in order if scores[i] >= 0.4]
    assert answer["top_k"] == [{"label": LABELS[order[0]], "score": pytest.approx(scores.max(), abs=1e-6)}]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalise", [True, False])
def test_token_vectors_are_pooled_over_what_is_no_padding(make_handler, pooling, normalise):
    handler = make_handler("token_vectors", {"size": 5}, embedding(pooling=pooling, normalise=normalise))
    _, document = ask(handler, {"inputs": TEXTS})
    for text, answer in zip(TEXTS, document["predictions"], strict=True):
        ids = ids_of(text)
        with torch.inference_mode():
            vectors = handler.module.module(ids, torch.ones_like(ids))[0]
        pooled = {"mean": vectors.mean(0), "cls": vectors[0], "max": vectors.amax(0)}[pooling]
        expected = pooled / pooled.norm() if normalise else pooled
        assert answer["embedding"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert handler.output_schema()["properties"]["embedding"]["minItems"] == 5


def test_a_module_may_take_ids_alone_and_pool_by_itself(make_handler):
    task = embedding(pooling="none", normalise=False, attention_mask=False)
    handler = make_handler("only_ids", {"size": 4}, task)
    _, answer = ask(handler, {"inputs": "red sky"})
    expected = handler.module.module(ids_of("red sky"))[0].tolist()
    assert answer["embedding"] == pytest.approx(expected, abs=1e-6)


TAGS = ["O", "B-COL", "I-COL", "B-OBJ"]


def taught(handler, classes):
    """Let a word's class be what `classes` says, O otherwise, with certainty."""
    net = handler.module.module
    with torch.no_grad():
        net.embedding.weight.zero_()
        net.position.weight.zero_()
        net.mix.weight.copy_(torch.eye(4))
        net.mix.bias.copy_(torch.tensor([20.0, 0, 0, 0]))
        for word, tag in classes.items():
            net.embedding.weight[VOCABULARY[word], tag] = 30.0
    return handler


COLOURS = {"red": 1, "blue": 1, "grün": 2, "house": 3, "sky": 3}


def test_pieces_of_a_text_are_told_by_character(make_handler):
    task = tagging(labels=TAGS, max_tokens=16)
    handler = taught(make_handler("token_vectors", {"size": 4}, task), COLOURS)
    text = "the  red grün house is in the sky."
    _, document = ask(handler, {"inputs": [text, "the tree"]})
    spans, nothing = (each["spans"] for each in document["predictions"])
    assert nothing == []
    assert [(span["label"], text[span["start"] : span["end"]]) for span in spans] == [
        ("COL", "red grün"),
        ("OBJ", "house"),
        ("OBJ", "sky"),
    ]
    assert all(0.5 < span["score"] <= 1 for span in spans)


def test_tokens_are_told_one_by_one_where_asked(make_handler):
    task = tagging(labels=TAGS, aggregation="none", ignored_labels=["O", "B-OBJ"])
    handler = taught(make_handler("token_vectors", {"size": 4}, task), COLOURS)
    _, answer = ask(handler, {"inputs": "red grün house"})
    assert [(span["label"], span["start"], span["end"]) for span in answer["spans"]] == [
        ("B-COL", 0, 3),
        ("I-COL", 4, 8),
    ]


REFUSED = {
    "tokenizer gives ids up to 19, and the module's embedding has 15 rows": (
        "text_bag", BAG, classification(tokenizer=tokenizer(more_words=5))
    ),
    "raised IndexError on 12 tokens with the id 19": (
        "only_ids", {"size": 3}, classification(tokenizer=tokenizer(more_words=5), attention_mask=False)
    ),
    "raised IndexError on 33 tokens": ("token_vectors", {"size": 3}, embedding(max_tokens=33)),
    "the tokenizer cannot be read": ("text_bag", BAG, classification(tokenizer='{"version": "1.0"}')),
    "expected the text of a tokenizer.json": ("text_bag", BAG, classification(tokenizer="no JSON")),
    "expected one output per label, 2": ("text_bag", BAG, classification(labels=["a", "b"])),
    "expected one logit per token and label": ("token_vectors", {"size": 3}, tagging(labels=["a", "b"])),
    "needs one vector per text": ("token_vectors", {"size": 3}, embedding(pooling="none")),
    "needs one vector per token": ("only_ids", {"size": 3}, embedding(attention_mask=False)),
    "expected room for the text's own": ("text_bag", BAG, classification(max_tokens=2)),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_does_not_fit_is_refused_with_its_reason(make_handler, reason):
    with pytest.raises(ModuleMismatchError, match=reason.replace("(", r"\(")):
        make_handler(*REFUSED[reason])


def test_what_is_recorded_for_one_length_is_refused(classifier):
    with pytest.raises(
        OptimizationError, match=r"'freeze' cannot be applied: rows of this task differ in size"
    ):
        classifier.optimized(["freeze"])


def test_pairs_come_in_by_every_way_and_are_answered_alike(make_handler):
    handler = make_handler("text_bag", BAG, classification(pairs=True))
    row = {"text": "red sky", "text_pair": "the tree"}
    status, alone = ask(handler, {"inputs": row})
    assert status == 200
    assert ask(handler, {"inputs": ["red sky", "the tree"]}) == (200, alone)
    for body, form in (
        ({"inputs": [row, list(row.values())]}, "predictions"),
        ({"instances": [row, row]}, "v1"),
    ):
        _, document = ask(handler, body, form=form)
        assert [each["label"] for each in document["predictions"]] == [alone["label"]] * 2
        assert [each["score"] for each in document["predictions"]] == pytest.approx(
            [alone["score"]] * 2, abs=1e-6
        )
    tensors = [
        {"name": name, "datatype": "BYTES", "shape": [1], "data": [text]} for name, text in row.items()
    ]
    _, protocol = ask(handler, {"inputs": tensors}, form="v2")
    assert {each["name"]: each["data"] for each in protocol["outputs"]}["label"] == [alone["label"]]
    status, told = ask(handler, b"red sky", "text/plain")
    assert (status, "expected a pair" in told["detail"]) == (415, True)
    assert [each["name"] for each in handler.tensor_inputs()] == ["text", "text_pair"]


def test_a_prompt_goes_before_the_text_it_is_asked_for(make_handler):
    task = embedding(prompts={"find": "the blue ", "none": ""}, default_prompt="find", truncate_dim=3)
    handler = make_handler("token_vectors", {"size": 5}, task)
    plain = make_handler("token_vectors", {"size": 5}, embedding())
    plain.module.module.load_state_dict(handler.module.module.state_dict())
    expected = [ask(plain, {"inputs": text})[1]["embedding"][:3] for text in ("the blue sky", "sky")]
    rows = ["sky", {"text": "sky", "prompt": "none"}]
    _, document = ask(handler, {"inputs": rows})
    assert [each["embedding"] for each in document["predictions"]] == [
        pytest.approx(each, abs=1e-6) for each in expected
    ]
    texts = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["sky", "sky"]}
    names = {"name": "prompt", "datatype": "BYTES", "shape": [2], "data": ["find", "none"]}
    _, protocol = ask(handler, {"inputs": [texts, names]}, form="v2")
    assert protocol["outputs"][0]["data"] == pytest.approx([*expected[0], *expected[1]], abs=1e-6)
    _, protocol = ask(handler, {"inputs": [texts]}, form="v2")
    assert protocol["outputs"][0]["data"] == pytest.approx(expected[0] * 2, abs=1e-6)
    status, told = ask(handler, {"inputs": [texts, names | {"shape": [1], "data": ["find"]}]}, form="v2")
    assert (status, "2 of text, 1 of prompt" in told["detail"]) == (422, True)
    assert ask(plain, {"inputs": [texts, names]}, form="v2")[0] == 422


class TellsTexts(torch.nn.Module):
    """Answers with which text each token is of, as a module of transformers is told it."""

    def forward(self, input_ids, attention_mask, token_type_ids):
        return torch.stack([token_type_ids * attention_mask, input_ids], dim=2).float()


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"pairs": True}, [[0, 0, 0, 1, 1, 0]]), ({"pairs": True, "token_type_ids": False}, None), ({}, None)],
)
def test_which_text_a_token_is_of_is_told_where_the_module_takes_it(fields, told):
    wrapped = TextModule(TellsTexts(), classification(**fields), ())
    rows = torch.tensor([[[1, 0], [4, 0], [2, 0], [5, 1], [2, 1], [-1, -1]]])
    if told is None:
        assert not wrapped.takes_types
        return
    assert wrapped(rows)[..., 0].tolist() == told
