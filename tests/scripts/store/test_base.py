"""What every store does with the versions that are on this machine."""

import pytest

from statehouse.scripts.errors import NameRuleError, VersionFolderError, VersionNotFoundError
from statehouse.scripts.store.base import ModelStore, tell_nobody


@pytest.fixture
def store(store_folder):
    """The shared part alone: a store at an address, whose versions are in a folder."""
    kind = type("Store", (ModelStore,), dict.fromkeys(ModelStore.__abstractmethods__))
    store = kind("s3://bucket", store_folder)
    store._not_here = lambda name, version: f"no {name} {version} here"
    return store


def test_a_version_has_its_place_in_the_store(store):
    assert store.place("digits", "1.0") == "s3://bucket/digits-1.0"
    assert not store.fetches


def test_a_version_that_is_here_is_read_and_verified(store, make_version):
    folder = make_version("digits", "1.0")
    assert store.has("digits", "1.0")
    version = store.get("digits", "1.0")
    assert (version.name, version.version, version.folder) == ("digits", "1.0", folder)
    assert store.verify(version) == store.identity(version)
    assert set(store.identity(version)) == {"checkpoint.pt", "golden.json", "version.json"}


def test_one_that_is_not_here_is_told(store, make_version):
    make_version("digits", "1.0")
    assert not store.has("digits", "1.1")
    with pytest.raises(VersionNotFoundError, match=r"^no digits 1\.1 here$"):
        store.get("digits", "1.1")


def test_a_link_that_leads_nowhere_is_there_and_refused(store, store_folder):
    (store_folder / "digits-1.0").symlink_to("nowhere")
    assert store.has("digits", "1.0")
    with pytest.raises(VersionFolderError, match="a link"):
        store.get("digits", "1.0")


def test_no_name_leads_out_of_the_folder(store):
    for name, version in (("../digits", "1.0"), ("digits", "../1.0")):
        for ask in (store.has, store.get, store.place):
            with pytest.raises(NameRuleError):
                ask(name, version)


def test_a_file_that_has_changed_is_found_when_it_is_verified(store, make_version):
    folder = make_version("digits", "1.0")
    version = store.get("digits", "1.0")
    before = store.identity(version)
    (folder / "checkpoint.pt").write_bytes(b"TENSORS")
    assert store.identity(version) != before
    with pytest.raises(VersionFolderError, match=r"checkpoint\.pt has SHA-256"):
        store.verify(version)


def test_nobody_is_told_anything():
    assert tell_nobody("anything") is None
