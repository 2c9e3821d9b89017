"""README, as a newcomer follows it: every bash and python block, in order, in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY_SECONDS = 300


@dataclass(frozen=True)
class Block:
    language: str
    text: str


BLOCKS = [Block(*found) for found in BLOCK.findall((ROOT / "README.md").read_text())]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed files and those about to be, with the environment that they run in."""
    folder = tmp_path_factory.mktemp("readme") / "statehouse"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    # make must not install the copy into the environment that it shares.
    for name in ("pyproject.toml", "requirements.lock"):
        os.utime(folder / name, (0, 0))
    return folder


@pytest.fixture(scope="module")
def serving(project: Path) -> Iterator[Path]:
    """`make serve`, the first block, until it is ready."""
    assert BLOCKS[0] == Block("bash", "make serve\n")
    with (project / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "serve"], cwd=project, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_ready(process, project / "serve.log")
        yield project
    finally:
        # As Ctrl-C in its terminal: to make and to what it started.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=240)


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get("http://127.0.0.1:8090/ready").status_code == 200 and "Ready" in log.read_text():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(
        f"`make serve` was not ready (is something else on ports 8080, 8090, 7070?):\n{log.read_text()}"
    )


def test_every_block_does_what_it_says(serving: Path) -> None:
    output = ""
    for block in BLOCKS[1:]:
        if block.language == "bash":
            output = run(["bash", "-euo", "pipefail", "-c", block.text], serving)
        elif block.language == "python":
            run([".venv/bin/python", "-c", block.text], serving)
        elif block.language == "json":
            assert json.loads(output.splitlines()[-1]).keys() == json.loads(block.text).keys()
        elif block.language == "yaml":
            check_deployment(serving, block.text)


def run(command: list[str], project: Path) -> str:
    path = f"{project / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, env=os.environ | {"PATH": path}, timeout=120
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_deployment(project: Path, text: str) -> None:
    from statehouse.scripts.deployment.file import Deployment, read_deployment

    shown = Deployment.model_validate(yaml.safe_load(text))
    written = read_deployment(project / "deployment.yaml")
    assert shown.listen == written.listen
    assert shown.limits == written.limits
    assert shown.models["digits"].versions["1.0"] == written.models["digits"].versions["1.0"]


def test_the_curl_lines_that_serve_prints_work(serving: Path) -> None:
    printed = [line.strip() for line in (serving / "serve.log").read_text().splitlines() if "curl " in line]
    assert len(printed) == 3
    for line in printed:
        assert json.loads(run(["bash", "-euc", line], serving)).keys() & {"ready", "label"}


def test_the_swap_left_the_version_that_it_says(serving: Path) -> None:
    status = json.loads(run([".venv/bin/statehouse", "status", "--json"], serving))
    served = {row["name"]: row["version"] for row in status["models"] if row["default"]}
    assert served == {"digits": "1.0", "breast_cancer": "1.0", "tutorial": "1.0"}


def test_it_names_only_commands_and_files_that_there_are() -> None:
    from typer.main import get_command

    from statehouse.scripts.cli import app

    text = (ROOT / "README.md").read_text()
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"`statehouse ([a-z][a-z-]*)", text)) == commands
    for linked in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / linked).exists(), linked
