import json
import os

import pytest

from statehouse.handlers.errors import ChangedFilesError, WorkerSettingsError
from statehouse.handlers.worker.settings import check_identity, read_settings


@pytest.fixture
def version(tmp_path):
    """A version folder of two files, and the settings that describe it."""
    folder, private = tmp_path / "digits-1.0", tmp_path / "private"
    folder.mkdir()
    private.mkdir()
    files = {}
    for name in ("checkpoint.pt", "version.json"):
        (folder / name).write_text(name)
        status = (folder / name).lstat()
        files[name] = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
    settings = {
        "name": "digits",
        "version": "1.0",
        "digest": "d" * 64,
        "version_folder": str(folder),
        "checkpoint": "checkpoint.pt",
        "architecture": "simple_net",
        "files": files,
        "door": str(private / "d"),
        "max_request_bytes": 16 * 2**20,
        "request_timeout_seconds": 60,
        "metrics_folder": str(private),
        "failure_file": str(private / "failure.json"),
    }
    (private / "statehouse.json").write_text(json.dumps(settings))
    return private, folder


def test_the_verified_files_pass(version):
    private, folder = version
    settings = read_settings(private)
    check_identity(settings)
    assert settings.checkpoint_path == folder / "checkpoint.pt"


def test_every_changed_file_is_named(version):
    private, folder = version
    (folder / "checkpoint.pt").write_text("another")
    (folder / "version.json").unlink()
    (folder / "handler.py").write_text("import os")
    with pytest.raises(ChangedFilesError) as caught:
        check_identity(read_settings(private))
    told = str(caught.value)
    assert "version.json: missing" in told
    assert "handler.py: does not belong to the version" in told
    assert "checkpoint.pt: was changed or replaced" in told
    assert len(caught.value.problems) == 3


def test_a_replaced_file_of_the_same_size_and_time_is_another_file(version):
    private, folder = version
    path = folder / "checkpoint.pt"
    before = path.stat()
    beside = folder.parent / "beside"
    beside.write_text(path.read_text())
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(path)
    with pytest.raises(ChangedFilesError, match=r"checkpoint\.pt: was changed or replaced"):
        check_identity(read_settings(private))


def test_links_and_folders_are_no_files(version):
    private, folder = version
    (folder / "checkpoint.pt").rename(folder.parent / "elsewhere.pt")
    (folder / "checkpoint.pt").symlink_to(folder.parent / "elsewhere.pt")
    (folder / "more").mkdir()
    with pytest.raises(ChangedFilesError) as caught:
        check_identity(read_settings(private))
    assert "checkpoint.pt: is not a plain file" in str(caught.value)
    assert "more: does not belong" in str(caught.value)


def test_a_vanished_version_folder_is_named(version):
    private, folder = version
    settings = read_settings(private)
    folder.rename(folder.with_name("gone"))
    with pytest.raises(ChangedFilesError, match="cannot read the version folder"):
        check_identity(settings)


def test_wrong_settings_name_every_problem(tmp_path):
    (tmp_path / "statehouse.json").write_text('{"name": "digits", "batch_size": 0, "colour": "red"}')
    with pytest.raises(WorkerSettingsError) as caught:
        read_settings(tmp_path)
    for field in ("version", "batch_size", "colour"):
        assert f"{field}: " in str(caught.value)


def test_absent_settings_are_said_to_be_absent(tmp_path):
    with pytest.raises(WorkerSettingsError, match="the supervisor writes it"):
        read_settings(tmp_path)
