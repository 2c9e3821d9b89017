"""What needs a server ends as soon as that does, and is left alone otherwise."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest

from scripts.errors import ServerEndedError
from scripts.server_process import ServerProcess


async def started(folder: Path) -> ServerProcess:
    server = ServerProcess("The sleeper", lambda line: None)

    async def answers() -> bool:
        return True

    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    await server.start(command, cwd=folder, env={}, answers=answers, timeout_seconds=60)
    return server


def test_what_needs_a_server_that_ends_is_told_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        server = await started(tmp_path)
        asyncio.get_running_loop().call_later(0.2, server.send_signal, signal.SIGKILL)
        with pytest.raises(ServerEndedError, match="The sleeper ended meanwhile"):
            async with server.needed():
                await asyncio.sleep(30)
        await asyncio.sleep(0)  # not cancelled any more

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 20


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
