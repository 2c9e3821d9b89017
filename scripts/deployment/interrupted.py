"""What an interrupted change leads to: undone wholly, or finished wholly.

A change may be interrupted at any moment: the supervisor is killed, or stopped, or TorchServe ends. Until all that
can fail of it has proved itself it is undone then, from there on it is finished. Either is a whole desired state,
and restoring that is what a start does anyway: so each step is journalled with the state that counts from then on,
and a start makes the deployment file say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from statehouse.models.errors import StatehouseError
from statehouse.scripts.deployment.file import (
    Deployment,
    DeploymentFile,
    ModelDeployment,
    deployment_content,
    read_deployment,
    rejected_file,
    write_deployment,
)
from statehouse.scripts.deployment.journal import Entry, Journal, fingerprint
from statehouse.scripts.errors import DeploymentWriteError
from statehouse.scripts.progress import Report, Step

UNDONE, FINISHED = "interrupted, undone", "interrupted, finished"
OVERRULED = "interrupted, overruled by an edit"  # whoever edits the file meanwhile says what is desired


@dataclass(frozen=True)
class Landing:
    """Where a change ends that goes no further: all models that are desired then, and whether that is its aim.

    ``architectures`` are the modules that are named then; None, from a journal of before: those that the file names.
    """

    models: dict[str, ModelDeployment]
    finished: bool = False
    architectures: list[str] | None = None

    @classmethod
    def at(cls, deployment: Deployment, *, finished: bool = False) -> Landing:
        """Return the one at a desired state."""
        return cls(deployment.models, finished, deployment.architectures)

    @property
    def outcome(self) -> str:
        """What the history says of a change that ended there."""
        return FINISHED if self.finished else UNDONE

    def to_plain(self) -> Entry:
        """Return it as the journal has it."""
        models = {
            name: model.model_dump(mode="json", exclude_none=True) for name, model in self.models.items()
        }
        return {"finished": self.finished, "models": models, "architectures": self.architectures}

    @classmethod
    def of_plain(cls, plain: Entry) -> Landing:
        """Return what the journal has."""
        models = {name: ModelDeployment.model_validate(model) for name, model in plain["models"].items()}
        return cls(models, plain["finished"], plain.get("architectures"))

    def of(self, deployment: Deployment) -> Deployment:
        """Return the desired state that it makes of one."""
        named = deployment.architectures if self.architectures is None else self.architectures
        return deployment.model_copy(update={"models": self.models, "architectures": named})


@dataclass(frozen=True)
class Interrupted:
    """A change that the supervisor's own end interrupted, and what has become of it."""

    entry: Entry
    running: str  # its step
    outcome: str


def settle_interrupted(deployment_file: Path, report: Report) -> Interrupted | None:
    """Make the deployment file say what an interrupted change leads to; return the change, if there is one.

    It stays pending until it is closed: a start that is interrupted as well settles it once more.
    """
    journal = Journal(deployment_file)
    entry = journal.pending()
    if entry is None:
        return None
    told = {key: value for key, value in entry.items() if key not in ("running", "lands", "files")}
    landing, outcome = Landing.of_plain(entry["lands"]), OVERRULED
    if fingerprint(DeploymentFile(deployment_file).content()) in entry["files"]:
        outcome = landing.outcome
        try:
            _land(journal, deployment_file, landing, report)
        except DeploymentWriteError as error:
            report(Step("interrupted", str(error), state="failed"))
    return Interrupted(told, entry["running"], outcome)


def _land(journal: Journal, deployment_file: Path, landing: Landing, report: Report) -> None:
    told: list[str] = []
    found = read_deployment(deployment_file, say=told.append)
    wanted = landing.of(found)
    if wanted != found:
        for text in told:  # whoever reads the file from here on finds nothing of it any more
            report(Step("deployment", text))
        journal.expect(deployment_content(wanted))
        write_deployment(deployment_file, wanted)
    if landing.finished:
        rejected_file(deployment_file).unlink(missing_ok=True)


def close_interrupted(
    journal: Journal, interrupted: Interrupted, *, serving: str | None, report: Report
) -> None:
    """Append an interrupted change to the history, and say what became of it."""
    entry = interrupted.entry
    told = f"{entry['kind']} {entry['name']}".strip()
    text = f"{told} of {entry['when']} was {interrupted.outcome}"
    if entry["kind"] == "apply" and interrupted.outcome == UNDONE:
        text += f"; the edit is kept in {rejected_file(journal.deployment_file)}"
    report(Step("interrupted", text))
    unknown = dict.fromkeys(("seconds", "requests", "failed", "slowest_seconds"))
    reason = f"the supervisor ended during the step {interrupted.running!r}"
    closed = {"outcome": interrupted.outcome, "reason": reason, "serving": serving}
    try:
        journal.close(entry | closed | unknown)
    except StatehouseError as error:
        report(Step("interrupted", str(error), state="failed"))
