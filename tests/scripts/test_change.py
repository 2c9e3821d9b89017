"""What an interruption leads to, as a change journals it; whole changes are killed in tests/faults."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.change import Asked, Change
from scripts.deployment import Deployment, deployment_content, read_deployment, write_deployment
from scripts.desired import with_default
from scripts.interrupted import settle_interrupted
from scripts.journal import Journal


def test_what_is_undone_is_journalled_before_it_is(tmp_path: Path) -> None:
    """A flip that failed, whose deployment is written already, and an end before that is written back."""
    file = tmp_path / "deployment.yaml"
    before = Deployment.model_validate({"models": {"digits": {"default": "1.0", "versions": {"1.0": {}}}}})
    after = with_default(before, "digits", "1.1", before.models["digits"].versions["1.0"])
    write_deployment(file, after)
    supervisor: Any = SimpleNamespace(  # a real one serves; this asks for no more than its journal
        deployment=before,
        deployment_as_written=deployment_content(after),
        front=SimpleNamespace(default_of=lambda name: None),
        journal=Journal(file),
    )
    change = Change(supervisor, Asked("swap", "digits", "me", "here"), report=lambda step: None)
    change.decide(after)
    change.undecide(before)
    interrupted = settle_interrupted(file, report=lambda step: None)
    assert interrupted is not None
    assert (interrupted.running, interrupted.outcome) == ("undo", "interrupted, undone")
    assert read_deployment(file).models["digits"].default == "1.0"
