import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from statehouse.scripts.servers.child_process import MAX_LINE_BYTES, ChildProcess


async def start(code: str, lines: list[str], cwd: Path) -> ChildProcess:
    return await ChildProcess.start(
        [sys.executable, "-uc", code], on_line=lines.append, cwd=cwd, env={"PATH": os.defpath}
    )


def test_its_lines_arrive_and_an_endless_one_is_dropped(tmp_path: Path) -> None:
    lines: list[str] = []

    async def run() -> int:
        code = f"print('a'); print('x' * {2 * MAX_LINE_BYTES}); print('b', flush=True); raise SystemExit(3)"
        return await (await start(code, lines, tmp_path)).wait()

    assert asyncio.run(run()) == 3
    assert lines[0] == "a"
    assert lines[-1] == "b"
    assert "dropped" in lines[1]


def test_one_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\n"
        "time.sleep(60)\n"
    )
    lines: list[str] = []

    async def run() -> int:
        process = await start(code, lines, tmp_path)
        while not lines:
            await asyncio.sleep(0.01)
        return await process.stop(grace_seconds=0.2)

    assert asyncio.run(run()) == -signal.SIGKILL
    assert ends_soon(int(lines[0]))


def test_it_dies_with_its_parent_even_by_sigkill(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from statehouse.scripts.servers.child_process import ChildProcess\n"
        "async def run():\n"
        "    child = await ChildProcess.start(['sleep', '60'], on_line=print, cwd=Path('.'), env=dict(os.environ))\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(run())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert ends_soon(child)


def ends_soon(pid: int) -> bool:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
