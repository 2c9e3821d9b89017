"""What is wanted: the deployment, in memory and in its file, and whether somebody else has edited that."""

from __future__ import annotations

from pathlib import Path

from statehouse.scripts.deployment.file import Deployment, DeploymentFile, deployment_content
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.errors import EditedDeploymentError


class DesiredState:
    """The deployment as it is wanted now. `file` and `journal` are told before it changes."""

    def __init__(self, deployment: Deployment, file: DeploymentFile, journal: Journal) -> None:
        self.deployment = deployment
        self._file = file
        self._journal = journal
        self.content_as_written = file.content()

    @property
    def path(self) -> Path:
        """Where the deployment file lies."""
        return self._file.path

    def change_to(self, deployment: Deployment) -> None:
        """Make ``deployment`` the desired state, in the file first.

        Raises EditedDeploymentError rather than write over somebody's edit, DeploymentWriteError when it cannot
        be written; then both are as they were.
        """
        if self.was_edited():
            raise EditedDeploymentError(
                f"{self.path} was edited and is not applied: run `statehouse apply`, or undo the edit."
            )
        self._journal.expect(deployment_content(deployment))
        self._file.write(deployment)
        self.deployment = deployment
        self.accept_edit()

    def insist_on(self, deployment: Deployment) -> None:
        """Make ``deployment`` the desired state even where the file cannot say so; then raises as `change_to`."""
        self.deployment = deployment
        self.change_to(deployment)

    def accept_edit(self) -> bytes | None:
        """Take the file as it is now for known, and return it."""
        self.content_as_written = self._file.content()
        return self.content_as_written

    def was_edited(self) -> bool:
        """Whether somebody else has written the file since it was read or written here."""
        return self._file.content() != self.content_as_written
