"""A folder as Hugging Face's libraries save it: which file has the weights, and what the others say of them.

Read are config.json, tokenizer.json and tokenizer_config.json, the latter two of the folder above where a trainer has
left them there; and of sentence-transformers modules.json, the
pooling's config.json, sentence_bert_config.json and config_sentence_transformers.json: all of it data. transformers
itself is not needed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.quantised_folder import refuse_quantised
from statehouse.models.foreign.sentence_transformers import (
    SETTINGS_FILE,
    is_cross_encoder,
    outputs_of,
    prompt_fields,
    truncation_fields,
)
from statehouse.models.plain import suggestion
from statehouse.models.storage.shard_index import locate_checkpoint
from statehouse.models.tasks.text import MAX_TOKENIZER_BYTES, MAX_TOKENS

CONFIG_FILE = "config.json"
TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
# How trainers call what they save while they train: Hugging Face's Trainer, and accelerate's examples.
_WHILE_TRAINING = re.compile(r"(checkpoint|epoch|step)[-_]\d+")
MAX_JSON_BYTES = 4 * 1024 * 1024
DEFAULT_TOKENS = 512
# Those whose `model_input_names` have `token_type_ids`; of a folder that names no class the model's type decides.
TYPED_TOKENIZERS = frozenset(
    f"{name}Tokenizer"
    for name in ("Bert", "ConvBert", "Deberta", "DebertaV2", "Electra", "MobileBert", "SqueezeBert")
)
TYPED_MODELS = frozenset(
    {
        "bert",
        "convbert",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "mobilebert",
        "squeezebert",
    }
)
# sentence-transformers knows these two of any embedding, empty where unsaid.
ALWAYS_NAMED = ("query", "document")
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
    notes: tuple[str, ...] = ()  # where it is read otherwise than plainly


@dataclass
class _Reader:
    """The files of a folder, and everything that is wrong with them."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    _held: dict[str, Any] = field(
        default_factory=dict
    )  # what was read before, so that a problem is told once

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer is: above a checkpoint that was saved while training and has none of its own."""
        above = self.folder.absolute().parent
        is_above = (
            _WHILE_TRAINING.fullmatch(self.folder.absolute().name) and (above / TOKENIZER_FILE).is_file()
        )
        return above if is_above and not (self.folder / TOKENIZER_FILE).exists() else self.folder

    def text(self, name: str, max_bytes: int) -> str | None:
        """Return the text of a file, None where there is no such file or it cannot be one."""
        of_tokenizer = name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE)
        path = (self.tokenizer_folder if of_tokenizer else self.folder) / name
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
        if name not in self._held:
            self._held[name] = self._json(name, kind)
        return self._held[name]

    def _json(self, name: str, kind: type[Any]) -> Any:  # noqa: ANN401 - of that kind
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


def read_hugging_face_folder(
    path: Path, task: str | None, said: Mapping[str, Any] | None = None
) -> HuggingFaceFolder:
    """Return what the folder at `path` says of itself, to be served as `task`; `said` is what goes before it.

    Raises:
        CheckpointContentError: no such task, or files that are missing or wrong; every problem is listed.
        CheckpointUnreadableError: it holds no weights, several, or quantised ones.
    """
    refuse_quantised(path, _Reader(path).json(CONFIG_FILE))
    if task not in TASK_CLASSES:
        given = f"{task!r} is none" if task else "a Hugging Face folder names none"
        hint = suggestion(task or "", list(TASK_CLASSES))
        raise CheckpointContentError(
            f"{path}: cannot be read:", [f"task: {given} that is served from one{hint}"]
        )
    modules = _Reader(path).json("modules.json", list)
    reader = _Reader(path / _transformer_path(modules))
    root = _Reader(path, reader.problems)
    config, settings = reader.json(CONFIG_FILE), root.json(SETTINGS_FILE)
    task_config = _text_fields(reader, config)
    if task == "embedding":
        task_config |= _embedding_fields(root, modules, settings)
    else:
        task_config |= _label_fields(reader, config, task, settings)
        if "pairs" not in (said or {}):
            _ask_for_pairs(reader, task_config)
        if (task_config | dict(said or {})).get("pairs") and not _tells_texts_apart(reader, config):
            task_config["token_type_ids"] = False
    if reader.problems:
        raise CheckpointContentError(
            f"{path}: this Hugging Face folder is wrong or incomplete:", reader.problems
        )
    weights, above = locate_checkpoint(reader.folder), reader.tokenizer_folder
    notes = (f"the tokenizer is that of the folder above, {above.name}",) if above != reader.folder else ()
    return HuggingFaceFolder(weights, f"transformers:{TASK_CLASSES[task]}", config, task_config, notes)


def _transformer_path(modules: list[Any]) -> str:
    """Return where sentence-transformers keeps the encoder: older versions in a folder of its own."""
    first = modules[0] if modules and isinstance(modules[0], dict) else {}
    path = str(first.get("path") or "")
    return path if path and Path(path).name == path else ""


def _text_fields(reader: _Reader, config: dict[str, Any]) -> dict[str, Any]:
    tokenizer = reader.text(TOKENIZER_FILE, MAX_TOKENIZER_BYTES)
    if tokenizer is None and not (reader.tokenizer_folder / TOKENIZER_FILE).exists():
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
        "max_tokens": _max_tokens(config, sentence, reader.json(TOKENIZER_CONFIG_FILE)),
        "pad_token_id": _pad_token_id(config),
    }


def _tells_texts_apart(reader: _Reader, config: dict[str, Any]) -> bool:
    """Whether transformers' tokenizer says of each token of a pair which text it is of: its class decides."""
    tokenizer = reader.json(TOKENIZER_CONFIG_FILE)
    names = tokenizer.get("model_input_names")
    if isinstance(names, list):
        return "token_type_ids" in names
    said = tokenizer.get("tokenizer_class") or config.get("tokenizer_class")
    return (
        str(said).removesuffix("Fast") in TYPED_TOKENIZERS
        if said
        else config.get("model_type") in TYPED_MODELS
    )


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


def _label_fields(
    reader: _Reader, config: dict[str, Any], task: str, settings: dict[str, Any]
) -> dict[str, Any]:
    kind = config.get("problem_type")
    fields: dict[str, Any] = {"labels": _labels(reader, config.get("id2label"), config.get("num_labels"))}
    if task != "text_classification":
        if kind == "regression":
            reader.problems.append("config.json: problem_type is 'regression'; expected a classification")
        return fields
    label_count = len(fields["labels"])
    if is_cross_encoder(config, settings):
        prompts = prompt_fields(settings, reader.problems)
        return fields | outputs_of(config, settings, label_count, reader.problems) | prompts | {"pairs": True}
    fields["multi_label"] = kind == "multi_label_classification"
    fields["outputs"] = _meaning(kind, label_count)
    return fields


def _meaning(kind: object, label_count: int) -> str | None:
    """Return what the outputs are as transformers' pipeline reads them: a regression's number, one label's sigmoid."""
    if kind == "regression":
        return "values"
    return "logits" if label_count == 1 else None


def _ask_for_pairs(reader: _Reader, fields: dict[str, Any]) -> None:
    """Ask where labels are of two texts, and nothing says so: whether one entails the other."""
    if "pairs" in fields or not any(label.lower() == "entailment" for label in fields["labels"]):
        return
    reader.problems.append(
        f"pairs: the labels ({', '.join(fields['labels'][:5])}) judge two texts, a premise and a hypothesis, and the "
        """folder does not say whether it takes them: say --task-config '{"pairs": true}' where it does, or """
        """'{"pairs": false}' where it judges one text"""
    )


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


def _embedding_fields(reader: _Reader, modules: list[Any], settings: dict[str, Any]) -> dict[str, Any]:
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
    return {
        "pooling": _pooling(reader, pooling),
        "normalise": "Normalize" in kinds,
        "include_prompt": pooling.get("include_prompt") is not False,
        **prompt_fields(settings, reader.problems, always=ALWAYS_NAMED),
        **truncation_fields(settings, reader.problems),
    }


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
