"""The CSV has every request, and is a schedule for the next load."""

import csv
from pathlib import Path

import pytest
from tests.scripts.load_test.counting_server import CountingServer, Exchange, run_async

from statehouse.scripts.errors import CommandError
from statehouse.scripts.load_test import LoadResult, OpenLoop, Poisson, run_load
from statehouse.scripts.load_test.export import COLUMNS, write_requests
from statehouse.scripts.load_test.schedule import read_schedule


def test_a_line_for_each_request_in_the_order_in_which_they_were_due(tmp_path: Path) -> None:
    found: list[LoadResult] = []

    async def break_one(exchange: Exchange) -> None:
        if exchange.index == 5:
            exchange.writer.close()
        else:
            exchange.answer(500 if exchange.index == 6 else 200)

    async def scenario() -> None:
        async with CountingServer(break_one) as server:
            found.append(await run_load(server.plan(OpenLoop(100, 0.3, pattern=Poisson()))))

    run_async(scenario())
    file = tmp_path / "load.csv"
    write_requests(file, found[0])
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 30
    due = [float(row["due_seconds"]) for row in rows]
    assert due == sorted(due)
    assert sorted(row["status"] for row in rows) == ["", *["200"] * 28, "500"]
    [failed] = [row for row in rows if not row["status"]]
    assert (failed["error"], failed["latency_seconds"], failed["version"]) == ("closed_before_answer", "", "")
    for row in rows:
        if row["status"]:
            assert float(row["latency_seconds"]) == pytest.approx(
                float(row["ended_seconds"]) - float(row["due_seconds"]), abs=2e-6
            )
    again = read_schedule(file).offsets_seconds()
    assert [round(each, 5) for each in again] == [round(each - due[0], 5) for each in due]


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    from statehouse.scripts.load_test.export import write_lines

    with pytest.raises(CommandError, match=r"--csv .* cannot be written: Is a directory"):
        write_lines(tmp_path, ("a",), [])
