"""What needs a server ends as soon as that does; one that answers no more is killed, and no other."""

import asyncio
import errno
import signal
import sys
import time
from pathlib import Path

import pytest

from statehouse.scripts.errors import ServerEndedError
from statehouse.scripts.servers import server_process
from statehouse.scripts.servers.server_process import Ask, ServerProcess


async def started(folder: Path) -> ServerProcess:
    server = ServerProcess("The sleeper", on_line=print, say=print)

    async def answers() -> bool:
        return True

    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    await server.start(command, cwd=folder, env={}, answers=answers, timeout_seconds=60)
    return server


def test_what_needs_a_server_that_ends_is_told_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        server = await started(tmp_path)

        async def need() -> None:
            async with asyncio.timeout(120), server.needed():
                server.send_signal(signal.SIGKILL)
                await asyncio.Event().wait()

        with pytest.raises(ServerEndedError, match="The sleeper ended meanwhile"):
            await need()
        await asyncio.sleep(0)  # not cancelled any more

    asyncio.run(run())


def test_what_ends_by_itself_or_is_cancelled_is_left_alone(tmp_path: Path) -> None:
    async def run() -> None:
        server = await started(tmp_path)
        async with server.needed():
            await asyncio.sleep(0)
        with pytest.raises(KeyError):
            async with server.needed():
                raise KeyError
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), server.needed():
                await asyncio.sleep(30)
        await server.stop(with_signal=signal.SIGKILL, grace_seconds=60)

    asyncio.run(run())


LISTENS = """
import contextlib, signal, socket, time

def drain(*_):
    listener.close()
    time.sleep(2)
    raise SystemExit(7)

signal.signal(signal.SIGUSR1, drain)
listener = socket.socket(socket.AF_UNIX)
listener.bind("s.sock")
listener.listen()
while True:
    with contextlib.suppress(OSError):  # who asked while it stood still has gone
        listener.accept()[0].send(b"here")
"""


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed in fractions of a second."""
    for name, seconds in (
        ("WATCH_PAUSE_SECONDS", 0.02),
        ("WATCH_SECONDS", 0.1),
        ("LONGEST_SILENCE_SECONDS", 0.5),
    ):
        monkeypatch.setattr(server_process, name, seconds)


class Listener:
    """A server that answers, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.answered: list[bool] = []
        self.server = ServerProcess("The listener", on_line=self.lines.append, say=self.said.append)
        self._folder = folder

    async def start(self, still_answers: Ask | None = None) -> None:
        await self.server.start(
            [sys.executable, "-c", LISTENS],
            cwd=self._folder,
            env={},
            answers=self.answers,
            timeout_seconds=60,
            still_answers=still_answers or self.answers,
        )

    async def answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._folder / "s.sock")
        except (FileNotFoundError, ConnectionError):
            return False
        try:
            self.answered.append(await reader.read(4) == b"here")
        finally:
            writer.close()
        return self.answered[-1]

    async def answers_again(self, times: int = 3) -> None:
        beyond = len(self.answered) + times
        while len(self.answered) < beyond:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self.server.stop(with_signal=signal.SIGKILL, grace_seconds=60)


@pytest.mark.usefixtures("soon")
def test_one_that_stands_still_is_killed_and_may_be_started_again(tmp_path: Path) -> None:
    async def run() -> None:
        listener = Listener(tmp_path)
        await listener.start()
        await listener.answers_again()
        assert listener.server.why_not_up is None
        listener.server.send_signal(signal.SIGSTOP)
        while listener.server.why_not_up is None:
            await asyncio.sleep(0.01)
        assert listener.server.why_not_up.startswith("has not answered for ")
        assert await listener.server.wait() == -signal.SIGKILL
        [said] = listener.said
        assert said.startswith("The listener has not answered for ")
        assert listener.lines == []  # it said nothing of this itself
        assert listener.server.why_not_up == "is not running"
        (tmp_path / "s.sock").unlink()
        await listener.start()
        await listener.answers_again()
        assert listener.server.why_not_up is None
        await listener.stop()

    asyncio.run(asyncio.wait_for(run(), 120))


@pytest.mark.usefixtures("soon")
def test_one_that_goes_on_in_time_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "LONGEST_SILENCE_SECONDS", 2)

    async def run() -> None:
        listener = Listener(tmp_path)
        await listener.start()
        for _ in range(20):  # together they are too long
            listener.server.send_signal(signal.SIGSTOP)
            while listener.server.why_not_up is None:
                await asyncio.sleep(0.01)
            listener.server.send_signal(signal.SIGCONT)
            while listener.server.why_not_up is not None:
                await asyncio.sleep(0.01)
        assert listener.server.running
        await listener.stop()

    asyncio.run(asyncio.wait_for(run(), 120))


async def we_stand_still() -> bool:
    """This process, or the whole machine, is stopped for longer than there is to answer."""
    time.sleep(2 * server_process.WATCH_SECONDS)
    await asyncio.Event().wait()  # the time is over by now
    return True


async def no_descriptor_left() -> bool:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("ask", "times"), [(we_stand_still, 10), (no_descriptor_left, 50)])
def test_that_we_cannot_ask_in_time_is_nobody_s_silence(tmp_path: Path, ask: Ask, times: int) -> None:
    async def run() -> None:
        listener, asked = Listener(tmp_path), 0

        async def counted() -> bool:
            nonlocal asked
            asked += 1
            return await ask()

        await listener.start(counted)
        while asked < times:
            await asyncio.sleep(0.01)
        assert listener.server.running
        assert listener.server.why_not_up is None
        await listener.stop()

    asyncio.run(asyncio.wait_for(run(), 120))


@pytest.mark.usefixtures("soon")
def test_one_that_was_asked_to_end_may_be_silent_until_it_has(tmp_path: Path) -> None:
    async def run() -> None:
        listener = Listener(tmp_path)
        await listener.start()
        await listener.answers_again()
        await listener.server.stop(with_signal=signal.SIGUSR1, grace_seconds=60)
        assert await listener.server.wait() == 7

    asyncio.run(asyncio.wait_for(run(), 120))
