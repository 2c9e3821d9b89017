"""A change that the supervisor's own end interrupted: what became of it, written down at the next start.

The deployment file is what counts. A change before its flip has not written it: restoring the file has
undone the change. After the flip the file holds it: restoring has finished it.
"""

from __future__ import annotations

from models.errors import StatehouseError
from scripts.deployment import Deployment
from scripts.journal import TRIAL, Entry
from scripts.steps import Report, Step
from scripts.supervisor import Supervisor

UNDONE, FINISHED, PARTLY = "interrupted, undone", "interrupted, finished", "interrupted, partly done"


def close_interrupted(supervisor: Supervisor, report: Report) -> None:
    """Append the interrupted change, if there is one, to the history with what became of it."""
    entry = supervisor.journal.pending()
    if entry is None:
        return
    name, running = entry["name"], entry.pop("running", None)
    outcome = outcome_of(entry, supervisor.deployment)
    served = supervisor.front.default_of(name)
    told = f"{entry['kind']} {name}".strip()
    report(Step("interrupted", f"{told} of {entry['when']} was {outcome}"))
    try:
        supervisor.journal.close(
            entry
            | {
                "outcome": outcome,
                "reason": f"the supervisor ended during the step {running!r}",
                "serving": served,
                "seconds": None,
                "requests": None,
                "failed": None,
                "slowest_seconds": None,
            }
        )
    except StatehouseError as error:
        report(Step("interrupted", str(error), state="failed"))


def outcome_of(entry: Entry, deployment: Deployment) -> str:
    """Return what became of an interrupted change, as the desired state tells."""
    if entry["kind"] == "apply":
        return PARTLY if entry["steps"] else UNDONE
    wanted = entry.get("to") or {}
    version = wanted.get("version", "")
    model = deployment.models.get(entry["name"])
    settings = model.versions.get(version) if model else None
    if entry["kind"] == "retire":
        finished = settings is None
    elif entry["kind"] == TRIAL:  # the file says nothing of it
        finished = False
    elif entry["kind"] in ("scale", "settings", "tune"):
        plain = settings.model_dump(mode="json", exclude_none=True) if settings else None
        finished = plain is not None and plain == wanted.get("settings")
    else:
        finished = model is not None and model.default == version
    return FINISHED if finished else UNDONE
