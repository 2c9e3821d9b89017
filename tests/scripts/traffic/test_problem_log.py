import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from statehouse.scripts.traffic.problem_log import (
    MAX_FILE_BYTES,
    MAX_LINES_PER_SECOND,
    Problem,
    Problems,
    RequestLog,
)
from statehouse.scripts.traffic.request_end import RequestEnd, read_request_end

LINE = "422 3 -- default wrong-shape my-id 0af7651916cd43dd8448eb211c80319c - digits 1.0 POST /predictions/digits"


def end_of(line: str = LINE) -> RequestEnd:
    end = read_request_end(line)
    assert end is not None
    return end


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    return Problems(RequestLog(tmp_path / "p.jsonl"), is_loaded=lambda *key: key == ("digits", "1.0"))


def counted(problems: Problems) -> dict[Problem, int]:
    return {problem: count for problem, count in problems.counts([("digits", "1.0")]).items() if count}


def test_two_threads_write_one_after_the_other(tmp_path: Path) -> None:
    class Slow(RequestLog):
        inside = most = 0

        def _append(self, line: dict[str, object]) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.01)
            self.inside -= 1

    log = Slow(tmp_path / "p.jsonl")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(log.write, [end_of()] * 20))
    assert log.most == 1


def test_a_problem_is_counted_and_written_down(problems: Problems, tmp_path: Path) -> None:
    problems.take(end_of())
    assert counted(problems) == {Problem("digits", "1.0", "422", "wrong-shape"): 1}
    [line] = (tmp_path / "p.jsonl").read_text().splitlines()
    written = json.loads(line)
    assert written.pop("time").endswith("Z")
    assert written == {
        "event": "problem",
        "status": 422,
        "problem": "wrong-shape",
        "model": "digits",
        "version": "1.0",
        "request_id": "my-id",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "seconds": 0.003,
        "method": "POST",
        "path": "/predictions/digits",
        "ended": "--",
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("404 0 LR - no-such-path i t - - - GET /x", Problem("", "", "404", "no-such-path")),
        ("404 0 LR default no-such-model i t - strange - POST /y", Problem("", "", "404", "no-such-model")),
        ("-1 9 CD default - i t - digits 1.0 POST /z", Problem("digits", "1.0", "499", "client-gone")),
        (
            "502 9 SH default worker-ended i t - digits 1.0 POST /z",
            Problem("digits", "1.0", "502", "worker-ended"),
        ),
        (
            "408 9 -- default request-timeout i t - digits 1.0 POST /z",
            Problem("digits", "1.0", "408", "request-timeout"),
        ),
        ("418 9 -- default - i t - digits 1.0 POST /z", Problem("digits", "1.0", "other", "other")),
        ("422 9 -- default invented i t - digits 1.0 BREW /z", Problem("digits", "1.0", "other", "other")),
        ("504 9 sH default deadline i t - digits 9.9 POST /z", Problem("", "", "504", "deadline")),
    ],
)
def test_labels_are_ours_whatever_a_client_sent(problems: Problems, line: str, expected: Problem) -> None:
    problems.take(end_of(line))
    assert counted(problems) == {expected: 1}


def test_what_can_be_counted_is_there_from_the_first_and_never_more(problems: Problems) -> None:
    before = problems.counts([("digits", "1.0")])
    assert set(before.values()) == {0}
    for number in range(500):
        problems.take(
            end_of(
                f"{400 + number % 199} 0 -- default p{number} i t - n{number} v{number} M{number} /{number}"
            )
        )
    after = problems.counts([("digits", "1.0")])
    assert after.keys() == before.keys()
    assert sum(after.values()) == 500


def test_our_own_requests_and_good_ones_are_no_problems(problems: Problems, tmp_path: Path) -> None:
    problems.take(end_of(LINE.replace("default", "uncounted")))
    assert not (tmp_path / "p.jsonl").exists()
    problems.take(end_of(LINE.replace("422", "200").replace("wrong-shape", "-")))
    assert counted(problems) == {}
    assert not (tmp_path / "p.jsonl").exists()


def test_requests_that_were_answered_well_have_a_file_of_their_own(tmp_path: Path) -> None:
    files = [tmp_path / "p.jsonl", tmp_path / "r.jsonl"]
    problems = Problems(RequestLog(files[0]), is_loaded=lambda *key: True, requests=RequestLog(files[1]))
    problems.take(end_of())
    problems.take(end_of(LINE.replace("422", "200").replace("wrong-shape", "-")))
    told = [[json.loads(line)["event"] for line in file.read_text().splitlines()] for file in files]
    assert told == [["problem"], ["request"]]


def test_a_retired_version_is_counted_no_more(problems: Problems) -> None:
    problems.take(end_of())
    problems.forget("digits", "1.0")
    assert counted(problems) == {}


def test_a_flood_is_counted_whole_and_written_in_part(
    problems: Problems, tmp_path: Path, monkeypatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("statehouse.scripts.traffic.problem_log.time.monotonic", lambda: now[0])
    flood = 10 * MAX_LINES_PER_SECOND
    for _ in range(flood):
        problems.take(end_of())
    now[0] += 1
    problems.take(end_of())
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert sum(counted(problems).values()) == flood + 1
    assert len(lines) == MAX_LINES_PER_SECOND + 1
    assert {line["event"] for line in lines} == {"problem"}
    assert lines[-1]["left_out_before"] == flood - MAX_LINES_PER_SECOND
    assert not any("left_out_before" in line for line in lines[:-1])


def test_the_file_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(b"x" * MAX_FILE_BYTES)
    log = RequestLog(file)
    log.write(end_of())
    log.write(end_of())
    assert file.stat().st_size < 1000
    assert (tmp_path / "p.jsonl.1").stat().st_size > MAX_FILE_BYTES


def test_a_file_that_cannot_be_written_keeps_nobody_from_counting(tmp_path: Path) -> None:
    problems = Problems(RequestLog(tmp_path / "absent" / "p.jsonl"), is_loaded=lambda *key: True)
    problems.take(end_of())
    assert counted(problems) == {Problem("digits", "1.0", "422", "wrong-shape"): 1}


@pytest.mark.parametrize("line", ["", "not a line of ours", LINE.replace("422", "many")])
def test_a_line_that_is_none_of_ours_is_nothing(line: str) -> None:
    assert read_request_end(line) is None
