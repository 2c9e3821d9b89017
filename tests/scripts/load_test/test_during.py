"""A command in the middle of a load: what is no command is refused, and what could not run is told."""

from pathlib import Path

import pytest
from tests.scripts.load_test.counting_server import CountingServer, run_async

from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test import LoadResult, OpenLoop, run_load
from statehouse.scripts.load_test.during import DuringCommand
from statehouse.scripts.load_test.progress import LoadProgress


@pytest.fixture(scope="module")
def result() -> LoadResult:
    found: list[LoadResult] = []

    async def scenario() -> None:
        async with CountingServer() as server:
            found.append(await run_load(server.plan(OpenLoop(50, 0.2))))

    run_async(scenario())
    return found[0]


def progress(seconds: float) -> LoadProgress:
    return LoadProgress(seconds, 10, 5, 5, 0, 0)


@pytest.mark.parametrize("text", ["", "serve", "load-test digits --rate 5", "--json", "swap 'digits"])
def test_what_is_no_command_to_run_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="--during"):
        DuringCommand(text, seconds_around=1, deployment_file=tmp_path / "deployment.yaml")


def test_it_runs_once_when_its_time_has_come(result: LoadResult, tmp_path: Path) -> None:
    command = DuringCommand(
        "statehouse token", seconds_around=1, deployment_file=tmp_path / "deployment.yaml"
    )
    command.follow(progress(0.9))
    assert command.finish(result) is None
    assert command.open_end.at_monotonic_seconds is None
    for _ in range(3):
        command.follow(progress(1.1))
    ran = command.finish(result)
    assert ran is not None
    assert (ran.command, ran.exit_code) == ("token", 3)
    assert "Nothing serves" in ran.output
    assert command.open_end.at_monotonic_seconds == pytest.approx(
        ran.ended_seconds + result.started_monotonic_seconds + 1
    )
    assert ran.to_plain()["phases"][0]["name"] == "before"
