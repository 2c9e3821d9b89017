import os
import re
import subprocess
import sys

import pytest

from statehouse.scripts.errors import NameRuleError, VersionFolderError, VersionNotFoundError
from statehouse.scripts.store import LocalStore


@pytest.fixture
def store(store_folder):
    return LocalStore(store_folder)


def test_lists_by_name_and_ascending_version(store, make_version):
    for name, version in [("digits", "1.10"), ("digits", "1.9"), ("cancer", "2.0")]:
        make_version(name, version)
    assert [(v.name, v.version) for v in store.scan().versions] == [
        ("cancer", "2.0"),
        ("digits", "1.9"),
        ("digits", "1.10"),
    ]


def test_an_absent_store_is_empty(tmp_path):
    assert LocalStore(tmp_path / "nowhere").scan().versions == []


def test_files_and_unfinished_publishes_are_nobodys_version(store, store_folder, make_version):
    make_version()
    (store_folder / "README.md").write_text("what this is")
    (store_folder / ".publishing-digits-2.0-x").mkdir()
    assert [v.version for v in store.scan().versions] == ["1.0"]


def test_get_returns_the_version(store, make_version):
    folder = make_version()
    version = store.get("digits", "1.0")
    assert (version.name, version.version, version.folder) == ("digits", "1.0", folder)
    assert version.checkpoint_path.read_bytes() == b"tensors"
    assert version.file_names == ["checkpoint.pt", "golden.json", "version.json"]


def test_not_found_lists_what_there_is(store, make_version):
    make_version("digits", "1.0")
    make_version("cancer", "3.0")
    with pytest.raises(
        VersionNotFoundError, match=r"no version 2\.0 of 'digits'.*it has digits-1\.0\. Publish"
    ):
        store.get("digits", "2.0")
    with pytest.raises(VersionNotFoundError, match=r"it has cancer-3\.0, digits-1\.0"):
        store.get("wine", "1.0")


def test_a_name_cannot_leave_the_store(store):
    with pytest.raises(NameRuleError):
        store.get("../digits", "1.0")


def _extra_file(folder):
    (folder / "handler.py").write_text("import os")


def _sub_folder(folder):
    (folder / "MAR-INF").mkdir()


def _missing_file(folder):
    (folder / "golden.json").unlink()


def _link_to_file(folder):
    outside = folder.parent.parent / "outside.pt"
    (folder / "checkpoint.pt").rename(outside)
    (folder / "checkpoint.pt").symlink_to(outside)


def _broken_link(folder):
    (folder / "checkpoint.pt").unlink()
    (folder / "checkpoint.pt").symlink_to("nowhere")


def _fifo(folder):
    (folder / "golden.json").unlink()
    os.mkfifo(folder / "golden.json")


def _no_manifest(folder):
    (folder / "version.json").unlink()


def _renamed(folder):
    folder.rename(folder.with_name("digits-9.0"))


def _linked_folder(folder):
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


LAYOUT_FAULTS = {
    _extra_file: "handler.py does not belong",
    _sub_folder: "MAR-INF does not belong",
    _missing_file: "golden.json is missing",
    _link_to_file: "checkpoint.pt is not a plain file",
    _broken_link: "checkpoint.pt is not a plain file",
    _fifo: "golden.json is not a plain file",
    _no_manifest: "version.json is missing",
    _renamed: "says that it is digits-1.0",
    _linked_folder: "it is a link",
}


@pytest.mark.parametrize(
    ("fault", "message"), LAYOUT_FAULTS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_folder_that_is_not_as_published_is_refused(store, make_version, fault, message):
    make_version("cancer", "1.0")
    fault(make_version())
    listing = store.scan()
    assert [v.name for v in listing.versions] == ["cancer"]
    [refused] = listing.refused
    assert re.search(message, str(refused))


def test_every_problem_of_a_folder_is_reported(store, make_version):
    folder = make_version()
    _extra_file(folder)
    _missing_file(folder)
    with pytest.raises(VersionFolderError) as caught:
        store.get("digits", "1.0")
    assert len(caught.value.problems) == 2


def test_verify_returns_the_identity_of_every_file(store, make_version):
    make_version()
    version = store.get("digits", "1.0")
    identity = store.verify(version)
    assert identity == store.identity(version)
    assert set(identity) == {"checkpoint.pt", "golden.json", "version.json"}
    assert identity["checkpoint.pt"].size_bytes == len(b"tensors")


def test_verify_finds_changed_bytes_in_every_file(store, make_version):
    folder = make_version()
    version = store.get("digits", "1.0")
    (folder / "checkpoint.pt").write_bytes(b"tensorz")
    (folder / "golden.json").write_bytes(b"{ }")
    with pytest.raises(VersionFolderError) as caught:
        store.verify(version)
    first, second = caught.value.problems
    assert "checkpoint.pt has SHA-256" in first
    assert "golden.json has 3 bytes, published were 2" in second


def test_identity_changes_with_a_replaced_file(store, make_version):
    folder = make_version()
    version = store.get("digits", "1.0")
    before = store.identity(version)
    (folder / "beside").write_bytes(b"tensors")
    (folder / "beside").replace(folder / "checkpoint.pt")
    assert store.identity(version)["checkpoint.pt"] != before["checkpoint.pt"]


def test_reading_the_store_needs_no_torch():
    code = (
        "import sys; from statehouse.scripts.store import manifest; import statehouse.scripts.deployment.file; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
