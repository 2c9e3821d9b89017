"""A folder as Hugging Face's libraries save it: which file has the weights, and what the others say of them.

Read are config.json, tokenizer.json and tokenizer_config.json, and of sentence-transformers modules.json, the
pooling's config.json and sentence_bert_config.json: all of it data. transformers itself is not needed here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import CheckpointContentError
from models.plain import suggestion
from models.shard_index import locate_checkpoint
from models.text_task import MAX_TOKENIZER_BYTES, MAX_TOKENS

CONFIG_FILE = "config.json"
MAX_JSON_BYTES = 4 * 1024 * 1024
DEFAULT_TOKENS = 512
TASK_CLASSES = {
    "text_classification": "AutoModelForSequenceClassification",
    "embedding": "AutoModel",
    "token_classification": "AutoModelForTokenClassification",
}
# Position numbers of these begin after the padding's id, so that many fewer tokens have one; it is 1 unless said.
OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "roberta-prelayernorm", "mpnet"}
)


@dataclass(frozen=True)
class HuggingFaceFolder:
    """What a folder says: the weights' file, and how a checkpoint would be described."""

    weights: Path
    architecture: str
    config: dict[str, Any]
    task_config: dict[str, Any]


@dataclass
class _Reader:
    """The files of a folder, and everything that is wrong with them."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    def text(self, name: str, max_bytes: int) -> str | None:
        """Return the text of a file, None where there is no such file or it cannot be one."""
        path = self.folder / name
        if not path.is_file():
            return None
        if path.stat().st_size > max_bytes:
            self.problems.append(f"{name}: has {path.stat().st_size:,} bytes; expected at most {max_bytes:,}")
            return None
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{name}: cannot be read as text ({error})")
            return None

    def json(self, name: str, kind: type[Any] = dict) -> Any:  # noqa: ANN401 - of that kind
        """Return what a file holds, an empty `kind` where it is absent or no such JSON."""
        text = self.text(name, MAX_JSON_BYTES)
        if text is None:
            return kind()
        try:
            held = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.problems.append(f"{name}: is no JSON ({error})")
            return kind()
        if not isinstance(held, kind):
            self.problems.append(f"{name}: holds a {type(held).__name__}; expected a {kind.__name__}")
            return kind()
        return held


def is_hugging_face_folder(path: Path) -> bool:
    """Whether `path` is a folder with a config.json of transformers; one that cannot be read counts as well."""
    if not (path / CONFIG_FILE).is_file():
        return False
    reader = _Reader(path)
    config = reader.json(CONFIG_FILE)
    return bool(reader.problems) or "model_type" in config or "auto_map" in config


def read_hugging_face_folder(path: Path, task: str | None) -> HuggingFaceFolder:
    """Return what the folder at `path` says of itself, to be served as `task`.

    Raises:
        CheckpointContentError: no such task, or files that are missing or wrong; every problem is listed.
        CheckpointUnreadableError: it holds no weights, or several.
    """
    if task not in TASK_CLASSES:
        given = f"{task!r} is none" if task else "a Hugging Face folder names none"
        hint = suggestion(task or "", list(TASK_CLASSES))
        raise CheckpointContentError(
            f"{path}: cannot be read:", [f"task: {given} that is served from one{hint}"]
        )
    modules = _Reader(path).json("modules.json", list)
    reader = _Reader(path / _transformer_path(modules))
    config = reader.json(CONFIG_FILE)
    task_config = _text_fields(reader, config)
    if task == "embedding":
        task_config |= _embedding_fields(_Reader(path, reader.problems), modules)
    else:
        task_config |= _label_fields(reader, config, task)
    if reader.problems:
        raise CheckpointContentError(
            f"{path}: this Hugging Face folder is wrong or incomplete:", reader.problems
        )
    weights = locate_checkpoint(reader.folder)
    return HuggingFaceFolder(weights, f"transformers:{TASK_CLASSES[task]}", config, task_config)


def _transformer_path(modules: list[Any]) -> str:
    """Return where sentence-transformers keeps the encoder: older versions in a folder of its own."""
    first = modules[0] if modules and isinstance(modules[0], dict) else {}
    path = str(first.get("path") or "")
    return path if path and Path(path).name == path else ""


def _text_fields(reader: _Reader, config: dict[str, Any]) -> dict[str, Any]:
    tokenizer = reader.text("tokenizer.json", MAX_TOKENIZER_BYTES)
    if tokenizer is None and not (reader.folder / "tokenizer.json").exists():
        reader.problems.append(
            "tokenizer.json: is missing; AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes it"
        )
    sentence = reader.json("sentence_bert_config.json")
    if sentence.get("do_lower_case"):
        reader.problems.append(
            "sentence_bert_config.json: do_lower_case is true; expected a tokenizer that lower-cases by itself"
        )
    return {
        "tokenizer": tokenizer,
        "max_tokens": _max_tokens(config, sentence, reader.json("tokenizer_config.json")),
        "pad_token_id": _pad_token_id(config),
    }


def _pad_token_id(config: dict[str, Any]) -> int:
    said = config.get("pad_token_id")
    return said if isinstance(said, int) else int(config.get("model_type") in OFFSET_POSITIONS)


def _max_tokens(config: dict[str, Any], sentence: dict[str, Any], tokenizer: dict[str, Any]) -> int:
    """Return the least that any of the files allows; a tokenizer without a bound says 10³⁰."""
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and config.get("model_type") in OFFSET_POSITIONS:
        # MPNet's is 1 whatever the config says.
        positions -= 1 + (1 if config["model_type"] == "mpnet" else _pad_token_id(config))
    bounds = [positions, sentence.get("max_seq_length"), tokenizer.get("model_max_length")]
    known = [bound for bound in bounds if isinstance(bound, int) and 0 < bound <= MAX_TOKENS]
    return min(known, default=DEFAULT_TOKENS)


def _label_fields(reader: _Reader, config: dict[str, Any], task: str) -> dict[str, Any]:
    kind = config.get("problem_type")
    if kind == "regression":
        reader.problems.append("config.json: problem_type is 'regression'; expected a classification")
    fields: dict[str, Any] = {"labels": _labels(reader, config.get("id2label"), config.get("num_labels"))}
    if task == "text_classification":
        fields["multi_label"] = kind == "multi_label_classification"
    return fields


def _labels(reader: _Reader, id2label: object, count: object) -> list[str]:
    """Return the labels in the order of the classes; transformers itself takes two where the config says nothing."""
    if id2label is None:
        return [f"LABEL_{index}" for index in range(count if isinstance(count, int) else 2)]
    labels = id2label if isinstance(id2label, dict) else {}
    expected = [str(index) for index in range(len(labels))]
    if not labels or sorted(labels, key=str) != sorted(expected):
        reader.problems.append(
            f"config.json: id2label has {list(labels)[:10]}; expected a label for each of 0 to the last class"
        )
        return []
    return [str(labels[index]) for index in expected]


def _embedding_fields(reader: _Reader, modules: list[Any]) -> dict[str, Any]:
    """Return what sentence-transformers' own files say; without them, the mean, normalised."""
    if not modules:
        return {}
    named = [(str(each.get("type")).rpartition(".")[2], each) for each in modules if isinstance(each, dict)]
    kinds = [kind for kind, _ in named]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        reader.problems.append(
            f"modules.json: has {kinds}; expected Transformer, Pooling and, perhaps, Normalize"
        )
        return {}
    pooling = reader.json(f"{named[1][1].get('path')}/{CONFIG_FILE}")
    return {"pooling": _pooling(reader, pooling), "normalise": "Normalize" in kinds}


def _pooling(reader: _Reader, config: dict[str, Any]) -> str:
    known = {
        "mean_tokens": "mean",
        "cls_token": "cls",
        "max_tokens": "max",
        "mean": "mean",
        "cls": "cls",
        "max": "max",
    }
    chosen = [
        key.removeprefix("pooling_mode_")
        for key, value in config.items()
        if value is True and "_mode_" in key
    ]
    if not chosen and isinstance(config.get("pooling_mode"), str):
        chosen = [config["pooling_mode"]]
    if len(chosen) != 1 or chosen[0] not in known:
        reader.problems.append(
            f"pooling: is {chosen}; expected one of {', '.join(sorted(set(known.values())))}"
        )
        return "mean"
    return known[chosen[0]]
