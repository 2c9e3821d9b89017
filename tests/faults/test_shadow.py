"""Comparing before the flip: the same requests to both versions, and a flip that is refused where they disagree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.load import body_of
from tests.faults.moody_nets import POISON
from tests.faults.test_changes import assert_lost_nothing

SEED = 7
BODIES = [body_of(float(number)).content for number in range(3)]
POISONED = body_of(1, POISON).content


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """1.0 serves; 1.1 has the same weights, 1.2 others, and 2.0 gives NaN where 1.0 gives numbers."""
    server = FaultyServer(tmp_path_factory.mktemp("shadow"))
    for version in ("1.0", "1.1"):
        server.publish(version, seed=SEED)
    server.publish("1.2", seed=SEED + 1)
    server.publish("2.0", "nan", seed=SEED)
    server.deploy("1.0")
    (server.folder / "requests.jsonl").write_bytes(b"\n".join([*BODIES, POISONED]) + b"\n\n")
    folder = server.folder / "requests"
    folder.mkdir()
    for index, body in enumerate([*BODIES, POISONED]):
        (folder / f"{index}.json").write_bytes(body)
    server.start()
    yield server
    server.kill_if_running()


def last_report(server: FaultyServer) -> dict[str, Any]:
    report: dict[str, Any] = server.history()[-1]["shadow"]
    assert 0 < report["old_p50_seconds"] <= report["old_p99_seconds"]
    assert 0 < report["new_p50_seconds"] <= report["new_p99_seconds"]
    return report


def test_the_golden_examples_of_another_model_are_answered_otherwise(server: FaultyServer) -> None:
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        refused = server.run(
            "swap", "moody", "1.2", "--shadow", "goldens", "--fail-below", "99%", check=False
        )
    assert refused.returncode == 1
    assert "0.0% of 1 requests are answered alike" in refused.stderr
    assert "golden example 0" in refused.stderr
    assert_lost_nothing(load)
    report = last_report(server)
    assert (report["requests"], report["agreeing"], report["agreement"]) == (1, 0, 0)
    assert report["largest_difference"] > 0
    [disagreement] = report["disagreements"]
    assert disagreement["body"] == "golden example 0"
    assert any("outputs" in difference for difference in disagreement["differences"])
    assert server.serving() == "1.0"
    assert server.ask("moody/1.2").status_code == 404


@pytest.mark.parametrize(("source", "told"), [("requests.jsonl", "line 4"), ("requests", "3.json")])
def test_rows_that_disagree_are_told_and_refused(server: FaultyServer, source: str, told: str) -> None:
    refused = server.run("swap", "moody", "2.0", "--shadow", source, "--fail-below", "99%", check=False)
    assert refused.returncode == 1
    assert "75.0% of 4 requests are answered alike, fewer than 99.0%" in refused.stderr
    report = last_report(server)
    assert (report["requests"], report["agreeing"]) == (4, 3)
    assert [each["body"] for each in report["disagreements"]] == [told]
    assert server.serving() == "1.0"
    assert {row["version"] for row in server.status()["models"]} == {"1.0"}


def test_nothing_to_send_is_an_error_before_anything_is_sent(server: FaultyServer) -> None:
    for source in ("nowhere.jsonl", "."):
        (server.folder / "empty").mkdir(exist_ok=True)
        wanted = source if source != "." else "empty"
        refused = server.run("swap", "moody", "1.1", "--shadow", wanted, check=False)
        assert refused.returncode == 1
        assert wanted in refused.stderr
        assert server.serving() == "1.0"


def test_what_agrees_enough_is_swapped_in(server: FaultyServer) -> None:
    with server.load() as load:
        server.wait_until(lambda: load.answered > 50)
        server.run("swap", "moody", "1.1", "--shadow", "requests.jsonl", "--fail-below", "100%")
        report = last_report(server)
        assert (report["agreement"], report["largest_difference"]) == (1, 0)
        server.run("swap", "moody", "2.0", "--shadow", "requests", "--fail-below", "75%")
    assert_lost_nothing(load)
    assert last_report(server)["agreement"] == 0.75
    assert server.serving() == "2.0"
