"""Checkpoints as people and libraries write them: read with the names and bytes that torch finds, and nothing runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.support.checkpoint_corpus.audited import ROOT, caused_by
from tests.support.checkpoint_corpus.checking import differing, failure, reference
from tests.support.checkpoint_corpus.digest import contents
from tests.support.checkpoint_corpus.hostile import CALLS, MARK
from tests.support.checkpoint_corpus.registry import all_kinds, make_all

KINDS = {name: kind for name, kind in all_kinds().items() if kind.can_be_made}
HOSTILE = [name for name in KINDS if name.startswith("hostile_")]


@pytest.mark.parametrize("name", KINDS)
def test_it_is_read_as_torch_reads_it(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    assert failure(kind, kind.make(tmp_path)) is None


def test_nothing_in_a_file_runs(tmp_path: Path) -> None:
    (made := tmp_path / "made").mkdir()
    (ran_in := tmp_path / "ran_in").mkdir()
    assert len(HOSTILE) > 3 * len(CALLS)
    paths = make_all(made, HOSTILE)
    assert caused_by(paths.values(), ran_in) == {}
    assert not (ran_in / MARK).exists()


def test_what_a_file_would_run_is_seen_by_the_audit(tmp_path: Path) -> None:
    """The guard of the test above: a module in the way of the reader's own imports."""
    (made := tmp_path / "made").mkdir()
    path = make_all(made, ["hostile_runs_a_shell"])["hostile_runs_a_shell"]
    program = (
        "import sys, json; from tests.support.checkpoint_corpus import audited\n"
        "import statehouse.models.storage.containers as c, os\n"
        "c.read_container = lambda path, _: os.path.basename(path).startswith('hostile') and os.system('true')\n"
        "audited.main()"
    )
    found = json.loads(_run(program, str(path)))
    assert any(event.startswith("os.system") for event in found[str(path)])


def test_a_difference_is_seen() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    wanted = contents({"a": tensor, "n": 1}).digest()
    assert differing(wanted, contents({"a": tensor.t().contiguous().t(), "n": 1}).digest()) is None
    others = (
        {"b": tensor, "n": 1},
        {"a": tensor.double(), "n": 1},
        {"a": tensor + 1, "n": 1},
        {"a": tensor, "n": 2},
    )
    for other in (*others, {"a": tensor, "b": tensor, "n": 1}, {"a": tensor.t(), "n": 1}):
        assert differing(wanted, contents(other).digest())


def test_every_kind_has_its_reference() -> None:
    assert set(reference()) == {name for name, kind in all_kinds().items() if kind.refused is None}
    assert len(reference()) >= 60


def _run(program: str, standard_input: str) -> str:
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(
        command, input=standard_input, capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.splitlines()[-1]
