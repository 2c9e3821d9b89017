"""What several folders of tests need."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def only_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the architectures that ship: other tests register some of their own in the same process."""
    from models import architecture

    for name in architecture.list_architectures():
        module = architecture.get_architecture(name).builder.__module__
        if not module.startswith("models.architectures."):
            monkeypatch.delitem(architecture._ARCHITECTURES, name)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A private folder with a path short enough for sockets, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
