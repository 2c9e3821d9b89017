"""What a change decides and journals; whole changes are killed in tests/faults."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.changes.change import Change
from statehouse.scripts.deployment.edits import with_default
from statehouse.scripts.deployment.file import (
    Deployment,
    DeploymentFile,
    VersionSettings,
    read_deployment,
    write_deployment,
)
from statehouse.scripts.deployment.interrupted import settle_interrupted
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.errors import StoreError
from statehouse.scripts.supervisor.desired_state import DesiredState
from statehouse.scripts.supervisor.running_change import Asked, RunningChange

BEFORE = Deployment.model_validate({"models": {"digits": {"default": "1.0", "versions": {"1.0": {}}}}})
AFTER = with_default(BEFORE, "digits", "1.1", BEFORE.models["digits"].versions["1.0"])


class Store:
    """A store that has one version."""

    def get(self, name: str, version: str) -> Any:
        if (name, version) != ("digits", "1.1"):
            raise StoreError("not there")
        return SimpleNamespace(digest="sha256:11")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployment.yaml"


@pytest.fixture
def parts(file: Path) -> Any:
    write_deployment(file, AFTER)
    journal = Journal(file)
    return SimpleNamespace(  # a server has more; a change that does nothing asks for no more than this
        desired=DesiredState(BEFORE, DeploymentFile(file), journal),
        journal=journal,
        store=Store(),
        front=SimpleNamespace(default_of={"digits": "1.0", "cancer": "3.0"}.get),
        fleet=None,
        torchserve=None,
        drain=None,
    )


def change_of(parts: Any, kind: str = "swap", name: str = "digits") -> Change:
    return Change(parts, RunningChange(Asked(kind, name, "me", "here")), report=lambda step: None)


def test_what_is_undone_is_journalled_before_it_is(parts: Any, file: Path) -> None:
    """A flip that failed, whose deployment is written already, and an end before that is written back."""
    change = change_of(parts)
    change.decide(AFTER)
    change.undecide(BEFORE)
    interrupted = settle_interrupted(file, report=lambda step: None)
    assert interrupted is not None
    assert (interrupted.running, interrupted.outcome) == ("undo", "interrupted, undone")
    assert read_deployment(file).models["digits"].default == "1.0"


def test_what_it_leads_to_and_plans_stands_in_the_journal(parts: Any) -> None:
    change = change_of(parts)
    change.plans(["load digits 1.1"])
    change.leads_to("1.1", VersionSettings(workers=3))
    change.undecide(BEFORE)
    entry = parts.journal.pending()
    assert entry["plan"] == ["load digits 1.1"]
    assert entry["from"] == {"version": "1.0", "digest": None}
    assert (entry["to"]["version"], entry["to"]["digest"]) == ("1.1", "sha256:11")
    assert entry["to"]["settings"]["workers"] == 3


def test_a_part_decides_nothing_and_shares_what_it_leads_to(parts: Any) -> None:
    whole = change_of(parts, "apply", "")
    part = whole.for_model("digits")
    part.decide(AFTER)
    assert not whole.decided
    part.undecide(AFTER)
    assert parts.journal.pending() is None
    part.leads_to("1.1")
    whole.decide(AFTER)
    assert part.decided
    assert (whole.name, part.name) == ("", "digits")
    whole.undecide(BEFORE)
    assert parts.journal.pending()["to"]["version"] == "1.1"


def test_what_is_decided_stays_so(parts: Any) -> None:
    change = change_of(parts)
    change.decide(AFTER)
    change.decide(BEFORE)
    change._journal("flip", must=True)
    assert parts.journal.pending()["lands"]["models"]["digits"]["default"] == "1.1"
