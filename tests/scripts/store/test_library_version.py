from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from statehouse.scripts.store.library_version import changed_library
from statehouse.scripts.store.manifest import parse_manifest


@pytest.fixture
def changed(make_version):
    content = json.loads((make_version() / "version.json").read_bytes())

    def ask(library: str | None) -> str | None:
        return changed_library(
            parse_manifest(json.dumps(content | {"architecture_library": library}).encode())
        )

    return ask


def test_what_is_of_no_library_or_of_the_installed_one_has_not_changed(changed):
    assert changed(None) is None
    assert changed(f"torchvision {version('torchvision')}") is None


def test_another_or_an_absent_library_is_told(changed):
    told = changed("torchvision 0.1.0")
    assert told.startswith(
        f"published with torchvision 0.1.0, installed is torchvision {version('torchvision')};"
    )
    assert "installed is none" in changed("absent-library 1.0")
