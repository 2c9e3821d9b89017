"""The log beside a deployment: bounded, in order over its files, and followed wherever it goes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from statehouse.scripts.servers import log_file
from statehouse.scripts.servers.log_file import Follower, LogFile, LogLine, last_lines, read_line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployment.log"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are full after a few lines."""
    monkeypatch.setattr(log_file, "MAX_FILE_BYTES", 200)


def every(line: str) -> bool:
    return True


def texts(lines: list[str]) -> list[str]:
    return [read_line(line).text for line in lines]


def test_a_line_has_its_time_and_who_says_it(file: Path) -> None:
    log = LogFile(file)
    log.write("front", "[ALERT] one\n two")
    log.close()
    first, second = (read_line(line) for line in file.read_text().splitlines())
    assert first.time.endswith("Z")
    assert (first.source, first.text) == ("front", "[ALERT] one")
    assert second == (first.time, "front", " two")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("line", ["", "x", "2026-11-30T12:00:00Z nobody says this"])
def test_a_line_that_is_none_of_ours_is_its_text(line: str) -> None:
    assert read_line(line) == LogLine("", "", line)


def test_a_log_goes_on_where_the_last_server_left_it(file: Path) -> None:
    for number in range(2):
        log = LogFile(file)
        log.write("supervisor", f"start {number}")
        log.close()
    assert texts(last_lines(file, 10, every)) == ["start 0", "start 1"]


def test_a_full_file_makes_room_and_the_oldest_goes(file: Path, small: None) -> None:
    log = LogFile(file)
    for number in range(100):
        log.write("worker", f"line {number}")
    log.close()
    kept = sorted(each.name for each in file.parent.iterdir())
    assert kept[-3:] == ["deployment.log.1", "deployment.log.2", "deployment.log.3"]
    assert len(kept) <= 4
    assert all(each.stat().st_size < 300 for each in file.parent.iterdir())
    assert texts(last_lines(file, 12, every)) == [f"line {number}" for number in range(88, 100)]


def test_only_lines_that_are_wanted_count(file: Path) -> None:
    log = LogFile(file)
    for number in range(10):
        log.write("front" if number % 2 else "worker", str(number))
    log.close()
    assert texts(last_lines(file, 3, lambda line: read_line(line).source == "front")) == ["5", "7", "9"]
    assert last_lines(file, 0, every) == []


def test_a_place_that_cannot_be_written_keeps_nobody_from_serving(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "absent" / "deployment.log")
    log.write("front", "nobody reads this")
    log.close()


def test_what_is_no_text_is_read_all_the_same(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\n")
    assert last_lines(file, 1, every) == ["\ufffd\ufffd"]


def test_a_follower_reads_what_comes_over_a_full_file_and_a_new_one(file: Path, small: None) -> None:
    log = LogFile(file)
    log.write("worker", "before")
    follower = Follower(file)
    assert texts(last_lines(file, 10, every, until=follower.begins_at)) == ["before"]
    told: list[str] = []
    for number in range(12):
        log.write("worker", f"line {number}")
        told += texts(list(follower.new_lines()))
    log.close()
    follower.close()
    assert told == [f"line {number}" for number in range(12)]


def test_a_follower_misses_no_line_that_comes_while_it_looks(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(b"one\n")
    follower = Follower(file)
    look = follower._is_another

    def between() -> bool:
        with file.open("ab") as written:
            written.write(b"two\n")
        file.replace(file.with_name("deployment.log.1"))
        file.write_bytes(b"three\n")
        return look()

    monkeypatch.setattr(follower, "_is_another", between)
    assert list(follower.new_lines()) == ["two", "three"]
    follower.close()


def test_a_follower_waits_for_a_file_and_for_the_end_of_a_line(file: Path) -> None:
    follower = Follower(file)
    assert list(follower.new_lines()) == []
    with file.open("ab", buffering=0) as written:
        written.write(b"one\ntw")
        assert list(follower.new_lines()) == ["one"]
        written.write(b"o\n")
    assert list(follower.new_lines()) == ["two"]
    follower.close()
