"""What is installed here is the release; a copy of it in which one file differs is not."""

import shutil
from pathlib import Path

import pytest
import ts

from statehouse.handlers.worker.torchserve_source import SOURCE_DIGESTS, why_foreign

PACKAGE = Path(ts.__file__).parent


def test_the_release_that_is_installed_is_no_other():
    assert why_foreign(PACKAGE) is None


@pytest.mark.parametrize("name", SOURCE_DIGESTS)
def test_one_file_that_differs_is_named_with_what_to_do(tmp_path, name):
    for each in SOURCE_DIGESTS:
        (tmp_path / each).parent.mkdir(exist_ok=True)
        shutil.copy(PACKAGE / each, tmp_path / each)
    assert why_foreign(tmp_path) is None
    with (tmp_path / name).open("a") as file:
        file.write("# changed")
    assert str(tmp_path / name) in why_foreign(tmp_path)
    assert "pip install" in why_foreign(tmp_path)
