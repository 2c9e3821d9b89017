"""What was written when versions had lanes is read as what it is today, and said once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from statehouse.scripts.deployment.file import (
    VersionSettings,
    deployment_content,
    read_deployment,
    write_deployment,
)
from statehouse.scripts.deployment.interrupted import settle_interrupted
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.deployment.lanes import without_lanes
from statehouse.scripts.errors import DeploymentContentError
from statehouse.scripts.progress import Step

BEFORE = Path(__file__).resolve().parents[2] / "data" / "before" / "deployment.yaml"


def read(path: Path, text: str) -> tuple[Any, list[str]]:
    path.write_text(text)
    said: list[str] = []
    return read_deployment(path, say=said.append), said


def version(text: str) -> str:
    return f"models: {{a: {{default: 1.0, versions: {{1.0: {text}}}}}}}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deployment.yaml"


@pytest.mark.parametrize(
    ("written", "settings"),
    [
        ("{lanes: [{batch_size: 1, up_to: 3}, {batch_size: 32, max_batch_delay_ms: 5}]}", {"batch_size": 32}),
        ("{workers: 2, lanes: [{batch_size: 4}]}", {"workers": 2, "batch_size": 4}),
        ("{workers: 3, lanes: [{batch_size: 1, up_to: 9}, {}]}", {"workers": 3, "batch_size": 8}),
        ("{lanes: [{batch_size: 1, up_to: 9},]}", {"batch_size": 1}),
        ("{lanes: [null]}", {"batch_size": 8}),
        ("{fast_io: false, threads: 2}", {"threads": 2}),
        ("{lanes: , batch_size: 16}", {"batch_size": 16}),
    ],
)
def test_workers_stay_those_of_each_lane_and_the_largest_batch_counts(
    path: Path, written: str, settings: dict[str, int]
) -> None:
    found = read(path, version(written))[0].models["a"].versions["1.0"]
    assert found == VersionSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "{lanes: []}",
            "lanes: [] is no list of lanes; a version has no lanes any more: give its batch_size instead.",
        ),
        ("{lanes: many}", "'many' is no list of lanes"),
        ("{lanes: [4]}", "'4' is no lane with a batch size;"),
        ("{lanes: [{batch_size: many}]}", "{'batch_size': 'many'} is no lane"),
        ("{lanes: [{batch_size: [1]}]}", "{'batch_size': ['1']} is no lane"),
        ("{lanes: [{batch_size: 4}], batch_size: 4}", "and batch_size is given: leave lanes out"),
        (
            "{lanes: [{batch_size: 4096}]}",
            "batch_size: Input should be less than or equal to 1024 (found 4096)",
        ),
        ("{lanes: [{batch_size: 4}], lane: 4}", "lane: there is no such setting"),
    ],
)
def test_lanes_that_are_none_are_a_problem_with_its_line(path: Path, written: str, problem: str) -> None:
    with pytest.raises(DeploymentContentError) as caught:
        read(path, "models:\n a:\n  default: 1.0\n  versions:\n   1.0: " + written)
    [found] = caught.value.problems
    assert found.startswith("line 5, models.a.versions['1.0']")
    assert problem in found


def test_one_line_names_the_versions_and_what_they_became(path: Path) -> None:
    _, [said] = read(path, BEFORE.read_text())
    assert said == (
        f"{path} has settings of an earlier release (lanes, fast_io), read as boxes 1.0, colours 1.0, digits 1.0, "
        "digits 1.1, parts 1.0, places 1.0, vectors 0.9: workers 1, batch_size 8; numbers 1.0: workers 1, "
        "batch_size 32; patients 1.0: workers 2, batch_size 8; prices 2.0rc1: workers 1, batch_size 4. Its next "
        "change writes it so."
    )


def test_versions_of_today_are_not_named(path: Path) -> None:
    a = "a: {default: 1, versions: {1: {batch_size: 4}, 2: {fast_io: true}}}"
    _, [said] = read(path, f"models: {{{a}, b: {{default: 1, versions: {{1: }}}}}}")
    assert re.search(r"read as a 2: workers 1, batch_size 64\.", said)


def test_it_is_written_as_it_is_today_and_then_nothing_is_said(path: Path) -> None:
    deployment, _ = read(path, BEFORE.read_text())
    write_deployment(path, deployment)
    assert not re.search("lanes|fast_io|delay", path.read_text())
    assert read(path, path.read_text()) == (deployment, [])


def test_settings_of_today_stay_as_they_are() -> None:
    settings = {"workers": 2, "batch_size": 4, "optimizations": ["freeze"]}
    assert without_lanes(settings) == settings


def interrupted(file: Path, lands: str) -> list[str]:
    """Leave a swap that the build before was interrupted in, and return what a start says."""
    file.write_bytes(BEFORE.read_bytes())
    lanes = [{"batch_size": 1, "up_to": 2}, {"batch_size": 8, "max_batch_delay_ms": 2}]
    settings = {"workers": 1, "threads": 1, "lanes": lanes, "optimizations": ["freeze"], "fast_io": True}
    model = {"default": lands, "previous": "1.1", "versions": {"1.0": settings, "1.1": settings}}
    entry = {"when": "then", "kind": "swap", "name": "digits", "running": "drain"}
    models = read_deployment(BEFORE).model_dump(mode="json", exclude_none=True)["models"] | {"digits": model}
    Journal(file).note(entry | {"lands": {"finished": True, "models": models}}, file.read_bytes())
    steps: list[Step] = []
    assert settle_interrupted(file, steps.append) is not None
    return [step.text for step in steps]


def test_a_change_that_the_build_before_was_interrupted_in_is_settled(path: Path) -> None:
    [said] = interrupted(path, "1.1")
    assert "read as" in said
    assert read_deployment(path).models["digits"].default == "1.1"
    assert "lanes" not in path.read_text()


def test_where_the_file_says_so_already_it_stays(path: Path) -> None:
    assert interrupted(path, "1.0") == []
    assert path.read_bytes() == BEFORE.read_bytes()
    assert read_deployment(path).models["digits"].versions["1.1"].batch_size == 8
    assert b"lanes" not in deployment_content(read_deployment(path))
