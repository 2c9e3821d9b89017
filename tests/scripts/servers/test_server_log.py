from collections.abc import Iterator
from pathlib import Path

import pytest

from statehouse.scripts.progress import Step
from statehouse.scripts.servers.log_file import read_line
from statehouse.scripts.servers.server_log import ServerLog

THREAD = "W-9002-digits_1.0-g0"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path, said: list[str]) -> Iterator[ServerLog]:
    made = ServerLog(tmp_path / "servers.log", said.append)
    made.worker_log("digits", "1.0-g0")  # its lines are kept
    yield made
    made.close()


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
    lines = [read_line(line) for line in (tmp_path / "servers.log").read_text().splitlines()]
    assert [line.source for line in lines] == [*["worker"] * 3, "torchserve", "front", "front"]
    assert lines[3].text == "Model server started."


def test_what_the_supervisor_does_goes_to_the_file_too(
    log: ServerLog, said: list[str], tmp_path: Path
) -> None:
    reported: list[Step] = []
    report = log.written_too(reported.append)
    steps = [
        Step("load", "loading", state="begun"),
        Step("load", "net 1.0 loaded", 1.25),
        Step("load", "no", state="failed"),
    ]
    for step in steps:
        report(step)
    log.step(Step("flip", "net is served by 1.1"), "swap net 1.1")
    log.say("stopping")
    assert reported == steps
    assert said == ["stopping"]
    lines = [read_line(line) for line in (tmp_path / "servers.log").read_text().splitlines()]
    assert {line.source for line in lines} == {"supervisor"}
    assert [line.text for line in lines] == [
        "net 1.0 loaded (1.2 s)",
        "failed: no",
        "swap net 1.1: net is served by 1.1",
        "stopping",
    ]


def test_a_warning_of_torchserves_and_an_alert_of_the_fronts_are_said(
    log: ServerLog, said: list[str]
) -> None:
    log.torchserve_line("WARN|epollEventLoopGroup-3-1|WorkflowStore|something odd")
    log.torchserve_line("ERROR|epollEventLoopGroup-3-1|HttpRequestHandler|")
    log.front_line("[ALERT]    (1) : cannot bind")
    assert said == ["torchserve: something odd", "front: [ALERT]    (1) : cannot bind"]


def test_of_an_exception_in_java_it_is_said_what_it_is_and_not_where(log: ServerLog, said: list[str]) -> None:
    log.torchserve_line("io.grpc.StatusRuntimeException: INTERNAL: Invalid protobuf byte sequence")
    log.torchserve_line("\tat io.grpc.Status.asRuntimeException(Status.java:530)")
    log.torchserve_line("\tat java.base/java.lang.Thread.run(Unknown Source)")
    log.torchserve_line("\t... 10 more")
    assert said == ["torchserve: io.grpc.StatusRuntimeException: INTERNAL: Invalid protobuf byte sequence"]


def test_what_a_handler_says_to_people_is_said_with_its_name(log: ServerLog, said: list[str]) -> None:
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
    worker = log.worker_log("digits", "1.0-g0")
    assert worker.deaths == 1
    assert worker.reason() == "ModuleNotFoundError: No module named 'my_nets'"
    assert worker.last_error == worker.reason()
    worker.add("ValueError: one more")
    assert worker.last_error == "ValueError: one more"


def test_a_worker_that_was_killed_left_no_reason(log: ServerLog) -> None:
    log.torchserve_line(f"WARN|{THREAD}|BatchAggregator|Load model failed: digits, error: Worker died.")
    assert log.worker_log("digits", "1.0-g0").deaths == 1
    assert "killed" in log.worker_log("digits", "1.0-g0").reason()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Backend worker startup time out.", "which had not started after 120 s"),
        ("Worker failed to initialize within 2 mins", "which could not be reached for 120 s"),
        ("Backend worker did not respond in given time", "which did not answer in time"),
    ],
)
def test_a_worker_that_torchserve_ended_was_not_killed_by_others(
    log: ServerLog, words: str, reason: str
) -> None:
    log.torchserve_line(f"ERROR|{THREAD}|WorkerThread|Backend worker error {words}")
    worker = log.worker_log("digits", "1.0-g0")
    assert worker.deaths == 1  # of one that has not started it says nothing more
    assert worker.reason() == worker.last_error == f"TorchServe ended the worker, {reason}"


def test_versions_are_told_apart_and_a_forgotten_one_begins_anew(log: ServerLog) -> None:
    worker_says(log, "Backend worker process died.")
    assert log.worker_log("digits", "1.1-g0").deaths == 0
    log.forget("digits", "1.0-g0")
    worker_says(log, "Backend worker process died.")  # nobody has asked for it since
    assert log.worker_log("digits", "1.0-g0").deaths == 0


def test_the_end_of_each_slot_is_not_written_down(log: ServerLog) -> None:
    log.front_line("[WARNING]  (1) : Proxy s2047-large stopped (cumulated conns: FE: 0, BE: 0).")
    log.front_line("[WARNING]  (1) : Proxy clients stopped (cumulated conns: FE: 7, BE: 0).")
    assert log.path.read_text().count("Proxy") == 1
