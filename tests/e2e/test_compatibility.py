"""What the build before has written is served, swapped and rolled back by this one, and answers as it did."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.server import Server

BEFORE = Path(__file__).resolve().parents[1] / "data" / "before"
ANSWERS: dict[str, dict[str, Any]] = json.loads((BEFORE / "answers.json").read_text())
DIGESTS: dict[str, str] = json.loads((BEFORE / "digests.json").read_text())
HISTORY = "deployment.history.jsonl"
TOLERANCE = 1e-5
# docs/upgrading.md says what has taken their place.
ENDED_METRICS = {"statehouse_front_resent{}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The folder as an operator left it, but for its ports, and served by this build."""
    folder = tmp_path_factory.mktemp("before")
    for name in ("model_store", "own_nets.py", "deployment.yaml", HISTORY):
        source = BEFORE / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    server = Server(folder)
    desired = server.deployment_file.read_text()
    server.deployment_file.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", desired))
    server.start()
    yield server
    server.kill_if_running()


def ask(server: Server, version: str, path: str | None = None) -> httpx.Response:
    """Send a version the request that it has answered before."""
    known = ANSWERS[version]
    return server.client.post(
        path or known["path"],
        content=base64.b64decode(known["body_base64"]),
        headers={"content-type": known["content_type"]},
    )


def default_answers_as(server: Server, version: str) -> None:
    response = ask(server, version, "/predictions/digits")
    assert response.headers["x-model-digest"] == DIGESTS[version]
    assert_alike(response.json(), ANSWERS[version]["answer"])


def assert_alike(found: Any, expected: Any, where: str = "answer") -> None:
    """The same members in the same order, numbers within the tolerance."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name in expected:
            assert_alike(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, (each, wanted) in enumerate(zip(found, expected, strict=True)):
            assert_alike(each, wanted, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE), where
    else:
        assert found == expected, where


def metric_names(server: Server) -> set[str]:
    """``name{label,label}`` of everything measured, as the fixture was made."""
    families = text_string_to_metric_families(server.reader.get("/metrics").text)
    return {
        f"{family.name}{{{','.join(sorted(sample.labels.keys() - {'le'}))}}}"
        for family in families
        for sample in family.samples
    }


def wait_for(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_all_that_was_loaded_is_loaded(server: Server) -> None:
    assert server.reader.get("/ready").json() == {"ready": True, "missing": []}
    rows = {f"{row['name']}-{row['version']}": row for row in server.status()["models"]}
    assert {version: row["digest"] for version, row in rows.items()} == DIGESTS
    assert [version for version, row in rows.items() if not row["default"]] == ["digits-1.1"]


@pytest.mark.parametrize("version", ANSWERS)
def test_a_version_answers_as_it_did(server: Server, version: str) -> None:
    response = ask(server, version)
    assert response.status_code == 200, response.text
    assert response.headers["x-model-version"] == ANSWERS[version]["x_model_version"]
    assert response.headers["x-model-digest"] == ANSWERS[version]["x_model_digest"] == DIGESTS[version]
    assert_alike(response.json(), ANSWERS[version]["answer"])


def test_lanes_are_read_as_batch_sizes_and_that_is_said_once(server: Server) -> None:
    assert "lanes:" in server.deployment_file.read_text()
    assert {row["name"]: row["settings"]["batch_size"] for row in server.status()["models"]} == {
        **dict.fromkeys(("boxes", "colours", "digits", "parts", "patients", "places", "vectors"), 8),
        "numbers": 32,
        "prices": 4,
    }
    assert server.model("patients", "1.0")["workers"]["desired"] == 2
    [said] = [line for line in server.log.read_text().splitlines() if "read as" in line]
    assert "numbers 1.0: workers 1, batch_size 32" in said
    assert server.run("apply").stdout.strip().endswith("nothing to do.")


def test_it_is_swapped_and_rolled_back_and_the_journal_goes_on(server: Server) -> None:
    before = [json.loads(line) for line in (BEFORE / HISTORY).read_text().splitlines()]
    default_answers_as(server, "digits-1.0")
    server.run("rollback", "digits")  # to where the file's own `previous` leads
    default_answers_as(server, "digits-1.1")
    server.run("swap", "digits", "1.0")
    default_answers_as(server, "digits-1.0")
    server.run("rollback", "digits")
    default_answers_as(server, "digits-1.1")
    history = server.run_json("history")
    assert history[: len(before)] == before
    added = history[len(before) :]
    assert [(each["kind"], each["outcome"]) for each in added] == [
        ("rollback", "done"), ("swap", "done"), ("rollback", "done")
    ]  # fmt: skip
    assert set(added[0]) >= set(before[1])
    told = server.run("history").stdout
    assert "interrupted" in told
    assert told.count("rollback") == 3
    assert server.reader.get("/history").json()["total"] == len(history)
    digits = server.read_deployment()["models"]["digits"]
    assert (digits["default"], digits["previous"]) == ("1.1", "1.0")
    assert digits["versions"]["1.0"]["batch_size"] == 8
    assert not re.search("lanes|fast_io", server.deployment_file.read_text())


def test_a_version_retired_before_comes_back_from_the_store(server: Server) -> None:
    server.run("retire", "numbers", "1.0", "--yes")
    server.run("swap", "numbers", "1.0")
    assert_alike(ask(server, "numbers-1.0").json(), ANSWERS["numbers-1.0"]["answer"])


def test_publishing_the_same_again_changes_nothing(server: Server) -> None:
    checkpoint = server.store / "digits-1.1" / "checkpoint.safetensors"
    published = server.run_json("publish", str(checkpoint), "--name", "digits", "--version", "1.1")
    assert (published["digest"], published["already_published"]) == (DIGESTS["digits-1.1"], True)


def test_metrics_are_called_as_they_were(server: Server) -> None:
    expected = set((BEFORE / "metric_names.txt").read_text().split()) - ENDED_METRICS
    for version in ANSWERS:
        ask(server, version)
    assert server.client.post("/predictions/patients", json={"inputs": {"age": -1}}).status_code == 422
    assert server.client.post("/predictions/nobody", json={"inputs": 1}).status_code == 404
    wait_for(
        lambda: expected <= metric_names(server)
    )  # the front tells of requests after it has answered them
    assert expected - metric_names(server) == set()
