"""The console's JSON of a supervisor: of its parts, those that tell of the past are real."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from statehouse.scripts.deployment.journal import TRIAL, Journal
from statehouse.scripts.reader.app import reader_app


def entry(number: int, **changed: object) -> dict[str, object]:
    return {
        "when": f"2026-01-01T00:00:{number:02}.000Z",
        "kind": "swap",
        "name": "digits",
        "outcome": "done",
    } | changed


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "deployment.yaml")


@pytest.fixture
def client(ask, journal: Journal):
    addresses = SimpleNamespace(reader=("127.0.0.1", 8090), url=lambda which: f"http://127.0.0.1/{which}")
    unused = dict.fromkeys(("fleet", "front", "torchserve"))
    return ask(reader_app(SimpleNamespace(journal=journal, addresses=addresses, **unused)))


def test_the_latest_changes_come_first(client, journal: Journal) -> None:
    assert client.get("/history").json() == {"changes": [], "total": 0}
    for number in range(4):
        journal.close(entry(number))
    told = client.get("/history?limit=2").json()
    assert [change["when"][17:19] for change in told["changes"]] == ["03", "02"]
    assert told["total"] == 4


def test_trials_that_did_no_harm_are_left_out_as_in_the_terminal(client, journal: Journal) -> None:
    journal.close(entry(1, kind=TRIAL))
    journal.close(entry(2, kind=TRIAL, outcome="failed"))
    assert [change["outcome"] for change in client.get("/history").json()["changes"]] == ["failed"]


def test_a_line_that_cannot_be_read_is_told(client, journal: Journal) -> None:
    journal.close(entry(1))
    journal.history_file.write_text(journal.history_file.read_text() + "{torn\n")
    torn, whole = client.get("/history").json()["changes"]
    assert torn == {"outcome": "unreadable", "line": 2, "text": "{torn"}
    assert whole == json.loads(json.dumps(entry(1)))


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "²", ""])
def test_a_limit_that_is_none_is_refused(client, limit: str) -> None:
    answer = client.get("/history", params={"limit": limit})
    assert answer.status_code == 400
    assert "from 1 to 1000" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/status", "/live", "/history", "/console/", "/console/data/history"])
def test_a_page_of_somebody_else_s_cannot_read_it(client, path: str) -> None:
    answer = client.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/status", "/console/", "/console/data/live"])
def test_nothing_can_be_changed(client, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, path).status_code == 405


def test_a_browser_is_sent_to_the_page_and_a_program_is_not(client) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    sent = client.get("/", headers=browser)
    assert (sent.status_code, sent.headers["location"]) == (307, "/console/")
    assert client.get("/").json()["paths"]["/console/"]
    assert client.get("/console").headers["location"] == "/console/"
