"""What is wanted: the file first, nobody's edit written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from statehouse.scripts.deployment.file import Deployment, deployment_content
from statehouse.scripts.errors import DeploymentWriteError, EditedDeploymentError
from statehouse.scripts.supervisor.desired_state import DesiredState

BEFORE = Deployment()
AFTER = Deployment.model_validate({"models": {"net": {"default": "1.0", "versions": {"1.0": {}}}}})


class Memory:
    """A deployment file, and the journal, that lie in memory."""

    path = Path("deployment.yaml")

    def __init__(self) -> None:
        self.bytes: bytes | None = deployment_content(BEFORE)
        self.expected: list[bytes] = []
        self.full = False

    def content(self) -> bytes | None:
        return self.bytes

    def write(self, deployment: Deployment) -> None:
        assert self.expected, "the journal was not told first"
        if self.full:
            raise DeploymentWriteError("full")
        self.bytes = deployment_content(deployment)

    def expect(self, content: bytes) -> None:
        self.expected.append(content)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def desired(memory: Memory) -> DesiredState:
    return DesiredState(BEFORE, memory, memory)


def test_the_journal_then_the_file_then_what_is_desired(desired, memory):
    desired.change_to(AFTER)
    assert memory.expected == [memory.bytes] == [deployment_content(AFTER)]
    assert desired.deployment is AFTER
    assert not desired.was_edited()


def test_an_edit_is_not_written_over(desired, memory):
    memory.bytes += b"# mine\n"
    with pytest.raises(EditedDeploymentError, match=r"deployment\.yaml was edited"):
        desired.change_to(AFTER)
    assert desired.deployment is BEFORE
    assert memory.bytes.endswith(b"# mine\n")
    assert memory.expected == []


def test_an_accepted_edit_is_none_any_more(desired, memory):
    memory.bytes += b"# mine\n"
    assert desired.accept_edit() == memory.bytes
    desired.change_to(AFTER)
    assert desired.deployment is AFTER


def test_what_is_insisted_on_is_desired_even_so(desired, memory):
    memory.full = True
    with pytest.raises(DeploymentWriteError):
        desired.insist_on(AFTER)
    assert desired.deployment is AFTER


def test_a_file_that_was_removed_is_an_edit(desired, memory):
    memory.bytes = None
    assert desired.was_edited()


def test_what_cannot_be_written_is_not_desired(desired, memory):
    memory.full = True
    with pytest.raises(DeploymentWriteError):
        desired.change_to(AFTER)
    assert desired.deployment is BEFORE
