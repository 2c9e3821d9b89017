"""A published version that somebody tampered with runs nothing: refused by the supervisor, or else by the worker."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.faults.conftest import FaultyServer

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.errors import CommandError


class RunsACommand:
    """Unpickled by anything that trusts it, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._trace}",)


@pytest.fixture(scope="module")
def server(served: FaultyServer) -> Iterator[FaultyServer]:
    """1.0 serves; whatever a test does, it serves on from the same processes, and nothing has run."""
    before = served.model("moody", "1.0")["workers"]["pids"]
    yield served
    assert served.model("moody", "1.0")["workers"]["pids"] == before
    assert served.serving() == "1.0"
    assert not trace_of(served).exists()


def trace_of(server: FaultyServer) -> Path:
    return server.folder / "ran"


def refused(server: FaultyServer, name: str, version: str) -> str:
    """Ask the supervisor itself: what the command would not let through comes to it too."""
    with pytest.raises(CommandError) as refusal:
        ControlClient(server.deployment_file).change("swap", lambda step: None, name=name, version=version)
    assert not trace_of(server).exists()
    return str(refusal.value)


def copy_of(server: FaultyServer, version: str, **said: object) -> Path:
    """A version made of 1.0's folder by hand, its manifest changed to fit."""
    folder = server.store / f"moody-{version}"
    shutil.copytree(server.store / "moody-1.0", folder)
    write_manifest(folder, version=version, **said)
    return folder


def write_manifest(folder: Path, **said: object) -> None:
    """Say what the files are now, as who tampers with a version would."""
    manifest = json.loads((folder / "version.json").read_bytes()) | said
    for name, record in manifest["files"].items():
        if (folder / name).exists():
            content = (folder / name).read_bytes()
            record |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (folder / "version.json").chmod(0o644)
    (folder / "version.json").write_text(json.dumps(manifest))


def pickled_in_a_zip(file: Path, trace: Path) -> None:
    torch.save({"model_state_dict": {"scale": torch.zeros(4)}, "metadata": RunsACommand(trace)}, file)


def bare_pickle(file: Path, trace: Path) -> None:
    file.write_bytes(pickle.dumps(RunsACommand(trace)))


@pytest.mark.parametrize(("version", "spoil"), [("5.0", pickled_in_a_zip), ("5.1", bare_pickle)])
def test_a_hostile_pickle_whose_hashes_fit_is_refused_by_the_worker(
    server: FaultyServer, version: str, spoil: Callable[[Path, Path], None]
) -> None:
    folder = copy_of(server, version)
    (folder / "checkpoint.pt").unlink()
    spoil(folder / "checkpoint.pt", trace_of(server))
    write_manifest(folder)
    assert "checkpoint" in refused(server, "moody", version)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "said",
    [
        {"checkpoint": "../moody-1.0/checkpoint.pt"},
        {"task": "evil"},
        {"handler": "evil.py"},
        {
            "files": {
                "checkpoint.pt": {"sha256": "0" * 64, "size_bytes": 1},
                "golden.json": {},
                "handler.py": {},
            }
        },
        {"name": "moody-1.0"},
        {"name": "../moody"},
    ],
)
def test_a_manifest_that_says_more_than_it_may_is_refused_by_the_supervisor(
    server: FaultyServer, said: dict[str, object]
) -> None:
    folder = server.store / "moody-6.0"
    shutil.copytree(server.store / "moody-1.0", folder)
    manifest = json.loads((folder / "version.json").read_bytes()) | {"version": "6.0"} | said
    (folder / "version.json").chmod(0o644)
    (folder / "version.json").write_text(json.dumps(manifest))
    assert "version.json" in refused(server, "moody", "6.0")
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("../model_store/moody", "1.0"),
        ("moody", "../1.0"),
        ("moody", "1.0/../1.1"),
        ("..", "1.0"),
        ("/etc", "1.0"),
        ("moody", "1.0-evil"),
        ("moody-1.0", "evil"),
        ("moody%2f..", "1.0"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(server: FaultyServer, name: str, version: str) -> None:
    (server.store / "moody-1.0-evil").mkdir(exist_ok=True)  # a sibling whose name begins as that of a version
    refused(server, name, version)
    shutil.rmtree(server.store / "moody-1.0-evil")


def test_a_sibling_whose_name_begins_like_a_version_s_is_never_loaded(server: FaultyServer) -> None:
    evil = server.store / "moody-1.0-evil"
    shutil.copytree(server.store / "moody-1.0", evil)
    write_manifest(evil, name="moody-1.0", version="evil")
    (evil / "handler.py").write_text(f"open({str(trace_of(server))!r}, 'w').close()")
    for name, version in (("moody", "1.0-evil"), ("moody-1.0", "evil"), ("moody-1.0-evil", "1.0")):
        refused(server, name, version)
    assert server.client.post("/predictions/moody/1.0-evil", json={"inputs": [0.0] * 4}).status_code == 404
    assert server.client.post("/predictions/moody-1.0/evil", json={"inputs": [0.0] * 4}).status_code == 404
    shutil.rmtree(evil)
