"""What became of a change that the supervisor's end interrupted, as the deployment file tells."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.deployment import Deployment, VersionSettings
from scripts.interrupted import FINISHED, UNDONE, outcome_of

DEPLOYMENT = Deployment.model_validate(
    {"models": {"digits": {"default": "1.0", "versions": {"1.0": {"workers": 2}}}}}
)


def entry(kind: str, workers: int) -> dict[str, Any]:
    settings = VersionSettings(workers=workers).model_dump(mode="json", exclude_none=True)
    return {"kind": kind, "name": "digits", "steps": [], "to": {"version": "1.0", "settings": settings}}


@pytest.mark.parametrize("kind", ["scale", "settings", "tune"])
def test_other_settings_are_there_when_the_file_has_them(kind: str) -> None:
    assert outcome_of(entry(kind, workers=2), DEPLOYMENT) == FINISHED
    assert outcome_of(entry(kind, workers=3), DEPLOYMENT) == UNDONE
    assert outcome_of(entry(kind, workers=2) | {"to": None}, DEPLOYMENT) == UNDONE  # it had not begun
    assert outcome_of(entry(kind, workers=2), Deployment()) == UNDONE


def test_a_trial_never_outlives_a_start() -> None:
    assert outcome_of(entry("trial", workers=2), DEPLOYMENT) == UNDONE
