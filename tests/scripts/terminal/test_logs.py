from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scripts.commands_run import run_statehouse

from statehouse.scripts.terminal import logs

SERVER = "2026-11-30T12:00:00.000Z worker W-1|\x1b[2Jgone"
PROBLEM = {
    "time": "2026-11-24T23:38:19.077Z", "event": "problem", "status": 422, "problem": "wrong-shape", "model": "digits",
    "version": "1.0", "request_id": "order-17", "trace_id": "0af7", "seconds": 0.006, "method": "POST",
    "path": "/predictions/digits\x1b]0;mine\x07", "ended": "--", "left_out_before": 1800,
}  # fmt: skip
TOLD = (
    "2026-11-24T23:38:19.077Z 422 wrong-shape POST /predictions/digits{} of digits 1.0 id order-17 "
    "(1800 lines before it were left out) 6.0 ms\n"
)


def test_nothing_foreign_does_anything(capsys: pytest.CaptureFixture[str]) -> None:
    logs.server_line(SERVER, as_json=False)
    logs.request_line(json.dumps(PROBLEM), as_json=False)
    logs.request_line("no JSON \x1b[1m", as_json=False)
    logs.server_line("half a line", as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        r"2026-11-30T12:00:00.000Z worker W-1|\x1b[2Jgone",
        TOLD.format(r"\x1b]0;mine\x07").rstrip(),
        r"no JSON \x1b[1m",
        "half a line",
    ]


def test_machines_get_an_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.server_line(SERVER, as_json=True)
    logs.request_line(json.dumps(PROBLEM), as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"time": "2026-11-30T12:00:00.000Z", "of": "worker", "text": "W-1|\x1b[2Jgone"}
    assert second == PROBLEM


def test_where_no_requests_are_written_down_it_says_how_they_would_be(tmp_path: Path) -> None:
    (tmp_path / "deployment.log").write_text(SERVER)
    absent = run_statehouse(tmp_path, "logs", "--of", "requests")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "Start the server with `statehouse serve --log-requests`" in absent.stderr
    (tmp_path / "deployment.requests.jsonl").write_text("")
    assert run_statehouse(tmp_path, "logs", "--of", "requests").returncode == 0
