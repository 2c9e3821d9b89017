"""What commands print for people, in a pipe and on terminals of several widths."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.scripts.shown_on_terminal import shown_on_terminal

from statehouse.scripts.terminal.console import print_status, size_text

PRINT_STATUS = (
    "import json, sys; from statehouse.scripts.terminal import console; "
    "console.print_status(json.loads(sys.argv[1]))"
)


def version_row(name: str, version: str, *, requests: int, failed: int = 0) -> dict[str, Any]:
    latency = {"requests": requests, "failed": failed, "p50_seconds": 0.0012, "p99_seconds": 0.0345}
    return {
        "name": name, "version": version, "default": version == "1.10", "state": "READY", "digest": "ab" * 32,
        "answers": True, "reason": None,
        "workers": {"ready": 1, "desired": 2}, "queued_requests": 0, "latency": latency,
        "settings": {"batch_size": 64}, "memory_bytes": 250_000_000,
    }  # fmt: skip


HEADINGS = "MODEL VERSION STATE WORKERS BATCH MEMORY QUEUE REQUESTS FAILED P50 P99 DIGEST"
STATUS = {
    "ready": False,
    "missing": ["diabetes 2.0: its workers cannot start, because the architecture is not known to them"],
    "front": "http://127.0.0.1:8080",
    "reader": "http://127.0.0.1:8090",
    "grpc": "127.0.0.1:7070",
    "deployment": "/srv/models/deployment.yaml",
    "models": [
        version_row("breast_cancer_of_the_region", "1.10", requests=20)
        | {"settings": {"batch_size": 4, "optimizations": ["freeze"]}},
        version_row("digits", "1.9", requests=19),
        version_row("digits", "1.10", requests=1_234_567, failed=3),
    ],
}


@pytest.fixture(scope="module")
def status_command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [sys.executable, "-c", PRINT_STATUS, json.dumps(STATUS)]


def test_status_in_a_pipe_has_every_column_and_no_padding(status_command: list[str]) -> None:
    lines = subprocess.run(status_command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert " ".join(lines[2].split()) == HEADINGS
    assert [line.split()[:2] for line in lines[3:6]] == [
        ["breast_cancer_of_the_region", "1.10*"],
        ["digits", "1.9"],
        ["digits", "1.10*"],
    ]
    assert [line for line in lines if "optimized" in line] == [
        "  breast_cancer_of_the_region 1.10: its module is optimized, freeze"
    ]
    assert lines[4].split()[-5:] == ["19", "0", "-", "-", "abababab"]  # too few for percentiles
    assert lines[5].split()[-7:] == ["1,234,567", "3", "1.2", "ms", "34.5", "ms", "abababab"]
    assert "FAILED: answers of 5xx" in lines[6]
    assert all(line == line.rstrip() for line in lines)


def test_a_default_without_a_worker_is_told_once_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    down = {"state": "DEGRADED", "answers": False, "reason": "0 of 2 workers are ready: they ended"}
    rows = [version_row("digits", version, requests=1) | down for version in ("1.9", "1.10")]
    loading = version_row("late", "1.10", requests=0) | down | {"state": "LOADING", "reason": "0 of 2"}
    missing = [f"{row['name']} {row['version']}: {row['reason']}" for row in (*rows, loading)]
    print_status(STATUS | {"models": [*rows, loading], "missing": missing})
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if ": 0 of 2" in line]
    assert told == [
        "no answers: digits 1.10, the default, has no worker: 0 of 2 workers are ready: they ended",
        f"missing: {missing[0]}",
        f"missing: {missing[2]}",
    ]


@pytest.mark.parametrize("width", [120, 80, 60, 50])
def test_status_is_one_line_per_version_on_any_terminal(
    status_command: list[str], width: int, tmp_path: Path
) -> None:
    lines = shown_on_terminal(status_command, width=width, folder=Path.cwd())
    assert max(map(len, lines)) <= width
    heading = next(i for i, line in enumerate(lines) if line.startswith("MODEL"))
    rows = [line.split() for line in lines[heading + 1 : heading + 4]]
    assert [row[1] for row in rows] == ["1.10*", "1.9", "1.10*"]
    assert all("READY" in row for row in rows)
    words = set(" ".join(lines).split())
    assert set(STATUS["missing"][0].split()) <= words  # wrapped between words


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (817_101, "817 kB"),
        (999_900, "1.0 MB"),
        (16 * 10**8, "1.6 GB"),
    ],
)
def test_sizes_as_people_read_them(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text
