"""What the changing commands print."""

import pytest

from statehouse.scripts.deployment.journal import TRIAL
from statehouse.scripts.terminal.changes import SHOWN_CHANGES, print_history, print_plan, print_serving

CHANGE = {
    "when": "2026-01-02T03:04:05.678Z", "kind": "swap", "name": "digits", "user": "me", "host": "here",
    "from": {"version": "1.0", "digest": None}, "to": {"version": "1.1", "digest": None}, "outcome": "done",
    "seconds": 1.5, "requests": 1234, "failed": 0, "slowest_seconds": 0.25,
}  # fmt: skip


@pytest.fixture
def lines(capsys):
    return lambda: capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"serving": "1.1", "changed": False, "before": "1.1"}, "is served by 1.1 already; nothing changed."),
        (
            {"serving": "1.1", "changed": True, "before": "1.0"},
            ": 1.0 → 1.1. Back again: statehouse rollback digits",
        ),
        (
            {"serving": "1.0", "changed": True, "before": None},
            ": 1.0, its first version. Try it: statehouse predict digits INPUT",
        ),
        ({"serving": "1.0"}, " is served by 1.0."),
        ({"serving": None}, " is not served any more."),
    ],
)
def test_what_serves_now(result, told, lines):
    print_serving("digits", result)
    [line] = lines()
    assert line.startswith("digits")
    assert line.endswith(told)


def test_a_plan_is_numbered(lines):
    print_plan(["load digits 1.1", "retire [digits] 1.0"])
    assert lines() == ["Plan:", "  1. load digits 1.1", "  2. retire [digits] 1.0"]
    print_plan([])
    assert lines() == ["The server is as deployment.yaml says; nothing to do."]


def test_a_change_is_one_line(lines):
    print_history([CHANGE])
    headings, line = lines()
    assert headings.split() == [
        "WHEN",
        "WHAT",
        "FROM",
        "TO",
        "OUTCOME",
        "TOOK",
        "REQUESTS",
        "FAILED",
        "SLOWEST",
        "WHO",
    ]
    assert line.split() == [
        *("2026-01-02", "03:04:05", "swap", "digits", "1.0", "1.1", "done"),
        *("1.5", "s", "1,234", "0", "250.0", "ms", "me@here"),
    ]


def test_what_was_not_known_is_a_dash(lines):
    unknown = dict.fromkeys(("from", "to", "requests", "failed", "slowest_seconds"))
    print_history([CHANGE | unknown | {"kind": "key add", "name": "shop"}])
    assert lines()[1].split()[2:] == [
        *("key", "add", "shop", "-", "-", "done", "1.5", "s", "-", "-", "-", "me@here")
    ]


def test_a_line_that_cannot_be_read_has_its_number(lines):
    print_history([{"outcome": "unreadable", "line": 7, "text": "…"}, CHANGE])
    assert lines()[1].split() == ["line", "7", "unreadable"]


def test_the_latest_are_shown_and_how_many_there_were_before(lines):
    print_history([CHANGE | {"to": {"version": f"1.{number}"}} for number in range(SHOWN_CHANGES + 2)])
    found = lines()
    assert len(found) == 1 + SHOWN_CHANGES + 1
    assert found[1].split()[5] == "1.2"
    assert found[-1] == "… and 2 before (all with --json)"


def test_trials_that_went_well_are_not_shown(lines):
    print_history([CHANGE | {"kind": TRIAL}, CHANGE | {"kind": TRIAL, "outcome": "failed"}])
    found = lines()
    assert found[1].split()[6] == "failed"
    assert found[-1] == "1 trials of `statehouse tune` are not shown (all with --json)"
    print_history([])
    assert lines() == ["Nothing has been changed yet."]
