"""A tagger trained here and saved as transformers saves it, on a real server: labelled pieces of texts it never saw."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import tokenizers
import torch
from tests.e2e.server import Server

from statehouse.models.libraries.transformers import transformers

PEOPLE = (
    "Ada Lovelace",
    "Alan Turing",
    "Grace Hopper",
    "Łukasz Żak",
    "Mary Shelley",
    "Bo Ek",
    "Carl Friedrich Gauss",
)
CITIES = ("Paris", "New York", "Łódź", "Rio de Janeiro", "Oslo", "Hong Kong")
PATTERNS = (
    ("P", "moved to", "C", "in spring ."),
    ("In", "C", "lives", "P", "."),
    ("Yesterday", "P", "wrote from", "C", "to", "P", "."),
    ("The train to", "C", "leaves at nine ."),
)
KINDS = {"P": ("PERSON", PEOPLE), "C": ("CITY", CITIES)}
LABELS = ("O", "B-PERSON", "I-PERSON", "B-CITY", "I-CITY")

Tagged = list[tuple[str, str]]
"""The words of a sentence, each with its label."""


def sentences() -> tuple[list[Tagged], list[Tagged]]:
    """Two hundred to learn from, and a hundred others."""
    rng = random.Random(0)
    found: dict[str, Tagged] = {}
    while len(found) < 300:
        sentence = list(itertools.chain(*(tag(part, rng) for part in rng.choice(PATTERNS))))
        found[text_of(sentence)] = sentence
    return list(found.values())[:200], list(found.values())[200:]


def tag(part: str, rng: random.Random) -> Tagged:
    if part not in KINDS:
        return [(word, "O") for word in part.split()]
    kind, choices = KINDS[part]
    first, *more = rng.choice(choices).split()
    return [(first, f"B-{kind}"), *((word, f"I-{kind}") for word in more)]


def text_of(sentence: Tagged) -> str:
    return " ".join(word for word, _ in sentence)


def spans_of(sentence: Tagged) -> list[tuple[str, str]]:
    """What is to be found: label and text, in order."""
    found: list[tuple[str, str]] = []
    for word, label in sentence:
        if label.startswith("B-"):
            found.append((label[2:], word))
        elif label.startswith("I-"):
            found[-1] = (label[2:], f"{found[-1][1]} {word}")
    return found


def train(folder: Path, known: list[Tagged]) -> None:
    words = sorted({word for sentence in known for word, _ in sentence})
    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", *words))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch([text_of(sentence) for sentence in known])
    ids, mask = (
        torch.tensor([getattr(each, part) for each in encoded]) for part in ("ids", "attention_mask")
    )
    wanted = torch.full_like(ids, -100)
    for row, sentence in enumerate(known):
        wanted[row, : len(sentence)] = torch.tensor([LABELS.index(label) for _, label in sentence])
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=len(vocabulary), dim=32, hidden_dim=64, n_layers=1, n_heads=2, max_position_embeddings=32,
        id2label=dict(enumerate(LABELS)), label2id={label: number for number, label in enumerate(LABELS)},
    )  # fmt: skip
    net = transformers.DistilBertForTokenClassification(config).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        net(input_ids=ids, attention_mask=mask, labels=wanted).loss.backward()
        optimizer.step()
    net.save_pretrained(folder)
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tagger")
    known, _ = sentences()
    train(folder, known)
    server = Server(tmp_path_factory.mktemp("server"))
    server.run(
        "publish", str(folder), "--task", "token_classification", "--name", "tagger", "--version", "1.0"
    )
    versions = {"1.0": {"batch_size": 8}}
    server.write_deployment(models={"tagger": {"default": "1.0", "versions": versions}})
    server.start()
    yield server
    server.kill_if_running()


def test_pieces_are_found_where_they_are(server: Server) -> None:
    _, unseen = sentences()
    answer = server.client.post("/predictions/tagger", json={"inputs": [text_of(each) for each in unseen]})
    assert answer.status_code == 200, answer.text
    right = 0
    for sentence, told in zip(unseen, answer.json()["predictions"], strict=True):
        text = text_of(sentence)
        found = [(span["label"], text[span["start"] : span["end"]]) for span in told["spans"]]
        right += found == spans_of(sentence)
        assert all(0 < span["score"] <= 1 for span in told["spans"])
    assert right >= 95


def test_one_text_answers_by_itself(server: Server) -> None:
    answer = server.client.post("/predictions/tagger", json={"inputs": "In Łódź lives Ada Lovelace ."})
    assert [(span["label"], span["start"], span["end"]) for span in answer.json()["spans"]] == [
        ("CITY", 3, 7),
        ("PERSON", 14, 26),
    ]


def test_a_bad_text_is_told_by_its_number_and_harms_no_other(server: Server) -> None:
    answer = server.client.post("/predictions/tagger", json={"inputs": ["Oslo", "", 3]})
    assert answer.status_code == 422
    assert answer.json()["rows"] == [1, 2]


def test_the_description_of_the_interface_fits_the_answers(server: Server) -> None:
    answer = server.client.post("/predictions/tagger", json={"inputs": "In Oslo lives Bo Ek ."}).json()
    assert answer["spans"]
    schema = server.reader.get("/openapi.json").json()["components"]["schemas"]["tagger-1.0-answer"]
    jsonschema.validate(answer, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"spans": [{"label": "CITY"}]}, schema)
