from pathlib import Path

import pytest

from statehouse.scripts.deployment.journal import Journal, fingerprint


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "deployment.yaml")


def test_a_change_is_pending_until_it_is_closed(journal: Journal, tmp_path: Path) -> None:
    assert journal.pending() is None
    entry = {"when": "now", "kind": "swap", "name": "digits"}
    journal.note(entry | {"running": "load"}, b"before")
    journal.note(entry | {"running": "flip"}, b"before")
    files = [fingerprint(b"before")]
    assert journal.pending() == entry | {"running": "flip", "files": files}
    journal.expect(b"after")
    assert journal.pending() == entry | {"running": "flip", "files": [*files, fingerprint(b"after")]}
    journal.close(entry | {"outcome": "done"})
    assert journal.pending() is None
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.history.jsonl"]


def test_what_is_written_outside_a_change_is_not_noted(journal: Journal) -> None:
    journal.expect(b"after")
    assert journal.pending() is None


def test_the_history_is_one_line_per_change_oldest_first(journal: Journal) -> None:
    for outcome in ("done", "failed\nwith two lines"):
        journal.close({"outcome": outcome})
    assert [entry["outcome"] for entry in journal.read()] == ["done", "failed\nwith two lines"]
    assert len(journal.history_file.read_text().splitlines()) == 2


def test_a_line_cut_short_by_a_crash_is_told_and_swallows_no_other(journal: Journal) -> None:
    journal.close({"outcome": "done"})
    with journal.history_file.open("a") as file:
        file.write('{"outcome": "do')
    journal.close({"outcome": "failed"})
    assert [entry["outcome"] for entry in journal.read()] == ["done", "unreadable", "failed"]


def test_without_a_history_there_is_nothing_to_read(journal: Journal) -> None:
    assert list(journal.read()) == []
