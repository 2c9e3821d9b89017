from pathlib import Path

import pytest

from scripts.server_log import ServerLog

THREAD = "W-9002-digits_1.0-b8"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path, said: list[str]) -> ServerLog:
    made = ServerLog(tmp_path / "servers.log", said.append)
    made.worker("digits", "1.0-b8")  # its lines are kept
    return made


def worker_says(log: ServerLog, *messages: str) -> None:
    for message in messages:
        log.torchserve_line(f"INFO|{THREAD}-stdout|MODEL_LOG|{message}")


def test_every_line_goes_to_the_file_and_few_are_said(
    log: ServerLog, said: list[str], tmp_path: Path
) -> None:
    worker_says(log, "[PID]3751", "Torch worker started.", "Python runtime: 3.11.7")
    log.torchserve_line("Model server started.")
    log.front_line("[NOTICE]   (1) : New worker (2) forked")
    log.front_line("[ALERT]    (1) : backend 'predictions' has no server available!")
    assert said == []
    assert len((tmp_path / "servers.log").read_text().splitlines()) == 6


def test_a_warning_of_torchserves_and_an_alert_of_the_fronts_are_said(
    log: ServerLog, said: list[str]
) -> None:
    log.torchserve_line("WARN|epollEventLoopGroup-3-1|WorkflowStore|something odd")
    log.front_line("[ALERT]    (1) : cannot bind")
    assert said == ["torchserve: something odd", "front: [ALERT]    (1) : cannot bind"]


def test_of_an_exception_in_java_it_is_said_what_it_is_and_not_where(log: ServerLog, said: list[str]) -> None:
    log.torchserve_line("io.grpc.StatusRuntimeException: INTERNAL: Invalid protobuf byte sequence")
    log.torchserve_line("\tat io.grpc.Status.asRuntimeException(Status.java:530)")
    log.torchserve_line("\tat java.base/java.lang.Thread.run(Unknown Source)")
    log.torchserve_line("\t... 10 more")
    assert said == ["torchserve: io.grpc.StatusRuntimeException: INTERNAL: Invalid protobuf byte sequence"]


def test_what_a_handler_says_to_people_is_said_with_its_lane(log: ServerLog, said: list[str]) -> None:
    worker_says(log, "statehouse: a row was refused")
    assert said == ["digits: a row was refused"]


def test_the_first_error_is_the_reason_and_not_what_torchserve_makes_of_it(log: ServerLog) -> None:
    worker_says(
        log,
        "Backend worker process died.",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "ModuleNotFoundError: No module named 'my_nets'",
        "During handling of the above exception, another exception occurred:",
        "ModuleNotFoundError: No module named 'ts.torch_handler.badimport'",
        "RuntimeError: 500 - Unknown exception",
    )
    worker = log.worker("digits", "1.0-b8")
    assert worker.deaths == 1
    assert worker.reason() == "ModuleNotFoundError: No module named 'my_nets'"


def test_a_worker_that_was_killed_left_no_reason(log: ServerLog) -> None:
    log.torchserve_line(f"WARN|{THREAD}|BatchAggregator|Load model failed: digits, error: Worker died.")
    assert log.worker("digits", "1.0-b8").deaths == 1
    assert "killed" in log.worker("digits", "1.0-b8").reason()


def test_lanes_are_told_apart_and_a_forgotten_one_begins_anew(log: ServerLog) -> None:
    worker_says(log, "Backend worker process died.")
    assert log.worker("digits", "1.1-b8").deaths == 0
    log.forget("digits", "1.0-b8")
    worker_says(log, "Backend worker process died.")  # nobody has asked for it since
    assert log.worker("digits", "1.0-b8").deaths == 0
