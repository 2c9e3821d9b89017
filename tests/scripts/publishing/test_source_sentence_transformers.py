"""Folders of sentence-transformers: embeddings are `encode`'s, scores of pairs are `CrossEncoder.predict`'s."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import tokenizers
import torch

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.request import Request
from statehouse.models import load_checkpoint
from statehouse.models.checkpoint import Checkpoint
from statehouse.models.errors import CheckpointContentError
from statehouse.models.libraries.transformers import transformers
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.publishing.source import Description, read_source
from statehouse.scripts.store import LocalStore

sentence_transformers = pytest.importorskip("sentence_transformers")
from sentence_transformers import CrossEncoder, SentenceTransformer  # noqa: E402
from sentence_transformers.sentence_transformer import modules as parts  # noqa: E402

WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    "the", "a", "train", "leaves", "late", "early", ".", "query", "find", ":",
]  # fmt: skip
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 40,
    "initializer_range": 0.5,  # wide enough for every token to show
}
OF_TYPE: dict[str, dict[str, int]] = {
    "bert": {},
    "roberta": {"pad_token_id": 0, "type_vocab_size": 1},
    "distilbert": {"dim": 16, "hidden_dim": 20, "n_layers": 2, "n_heads": 2},
}
TEXTS = ["the train leaves early .", "a train", "late " * 60, "early : the unknown words", "The TRAIN"]
PAIRS = [
    ("the train", "leaves late ."),
    ("leaves late .", "the train"),
    ("late", "early " * 60),
    ("a train " * 30, "the train " * 9),
    ("a", "a"),
]
PROMPTS = {"query": "query : ", "find": "find the train : "}


def tokenizer(model_type: str) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    kind = "RobertaProcessing" if model_type == "roberta" else "BertProcessing"
    made.post_processor = getattr(tokenizers.processors, kind)(("[SEP]", 3), ("[CLS]", 2))
    return made


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., str]:
    """A folder as transformers saves it, of a random small encoder; its tokenizer cuts at 24 tokens."""

    def make(
        task_class: str, model_type: str = "bert", tokenizer_class: str | None = None, **config: Any
    ) -> str:
        torch.manual_seed(0)
        whole = transformers.AutoConfig.for_model(model_type, **SIZES | OF_TYPE[model_type] | config)
        getattr(transformers, task_class).from_config(whole).save_pretrained(tmp_path / "plain")
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer(model_type),
            model_max_length=24,
            **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")},
        ).save_pretrained(tmp_path / "plain")
        if tokenizer_class:
            file = tmp_path / "plain" / "tokenizer_config.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {"tokenizer_class": tokenizer_class}))
        return str(tmp_path / "plain")

    return make


def ask(folder: Path, task: str, rows: list[Any], **task_config: Any) -> Any:
    """Answer rows as what would be published of a folder does."""
    return answers_of(read_source(folder, Description(task=task, task_config=task_config or None)), rows)


def answers_of(checkpoint: Checkpoint, rows: list[Any]) -> Any:
    handler = CheckpointHandler.from_checkpoint(checkpoint)
    [response] = handler.answer([Request(json.dumps({"instances": rows}).encode(), "application/json")])
    assert response.status == 200, response.body
    return orjson.loads(response.body)["predictions"]


@pytest.mark.parametrize(
    ("pooling", "include_prompt", "default", "truncate_dim"),
    [
        ("mean", True, "query", None),
        ("mean", False, "find", 5),
        ("cls", False, "find", None),
        ("max", False, None, 16),
        ("cls", True, None, 3),
    ],
)
def test_embeddings_are_those_of_encode(
    make_folder: Callable[..., str],
    tmp_path: Path,
    pooling: str,
    include_prompt: bool,
    default: str | None,
    truncate_dim: int | None,
) -> None:
    encoder = parts.Transformer(make_folder("AutoModel"))
    modules = [encoder, parts.Pooling(16, pooling, include_prompt=include_prompt), parts.Normalize()]
    saved = SentenceTransformer(
        modules=modules, prompts=PROMPTS, default_prompt_name=default, truncate_dim=truncate_dim, device="cpu"
    )
    saved.save_pretrained(str(tmp_path / "saved"))
    own = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    rows: list[Any] = list(TEXTS)
    expected = list(own.encode(TEXTS))
    for name in ("query", "find", "document"):  # the last is sentence-transformers' own, and empty
        rows += [{"text": text, "prompt": name} for text in TEXTS]
        expected += list(own.encode(TEXTS, prompt_name=name))
    answers = ask(tmp_path / "saved", "embedding", rows)
    given = np.array([each["embedding"] for each in answers])
    assert given.shape == np.array(expected).shape
    assert np.abs(given - np.array(expected)).max() <= 1e-5
    assert np.abs(given[: len(TEXTS)] - given[len(TEXTS) : 2 * len(TEXTS)]).max() > 1e-3 or default == "query"


@pytest.mark.parametrize(
    ("model_type", "tokenizer_class", "labels", "activation", "prompt"),
    [
        ("bert", "BertTokenizer", 1, None, None),
        ("bert", "BertTokenizerFast", 1, torch.nn.Identity(), "query"),
        # A tokenizer of no class of its own does not say which text a token is of.
        ("bert", None, 1, None, None),
        ("roberta", None, 1, torch.nn.Sigmoid(), None),
        ("distilbert", "BertTokenizer", 1, None, None),
        ("bert", "BertTokenizer", 3, None, None),
        ("bert", "BertTokenizer", 3, torch.nn.Sigmoid(), None),
    ],
)
def test_scores_of_pairs_are_those_of_predict(
    make_folder: Callable[..., str],
    tmp_path: Path,
    model_type: str,
    tokenizer_class: str | None,
    labels: int,
    activation: torch.nn.Module | None,
    prompt: str | None,
) -> None:
    saved = CrossEncoder(
        make_folder("AutoModelForSequenceClassification", model_type, tokenizer_class, num_labels=labels),
        activation_fn=activation,
        prompts=PROMPTS if prompt else None,
        default_prompt_name=prompt,
        device="cpu",
    )
    saved.save_pretrained(str(tmp_path / "saved"))
    own = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    expected = own.predict(PAIRS).reshape(len(PAIRS), labels)
    assert np.ptp(expected, axis=0).min() > 1e-3  # they tell pairs, and their order, apart
    answers = ask(
        tmp_path / "saved", "text_classification", [*PAIRS, {"text": PAIRS[0][0], "text_pair": PAIRS[0][1]}]
    )
    given = np.array([_by_label(each, labels) for each in answers])
    assert np.abs(given - [*expected, expected[0]]).max() <= 1e-5


def _by_label(answer: dict[str, Any], labels: int) -> list[float]:
    scores = {each["label"]: each["score"] for each in answer["top_k"]}
    return [scores[f"LABEL_{index}"] for index in range(labels)]


def test_what_judges_two_texts_is_asked_about(
    make_folder: Callable[..., str],
) -> None:
    names = {0: "entailment", 1: "neutral", 2: "contradiction"}
    folder = Path(make_folder("AutoModelForSequenceClassification", id2label=names))
    with pytest.raises(CheckpointContentError, match=r"""say --task-config '{"pairs": true}'"""):
        ask(folder, "text_classification", [])
    answers = ask(folder, "text_classification", [PAIRS[0]], pairs=True, top_k=3)
    net = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    words = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    with torch.inference_mode():
        logits = net(**words(*PAIRS[0], return_tensors="pt")).logits
    scores = {each["label"]: each["score"] for each in answers[0]["top_k"]}
    assert [scores[name] for name in names.values()] == pytest.approx(logits.softmax(1)[0].tolist(), abs=1e-5)


def test_a_published_version_keeps_pairs_prompts_and_the_cut(
    make_folder: Callable[..., str], tmp_path: Path
) -> None:
    folder, store = Path(make_folder("AutoModel")), LocalStore(tmp_path / "store")
    said = {"prompts": {"none": "", "query": "query : "}, "default_prompt": "query", "truncate_dim": 4}
    published = publish(
        folder, store=store, name="text", version="1.0", task="embedding", task_config=said
    ).version
    assert published.manifest.outputs[0].shape == [-1, 4]
    assert "anyOf" in published.manifest.input_schema
    [once, named, plain] = answers_of(
        load_checkpoint(published.checkpoint_path),
        ["a train", {"text": "a train", "prompt": "query"}, {"text": "query : a train", "prompt": "none"}],
    )
    assert once["embedding"] == pytest.approx(named["embedding"], abs=1e-6)
    assert once["embedding"] == pytest.approx(plain["embedding"], abs=1e-6)
