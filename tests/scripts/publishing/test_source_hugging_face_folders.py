"""Folders as transformers and sentence-transformers save them, published with a task alone; and bad ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import tokenizers
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file, save_file

from statehouse.models import load_checkpoint
from statehouse.models.errors import StatehouseError
from statehouse.models.foreign.hugging_face import is_hugging_face_folder
from statehouse.models.libraries.transformers import ModelType, transformers
from statehouse.models.tensors.ties import tied_names
from statehouse.scripts.errors import PublishError
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore, PublishedVersion

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "train", "leaves", "late", "early", "."]
SIZES = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 24,
}

MakeFolder = Callable[..., Path]
Publish = Callable[..., PublishedVersion]


def tokenizer() -> tokenizers.Tokenizer:
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """A folder that transformers itself saved, of a random small Bert."""

    def make(
        task_class: str = "BertModel",
        *,
        shard: str = "50GB",
        dtype: torch.dtype = torch.float32,
        **config: Any,
    ) -> Path:
        torch.manual_seed(0)
        net = getattr(transformers, task_class)(transformers.BertConfig(**SIZES | config))
        net.to(dtype).save_pretrained(tmp_path / "folder", max_shard_size=shard)
        tokenizer().save(str(tmp_path / "folder" / "tokenizer.json"))
        return tmp_path / "folder"

    return make


@pytest.fixture
def published(store_folder: Path) -> Publish:
    def run(folder: Path, task: str = "embedding", **options: Any) -> PublishedVersion:
        store = LocalStore(store_folder)
        return publish(folder, store=store, name="text", version="1.0", task=task, **options).version

    return run


def change(file: Path, **fields: Any) -> None:
    held = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({key: value for key, value in (held | fields).items() if value is not None}))


def answers_as_the_library(version: PublishedVersion, folder: Path, kind: str) -> Any:
    """The golden example's answer, and the output of transformers' own class on the same text."""
    [example] = json.loads(version.golden_path.read_bytes())["examples"]
    net = getattr(transformers, kind).from_pretrained(folder).eval()
    ids = torch.tensor(
        [tokenizer().encode("The train to the coast leaves at nine and arrives before noon.").ids]
    )
    with torch.inference_mode():
        return example["response"], net(ids)


def test_a_folder_is_published_with_a_task_alone(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder()
    version = published(folder)
    answer, output = answers_as_the_library(version, folder, "BertModel")
    mean = output.last_hidden_state[0].mean(0)
    assert answer["embedding"] == pytest.approx((mean / mean.norm()).tolist(), abs=1e-5)
    assert version.manifest.task_config["max_tokens"] == 24
    assert version.manifest.architecture_library == f"transformers {transformers.__version__}"


# What a small one of each type has besides SIZES.
ENCODERS: dict[str, dict[str, int]] = {model_type: {} for model_type in get_args(ModelType)} | {
    "albert": {"embedding_size": 16},
    "convbert": {"embedding_size": 16, "head_ratio": 1},
    "distilbert": {"dim": 16, "hidden_dim": 20, "n_layers": 1, "n_heads": 2},
    "electra": {"embedding_size": 16},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "modernbert": dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
    "squeezebert": {"embedding_size": 16} | {
        f"{part}_groups": 1 for part in ("q", "k", "v", "post_attention", "intermediate", "output")
    },
}  # fmt: skip


# Its convolutions see the padding: beside a longer text it answers otherwise.
SAID_OF = {"convbert": {"rows_per_batch": 1}}


@pytest.mark.parametrize(
    ("model_type", "pad_token_id"), [*((each, None) for each in ENCODERS), ("mpnet", 0), ("roberta", 0)]
)
def test_every_encoder_answers_as_the_library(
    model_type: str, pad_token_id: int | None, tmp_path: Path, published: Publish
) -> None:
    torch.manual_seed(0)
    said = {} if pad_token_id is None else {"pad_token_id": pad_token_id}
    config = transformers.AutoConfig.for_model(model_type, **SIZES | ENCODERS[model_type] | said)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "folder")
    tokenizer().save(str(tmp_path / "folder" / "tokenizer.json"))
    version = published(tmp_path / "folder", task_config=SAID_OF.get(model_type))
    answer, output = answers_as_the_library(version, tmp_path / "folder", "AutoModel")
    mean = output.last_hidden_state[0].mean(0)
    assert answer["embedding"] == pytest.approx((mean / mean.norm()).tolist(), abs=1e-5)


def test_what_sentence_transformers_says_is_kept(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder()
    kinds = ["Transformer", "Pooling"]
    modules = [
        {"idx": i, "name": str(i), "path": "1_Pooling" * i, "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    change(folder / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    change(folder / "sentence_bert_config.json", max_seq_length=20)
    version = published(folder)
    told = version.manifest.task_config
    assert (told["pooling"], told["normalise"], told["max_tokens"]) == ("cls", False, 20)
    answer, output = answers_as_the_library(version, folder, "BertModel")
    assert answer["embedding"] == pytest.approx(output.last_hidden_state[0, 0].tolist(), abs=1e-5)


def test_shards_old_buffers_and_the_task_s_own_config(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder("BertForSequenceClassification", shard="6KB", id2label={0: "late", 1: "on time"})
    assert len(list(folder.glob("*.safetensors"))) > 1
    shard = max(folder.glob("*.safetensors"))
    held = load_file(shard) | {
        "bert.embeddings.position_ids": torch.arange(24)[None]
    }  # as before version 4.31
    save_file(held, shard, {"format": "pt"})
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["bert.embeddings.position_ids"] = shard.name
    index["metadata"]["total_size"] += 24 * 8
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    version = published(folder, "text_classification", task_config={"top_k": 1})
    assert version.manifest.labels == ["late", "on time"]
    reading = version.manifest.metadata["reading"]
    assert reading["renaming"]["names"] == {"bert.embeddings.position_ids": None}
    answer, output = answers_as_the_library(version, folder, "BertForSequenceClassification")
    assert answer["top_k"] == [{"label": answer["label"], "score": answer["score"]}]
    assert answer["score"] == pytest.approx(float(output.logits.softmax(1).max()), abs=1e-5)


def test_an_encoder_is_taken_out_of_a_file_with_a_head(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder("BertForMaskedLM")
    version = published(folder)
    names = version.manifest.metadata["reading"]["renaming"]["names"]
    assert {name for name, new in names.items() if new is None} >= {"cls.predictions.bias"}
    net = transformers.BertModel.from_pretrained(folder)
    assert not version.manifest.config["add_pooling_layer"]
    built = load_checkpoint(version.checkpoint_path).build()
    for name, value in built.state_dict().items():
        assert torch.equal(value, net.state_dict()[name]), name


def test_tied_weights_stay_tied(make_folder: MakeFolder) -> None:
    folder = make_folder("BertForMaskedLM")
    assert "cls.predictions.decoder.weight" not in load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    checkpoint = load_checkpoint(
        folder / "model.safetensors", architecture="transformers:AutoModelForMaskedLM", config=config
    )
    assert ["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"] in tied_names(
        checkpoint.build()
    )


def test_tokens_with_labels_and_half_precision(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder(
        "BertForTokenClassification", id2label={0: "O", 1: "B-TIME", 2: "I-TIME"}, dtype=torch.float16
    )
    version = published(folder, "token_classification")
    assert version.manifest.dtypes == ["float16"]
    [example] = json.loads(version.golden_path.read_bytes())["examples"]
    assert isinstance(example["response"]["spans"], list)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "an unknown class": (
        "embedding", lambda f: change(f / "config.json", model_type="evil"), "model_type: got 'evil'"
    ),
    "remote code": (
        "embedding", lambda f: change(f / "config.json", auto_map={"AutoModel": "evil.Net"}),
        "auto_map names code of its own, and remote code is never run",
    ),
    "remote attention": (
        "embedding", lambda f: change(f / "config.json", attn_implementation="kernels-community/x"),
        "expected 'eager' or 'sdpa'",
    ),
    "a size that is text": (
        "embedding", lambda f: change(f / "config.json", hidden_size="x"), "'hidden_size' expected int"
    ),
    "a broken config": ("embedding", lambda f: (f / "config.json").write_text("{"), "config.json: is no JSON"),
    "no tokenizer": ("embedding", lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: is missing"),
    "a broken tokenizer": (
        "embedding", lambda f: (f / "tokenizer.json").write_text('{"model": 3}'), "the tokenizer cannot be read"
    ),
    "a huge tokenizer": (
        "embedding", lambda f: os.truncate(f / "tokenizer.json", 33 * 2**20), "expected at most 33,554,432"
    ),
    "another model's tokenizer": (
        "embedding", lambda f: tokenizers.Tokenizer(
            tokenizers.models.WordLevel({f"w{i}": i for i in range(21)}, unk_token="w0")
        ).save(str(f / "tokenizer.json")),
        "ids up to 20, and the module's embedding has 20 rows",
    ),
    "too few labels": (
        "text_classification",
        lambda f: change(f / "config.json", id2label={"0": "a", "1": "b"}, num_labels=2),
        "wrong shape: classifier.weight",
    ),
    "labels with a gap": (
        "text_classification", lambda f: change(f / "config.json", id2label={"0": "a", "2": "b"}),
        "a label for each of 0 to the last class",
    ),
    "a module of its own": (
        "embedding", lambda f: (f / "modules.json").write_text('[{"type": "evil.Net"}]'),
        "modules.json: has"
    ),
    "no weights": ("embedding", lambda f: (f / "model.safetensors").unlink(), "without a checkpoint"),
    "a task for numbers": ("tabular", lambda f: None, "'tabular' is none that is served from one"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_folder_is_refused_and_nothing_written(
    make_folder: MakeFolder, published: Publish, store_folder: Path, case: str
) -> None:
    task, spoil, reason = BAD[case]
    kind = "BertForSequenceClassification" if task == "text_classification" else "BertModel"
    folder = make_folder(kind, **({"num_labels": 3} if task == "text_classification" else {}))
    spoil(folder)
    with pytest.raises(StatehouseError) as caught:
        published(folder, task)
    assert str(caught.value).count(reason) == 1
    assert [
        entry.name for entry in store_folder.iterdir() if not entry.name.startswith(".publishing.lock")
    ] == []


def test_labels_fewer_than_classes_on_the_command_line(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder("BertForSequenceClassification", num_labels=3)
    with pytest.raises(PublishError, match="expected one output per label, 2"):
        published(folder, "text_classification", task_config={"labels": ["a", "b"]})


def test_inspect_says_what_a_folder_is(make_folder: MakeFolder, store_folder: Path) -> None:
    folder = make_folder()
    found = inspect(str(folder), store=LocalStore(store_folder), task="embedding")
    assert found.would_load
    assert found.facts["architecture"] == "transformers:AutoModel"
    assert found.facts["task_config"]["tokenizer"]["size_bytes"] > 100
    assert not inspect(str(folder), store=LocalStore(store_folder)).would_load


def test_other_folders_with_a_config_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    assert not is_hugging_face_folder(tmp_path)


@pytest.mark.parametrize("name", ["checkpoint-500", "epoch_3", "step_20"])
def test_a_checkpoint_of_a_run_has_the_run_s_tokenizer(
    make_folder: MakeFolder, published: Publish, tmp_path: Path, name: str
) -> None:
    folder = make_folder("BertForSequenceClassification", num_labels=2)
    beside = published(folder, "text_classification")
    (tmp_path / "run").mkdir()
    above = tmp_path / "run" / "tokenizer.json"
    (folder / "tokenizer.json").rename(above)
    (above.parent / "tokenizer_config.json").write_text('{"model_max_length": 12}')
    (folder / "optimizer.pt").write_bytes(b"")
    folder = folder.rename(above.parent / name)
    found = inspect(str(folder), store=LocalStore(tmp_path), task="text_classification")
    assert found.problems == []
    assert "the tokenizer is that of the folder above, run" in found.facts["read"]
    version = LocalStore(tmp_path / "other")
    again = publish(folder, store=version, name="text", version="1.0", task="text_classification").version
    assert again.manifest.task_config["tokenizer"] == beside.manifest.task_config["tokenizer"]
    assert again.manifest.task_config["max_tokens"] == 12


def test_a_tokenizer_above_is_taken_of_a_run_alone(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder()
    (folder / "tokenizer.json").rename(folder.parent / "tokenizer.json")
    with pytest.raises(StatehouseError, match=r"tokenizer\.json: is missing"):
        published(folder)


def test_the_weights_may_be_a_folder_of_fsdp(make_folder: MakeFolder, published: Publish) -> None:
    folder = make_folder()
    wanted = published(folder).manifest.digest
    weights = load_file(folder / "model.safetensors")
    dcp.save({"model": weights}, checkpoint_id=folder / "pytorch_model_fsdp_0", no_dist=True)
    (folder / "model.safetensors").unlink()
    store = LocalStore(folder.parent / "other")
    assert (
        publish(folder, store=store, name="text", version="1.0", task="embedding").version.manifest.digest
        == wanted
    )


@pytest.mark.parametrize("task", ["embedding", None])
def test_quantised_weights_are_named_before_anything_else(
    make_folder: MakeFolder, store_folder: Path, task: str | None
) -> None:
    folder = make_folder()
    change(folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    found = inspect(str(folder), store=LocalStore(store_folder), task=task)
    assert "is quantised by bitsandbytes" in found.problems[0]
    assert "model = model.dequantize()" in found.problems
