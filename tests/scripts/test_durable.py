import pytest

from statehouse.scripts.durable import write_durably


def test_replaces_the_content(tmp_path):
    path = tmp_path / "file"
    write_durably(path, b"first")
    write_durably(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_changes_nothing(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_durably(path, b"content")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
