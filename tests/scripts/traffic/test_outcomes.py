import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statehouse.scripts.traffic.outcomes import OutcomeReceiver, Outcomes


@pytest.fixture
def receiver(short_folder: Path) -> Iterator[OutcomeReceiver]:
    receiver = OutcomeReceiver(short_folder / "o.sock", lambda end: None)
    yield receiver
    receiver.close()


def tell(folder: Path, *lines: str) -> None:
    with socket.socket(socket.AF_UNIX) as sender:
        sender.connect(str(folder / "o.sock"))
        sender.sendall("".join(f"{line}\n" for line in lines).encode())


def taken(receiver: OutcomeReceiver, name: str, count: int) -> dict[str, Outcomes]:
    """What arrives until ``count`` answers have."""
    total: dict[str, Outcomes] = {}
    deadline = time.monotonic() + 120
    while sum(each.answered + each.gone for each in total.values()) < count and time.monotonic() < deadline:
        for version, outcomes in receiver.take(name).items():
            total[version] = total.get(version, Outcomes()) + outcomes
        time.sleep(0.01)
    return total


def test_outcomes_are_told_apart_by_version(receiver: OutcomeReceiver, short_folder: Path) -> None:
    receiver.begin("digits")
    tell(
        short_folder,
        "200 3 -- default - i t - digits 1.0 POST /p",
        "422 1 -- default - i t - digits 1.0 POST /p",
        "503 250 SC explicit - i t - digits 1.1 POST /p",
        "-1 9 CD explicit - i t - digits 1.1 POST /p",
        "200 1 -- default - i t - other 1.0 POST /p",
        "not a line of ours",
    )
    found = taken(receiver, "digits", 4)
    assert (found["1.0"].served, found["1.0"].failed, found["1.0"].slowest_seconds) == (2, 0, 0.003)
    assert (found["1.1"].served, found["1.1"].failed, found["1.1"].gone) == (0, 1, 1)
    assert found["1.1"].error_rate == 1.0


def test_thousands_at_once_are_all_counted(receiver: OutcomeReceiver, short_folder: Path) -> None:
    receiver.begin("digits")
    tell(short_folder, *["200 3 -- default - i t - digits 1.0 POST /p"] * 20_000)
    assert taken(receiver, "digits", 20_000)["1.0"].served == 20_000


def test_a_line_may_come_in_pieces_and_by_another_connection(
    receiver: OutcomeReceiver, short_folder: Path
) -> None:
    receiver.begin("digits")
    with socket.socket(socket.AF_UNIX) as sender:
        sender.connect(str(short_folder / "o.sock"))
        sender.sendall(b"20")
        tell(short_folder, "200 3 -- default - i t - digits 1.0 POST /p")
        assert taken(receiver, "digits", 1)["1.0"].served == 1
        sender.sendall(b"0 3 -- default - i t - digits 1.0 POST /p\n20")
    assert taken(receiver, "digits", 1)["1.0"].served == 1


def test_nothing_is_kept_of_a_model_that_is_not_watched(
    receiver: OutcomeReceiver, short_folder: Path
) -> None:
    tell(short_folder, "200 3 -- default - i t - digits 1.0 POST /p")
    receiver.begin("digits")
    receiver.end("digits")
    assert receiver.take("digits") == {}


@pytest.mark.parametrize(
    ("latencies_ms", "share", "expected"),
    [([], 0.99, None), ([5], 0.5, 0.005), ([1] * 99 + [500], 0.99, 0.001), ([1] * 98 + [500] * 2, 0.99, 0.5)],
)
def test_percentiles(latencies_ms: list[int], share: float, expected: float | None) -> None:
    outcomes = Outcomes()
    for latency_ms in latencies_ms:
        outcomes.add(200, latency_ms, "--")
    assert outcomes.percentile_seconds(share) == expected
