from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy
import pytest

from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.errors import CheckpointNotFoundError, CheckpointUnreadableError
from statehouse.models.storage.files import atomic_file, container_of, recognise_container


def test_absent_and_irregular_files(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match="no such file"):
        recognise_container(tmp_path / "absent.pt")
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    for name in ("folder.pt", "pipe.pt"):
        with pytest.raises(CheckpointUnreadableError, match="not a regular file"):
            recognise_container(tmp_path / name)


def test_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(CheckpointUnreadableError, match=r"suffix '.h5' names no checkpoint; .*\.safetensors"):
        container_of(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.pt", b"", "is empty; expected what torch.save or"),
        ("x.safetensors", b"", "is empty; expected what torch.save or"),
        ("x.pt", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("x.safetensors", b"<!DOCTYPE html>", "a web page"),
        ("x.pt", b"\x80\x04\x95", "a bare pickle, which torch.save did not"),
        ("x.onnx", b"\x08\x0d\x12\x07pytorch", "an ONNX graph; save the state_dict"),
        ("x.pt", b"\x89PNG\r\n\x1a\n", "no checkpoint: it starts with"),
    ],
)
def test_what_a_file_is_instead(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointUnreadableError, match=expected):
        recognise_container(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["x", "x.pt", "x.safetensors", "x.pth.tar", "x.pkl", "x.th", "x.model", "X.PT"]
)
def test_the_content_says_what_it_is_and_not_the_suffix(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(30))
    assert recognise_container(tmp_path / name) == "pt"
    (tmp_path / name).write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    assert recognise_container(tmp_path / name) == "safetensors"


def test_arrays_say_what_they_are(tmp_path):
    with (tmp_path / "array.pt").open("wb") as file:
        numpy.save(file, numpy.zeros(2))
    with pytest.raises(CheckpointUnreadableError, match="a NumPy array"):
        recognise_container(tmp_path / "array.pt")


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_file(path) as sibling:
            sibling.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_missing_folders_and_ordinary_permissions(tmp_path):
    path = tmp_path / "deep" / "er" / "x.pt"
    with atomic_file(path) as sibling:
        sibling.write_bytes(b"new")
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == ordinary.stat().st_mode


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_checkpoints_have_the_permissions_that_the_umask_leaves(
    tmp_path, simple_net, simple_net_config, suffix
):
    path = tmp_path / f"net{suffix}"
    before = os.umask(0o027)
    try:
        save_checkpoint(path, simple_net, architecture="simple_net", config=simple_net_config)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_process_killed_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from statehouse.models.storage.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as sibling:\n"
        "    sibling.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert finished.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
