"""The description of what is loaded; that real requests and answers are as it says is in tests/e2e/test_openapi.py."""

from pathlib import Path
from typing import Any

import pytest
import torch
from openapi_spec_validator import validate

from models import ImageClassificationTask, TabularTask, TensorTask, build_model, save_checkpoint
from models.task import CategoricalFeature, NumericFeature
from scripts.deployment import VersionSettings
from scripts.loaded_version import LoadedVersion, VersionState
from scripts.publish import publish
from scripts.store import LocalStore
from scripts.web.openapi import openapi_of

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
