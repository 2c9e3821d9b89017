"""One version, as it lies in a folder of this machine."""

import pytest

from statehouse.scripts.store.folder import read_folder


@pytest.fixture
def version(make_version):
    return read_folder(make_version("digits", "1.10"))


def test_it_is_what_its_manifest_says(version):
    manifest = version.manifest
    assert (version.name, version.version, version.digest) == ("digits", "1.10", manifest.digest)


def test_its_files_lie_in_its_folder(version):
    assert version.checkpoint_path == version.folder / "checkpoint.pt"
    assert version.golden_path == version.folder / "golden.json"
    assert version.file_names == sorted(file.name for file in version.folder.iterdir())
    assert version.file_names is version.file_names
