"""What an interrupted change leads to: the state that its journal has, unless somebody edited the file meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statehouse.scripts.deployment.file import Deployment, read_deployment, rejected_file, write_deployment
from statehouse.scripts.deployment.interrupted import (
    FINISHED,
    OVERRULED,
    UNDONE,
    Landing,
    close_interrupted,
    settle_interrupted,
)
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.progress import Step


def deployment(default: str, *versions: str, **fields: Any) -> Deployment:
    model = {"default": default, "versions": {version: {} for version in versions}}
    return Deployment.model_validate({"models": {"digits": model}} | fields)


BEFORE, HALFWAY, AIM = (
    deployment("1.0", "1.0"),
    deployment("1.1", "1.0", "1.1"),
    deployment("1.1", "1.1"),
)
ENTRY = {"when": "2026-01-01T00:00:00.000Z", "kind": "swap", "name": "digits", "user": "ann", "host": "here"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A deployment file as an interrupted swap left it: halfway."""
    file = tmp_path / "deployment.yaml"
    write_deployment(file, HALFWAY)
    return file


def interrupt(file: Path, landing: Landing, **fields: Any) -> None:
    noted = ENTRY | {"running": "drain", "lands": landing.to_plain()} | fields
    Journal(file).note(noted, file.read_bytes())


def settle(file: Path) -> tuple[str | None, list[Step]]:
    steps: list[Step] = []
    interrupted = settle_interrupted(file, steps.append)
    if interrupted is not None:
        close_interrupted(Journal(file), interrupted, serving="1.1", report=steps.append)
    return interrupted.outcome if interrupted else None, steps


@pytest.mark.parametrize(
    ("landing", "outcome", "desired"),
    [
        (Landing(BEFORE.models), UNDONE, BEFORE),
        (Landing(AIM.models, finished=True), FINISHED, AIM),
    ],
)
def test_the_file_says_then_what_the_journal_has(
    file: Path, landing: Landing, outcome: str, desired: Deployment
) -> None:
    interrupt(file, landing)
    assert settle(file)[0] == outcome
    assert read_deployment(file) == desired
    [entry] = Journal(file).read()
    assert entry == ENTRY | {
        "outcome": outcome,
        "reason": "the supervisor ended during the step 'drain'",
        "serving": "1.1",
        "seconds": None,
        "requests": None,
        "failed": None,
        "slowest_seconds": None,
    }
    assert settle(file) == (None, [])


def test_what_a_change_was_about_to_write_is_no_edit(file: Path) -> None:
    interrupt(file, Landing(BEFORE.models))
    journal = Journal(file)
    journal.pending()
    journal.expect(b"models: {}\n")
    file.write_bytes(b"models: {}\n")
    assert settle(file)[0] == UNDONE
    assert read_deployment(file) == BEFORE


def test_an_edit_stays(file: Path) -> None:
    interrupt(file, Landing(BEFORE.models))
    edited = file.read_text() + "# mine\n"
    file.write_text(edited)
    assert settle(file)[0] == OVERRULED
    assert file.read_text() == edited


def test_it_is_settled_again_until_it_is_closed(file: Path) -> None:
    interrupt(file, Landing(BEFORE.models))
    for _ in range(2):
        interrupted = settle_interrupted(file, lambda step: None)
        assert interrupted is not None
        assert interrupted.outcome == UNDONE
        assert read_deployment(file) == BEFORE


@pytest.mark.parametrize("finished", [False, True])
def test_the_modules_of_architectures_go_the_way_of_the_models(file: Path, finished: bool) -> None:
    edited = HALFWAY.model_copy(update={"architectures": ["other_nets"]})
    write_deployment(file, edited)
    landing = AIM if finished else BEFORE
    interrupt(file, Landing.at(landing.model_copy(update={"architectures": ["my_nets"]}), finished=finished))
    settle(file)
    assert read_deployment(file) == landing.model_copy(update={"architectures": ["my_nets"]})


def test_what_is_no_model_and_no_module_stays_as_the_file_has_it(file: Path) -> None:
    write_deployment(file, HALFWAY.model_copy(update={"model_store": "elsewhere"}))
    interrupt(file, Landing.at(BEFORE))
    settle(file)
    assert read_deployment(file).model_store == "elsewhere"


def test_a_journal_of_before_names_no_modules(file: Path) -> None:
    write_deployment(file, HALFWAY.model_copy(update={"architectures": ["my_nets"]}))
    lands = Landing.at(BEFORE).to_plain()
    del lands["architectures"]
    interrupt(file, Landing.at(BEFORE), lands=lands)
    settle(file)
    assert read_deployment(file) == BEFORE.model_copy(update={"architectures": ["my_nets"]})


def test_a_file_that_is_right_already_keeps_its_comments(file: Path) -> None:
    file.write_text(file.read_text() + "# mine\n")
    interrupt(file, Landing(HALFWAY.models, finished=True))
    assert settle(file)[0] == FINISHED
    assert file.read_text().endswith("# mine\n")


@pytest.mark.parametrize("finished", [False, True])
def test_an_edit_is_kept_until_it_is_done(file: Path, finished: bool) -> None:
    rejected_file(file).write_text("models: {}\n")
    interrupt(file, Landing(AIM.models, finished=finished), kind="apply", name="")
    _, steps = settle(file)
    assert rejected_file(file).exists() is not finished
    assert (str(rejected_file(file)) in steps[-1].text) is not finished


def test_a_line_that_was_written_is_not_written_again(file: Path) -> None:
    """Killed between the two files of the journal."""
    interrupt(file, Landing(BEFORE.models))
    noted = Journal(file).pending_file.read_bytes()
    journal = Journal(file)
    journal.close(ENTRY | {"outcome": "done"})
    journal.pending_file.write_bytes(noted)
    assert settle(file) == (None, [])
    assert [entry["outcome"] for entry in journal.read()] == ["done"]
    assert not journal.pending_file.exists()
