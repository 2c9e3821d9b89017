"""What a deployment file says to commands that need no running server."""

import sys
from pathlib import Path

import pytest

from statehouse.scripts.deployment.project import Project
from statehouse.scripts.errors import DeploymentContentError, StoreAddressError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "deployment.yaml"


def test_without_a_file_it_is_the_defaults_beside_where_it_would_be(file: Path) -> None:
    project = Project.of_deployment(file)
    assert project.store.address == str(file.parent / "model_store")
    assert (project.architectures, project.max_cache_bytes) == ((), 20 * 1024**3)


def test_the_file_says_the_store_and_the_architectures(file: Path) -> None:
    file.write_text("model_store: s\narchitectures: [nets]\nlimits: {max_cache_bytes: 5}\n")
    project = Project.of_deployment(file)
    assert (project.store.folder, project.architectures, project.max_cache_bytes) == (
        file.parent / "s",
        ("nets",),
        5,
    )
    assert Project.of_deployment(file, str(file.parent / "other")).store.folder == file.parent / "other"


def test_modules_beside_it_can_be_imported_whatever_else_is_there(file: Path) -> None:
    Project.of_deployment(file)
    Project.of_deployment(file)
    assert sys.path[0] == str(file.parent)
    assert sys.path.count(str(file.parent)) == 1


def test_a_broken_file_and_a_place_that_is_no_store_are_told(file: Path) -> None:
    with pytest.raises(StoreAddressError):
        Project.of_deployment(file, "file:///here")
    file.write_text("models: 3")
    with pytest.raises(DeploymentContentError):
        Project.of_deployment(file)
