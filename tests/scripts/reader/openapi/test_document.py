"""The description of what is loaded; that real requests and answers are as it says is in tests/e2e/test_openapi.py."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from statehouse.models import (
    ImageClassificationTask,
    TabularTask,
    TensorTask,
    TextClassificationTask,
    build_model,
    save_checkpoint,
)
from statehouse.models.tasks.registry import CategoricalFeature, NumericFeature
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.reader.openapi.document import openapi_of
from statehouse.scripts.store import LocalStore
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

FRONT = "http://127.0.0.1:8080"
FEATURES = [
    NumericFeature(name="age", minimum=0, maximum=150),
    CategoricalFeature(name="colour", categories=["red", "blue"]),
]
TASKS: dict[str, tuple[int, Any]] = {
    "images": (4, ImageClassificationTask(
        labels=["a", "b"], height=2, width=2, mode="greyscale", mean=[0.5], std=[0.5]
    )),
    "classes": (3, TabularTask(kind="classification", features=FEATURES, labels=["a", "b"])),
    "values": (3, TabularTask(kind="regression", features=FEATURES)),
    "numbers": (3, TensorTask()),
}  # fmt: skip


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedVersion]:
    """One real version of every task, as the supervisor has it once it is loaded."""
    folder = tmp_path_factory.mktemp("openapi")
    store = LocalStore(folder / "model_store")
    store.folder.mkdir()
    loaded = {}
    for name, (size, task) in TASKS.items():
        torch.manual_seed(0)
        config = {"input_size": size, "hidden_size": 3, "num_classes": 1 if name == "values" else 2}
        module = build_model("simple_net", config)
        file = save_checkpoint(
            folder / f"{name}.pt", module, architecture="simple_net", config=config, task=task
        )
        published = publish(file, store=store, name=name, version="1.0").version
        loaded[name] = LoadedVersion(
            name, "1.0", VersionSettings(), state=VersionState.READY, published=published
        )
    return loaded


def described(versions: list[LoadedVersion], default: str | None = "1.0") -> dict[str, Any]:
    document = openapi_of(versions, lambda name: default, FRONT)
    validate(document)
    return document


def content_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    return document["paths"][path]["post"]["requestBody"]["content"]


def test_every_task_makes_a_valid_document(versions: dict[str, LoadedVersion]) -> None:
    document = described(list(versions.values()))
    assert document["openapi"].startswith("3.1")
    for name in versions:
        assert {path for path in document["paths"] if f"/{name}" in path} == {
            f"/predictions/{name}",
            f"/predictions/{name}/1.0",
            f"/v1/models/{name}:predict",
            f"/v2/models/{name}/infer",
            f"/v2/models/{name}/versions/1.0/infer",
        }


def test_rows_are_the_checkpoint_s_own_schema(versions: dict[str, LoadedVersion]) -> None:
    schemas = described(list(versions.values()))["components"]["schemas"]
    row = schemas["classes-1.0-row"]
    assert row["properties"]["age"] == {"type": "number", "minimum": 0.0, "maximum": 150.0}
    assert row["properties"]["colour"]["enum"] == ["red", "blue"]
    assert schemas["classes-1.0-answer"]["properties"]["label"]["enum"] == ["a", "b"]
    assert schemas["values-1.0-answer"]["properties"]["value"] == {"type": "number"}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("images", {"image/png", "image/jpeg", "image/webp", "multipart/form-data"}),
        ("classes", {"multipart/form-data"}),
        ("values", {"multipart/form-data"}),
        ("numbers", {"application/octet-stream"}),
    ],
)
def test_each_task_has_its_own_form_beside_json(
    versions: dict[str, LoadedVersion], name: str, kinds: set[str]
) -> None:
    assert set(content_of(described([versions[name]]), f"/predictions/{name}")) == kinds | {
        "application/json"
    }


def test_only_a_default_is_found_without_a_version(versions: dict[str, LoadedVersion]) -> None:
    paths = described([versions["numbers"]], default=None)["paths"]
    assert set(paths) == {"/predictions/numbers/1.0", "/v2/models/numbers/versions/1.0/infer"}


def test_operations_have_names_of_their_own(versions: dict[str, LoadedVersion]) -> None:
    paths = described(list(versions.values()))["paths"].values()
    names = [path["post"]["operationId"] for path in paths]
    assert len(names) == len(set(names))


def test_what_is_not_loaded_is_not_described(versions: dict[str, LoadedVersion], tmp_path: Path) -> None:
    numbers = versions["numbers"]
    for state in (VersionState.LOADING, VersionState.FAILED, VersionState.STOPPED):
        other = LoadedVersion("numbers", "1.0", VersionSettings(), state=state, published=numbers.published)
        assert described([other])["paths"] == {}
    assert described([])["paths"] == {}


def text_version(folder: Path, **fields: Any) -> LoadedVersion:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "sky": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    task = TextClassificationTask(tokenizer=words.to_str(), max_tokens=20, labels=["a", "b"], **fields)
    config = {"vocabulary_size": 2, "embedding_size": 3, "output_size": 2}
    torch.manual_seed(0)
    file = save_checkpoint(
        folder / "text.pt", build_model("text_bag", config), architecture="text_bag", config=config, task=task
    )
    (folder / "store").mkdir()
    store = LocalStore(folder / "store")
    published = publish(file, store=store, name="text", version="1.0").version
    return LoadedVersion("text", "1.0", VersionSettings(), state=VersionState.READY, published=published)


@pytest.mark.parametrize(
    ("fields", "takes_text", "tensors", "most"),
    [
        ({}, True, ["text"], 1),
        ({"prompts": {"find": "sky "}}, True, ["text", "prompt"], 2),
        ({"pairs": True}, False, ["text", "text_pair"], 2),
    ],
)
def test_texts_pairs_and_prompts(
    tmp_path: Path, fields: dict[str, Any], takes_text: bool, tensors: list[str], most: int
) -> None:
    document = described([text_version(tmp_path, **fields)])
    content = content_of(document, "/predictions/text")
    assert set(content) == {"application/json"} | ({"text/plain"} if takes_text else set())
    row = document["components"]["schemas"]["text-1.0-row"]
    resolved = {"components": {"schemas": {"text-1.0-row": row}}, **content["application/json"]["schema"]}
    several = {"inputs": [["sky", "sky"]]} if fields.get("pairs") else {"inputs": ["sky", "sky"]}
    one = {"inputs": ["sky", "sky"]} if fields.get("pairs") else {"inputs": "sky"}
    for body in (several, one):
        assert Draft202012Validator(resolved).is_valid(body), body
    assert not Draft202012Validator(resolved).is_valid({"inputs": {"text": "sky", "nope": "sky"}})
    inputs = content_of(document, "/v2/models/text/infer")["application/json"]["schema"]["properties"][
        "inputs"
    ]
    assert [each["properties"]["name"]["const"] for each in inputs["items"]["oneOf"]] == tensors
    assert (inputs["minItems"], inputs["maxItems"]) == (len(tensors) if fields.get("pairs") else 1, most)
