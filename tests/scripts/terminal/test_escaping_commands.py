"""Every command, with foreign text wherever it takes any: in files, in names, in what a server says."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.scripts.terminal.hostile import FORGED, HOSTILE, IN_ONE_LINE, unprintable

from statehouse.models import CategoricalFeature, NumericFeature, TabularTask, build_model, save_checkpoint
from statehouse.scripts import cli
from statehouse.scripts.deployment.file import DEPLOYMENT_VARIABLE
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.servers.private_folder import RuntimeFolder

FILE = HOSTILE.replace("/", "")[:70] + f"\u202e\n{FORGED}.pt"  # a file's name holds fewer
CONFIG = {"input_size": 3, "hidden_size": 3, "num_classes": 2}
ROW = {
    "name": "digits", "version": "1.0", "default": True, "state": HOSTILE, "digest": HOSTILE,
    "workers": {"ready": 1, "desired": 1}, "memory_bytes": None, "queued_requests": 0,
    "latency": None, "settings": {"batch_size": HOSTILE, "optimizations": [HOSTILE]}, "library_changed": HOSTILE,
    "code_changed": HOSTILE,
    "answers": False, "reason": IN_ONE_LINE,
}  # fmt: skip
STATUS = {
    "ready": False, "missing": [IN_ONE_LINE], "front": HOSTILE, "reader": HOSTILE, "grpc": HOSTILE,
    "deployment": HOSTILE, "certificate": None, "models": [ROW], "change": {"text": HOSTILE, "aborted_by": None},
}  # fmt: skip
KEYS = [{"until_unix_seconds": 1e9, "added": HOSTILE}, {"until_unix_seconds": None, "added": HOSTILE}]
CLIENT = {
    "client": HOSTILE, "key": IN_ONE_LINE, "keys": KEYS, "metrics": True, "requests_per_second": HOSTILE,
    "concurrent_requests": HOSTILE,
}  # fmt: skip
CHANGED = {"serving": HOSTILE, "before": HOSTILE, "changed": True, "done": [HOSTILE], "code_changed": HOSTILE}
ABORTED = {"change": HOSTILE, "name": HOSTILE, "serving": HOSTILE, "outcome": "aborted"}
PROBLEM = {"title": IN_ONE_LINE, "errors": [{"row": 0, "detail": IN_ONE_LINE}]}


class Supervisor(BaseHTTPRequestHandler):
    """What a command may be told at the private sockets, by a supervisor that lets everything through."""

    def do_GET(self) -> None:
        answers: Mapping[str, Any] = {
            "/status": STATUS | {"own_socket": str(self.server.server_address)},
            "/token": {"inference": IN_ONE_LINE},
            "/plan": {"plan": [] if self.server.tuned else [HOSTILE]},  # type: ignore[attr-defined]
            "/keys": {"clients": [CLIENT]},
        }
        self._answer(200, answers[self.path])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith("/keys/"):
            return self._answer(200, CLIENT)
        if self.path == "/abort":
            return self._answer(200, ABORTED)
        if self.path.startswith("/predictions/"):
            return self._answer(422, PROBLEM, version=IN_ONE_LINE if "digits" in self.path else "1")
        steps = [
            {"name": IN_ONE_LINE, "text": IN_ONE_LINE, "state": state}
            for state in ("begun", "done", "failed")
        ]
        outcome = (
            {"outcome": "failed", "message": IN_ONE_LINE}
            if "rollback" in self.path or "tune" in self.path
            else {"outcome": "done", "result": CHANGED}
        )
        return self._answer(200, *({"step": step} for step in steps), outcome)

    def _answer(self, status: int, *documents: Mapping[str, Any], version: str = "1") -> None:
        body = "\n".join(map(json.dumps, documents)).encode()
        self.send_response(status)
        self.send_header("X-Model-Version", version.encode("latin-1", "ignore").decode("latin-1"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    tuned = False

    def handle_error(self, *_: object) -> None:
        """A client that went away in the middle is told of by its own words."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile checkpoints, and a hostile line in the history."""
    folder = tmp_path_factory.mktemp("p")
    features = [NumericFeature(name=HOSTILE), CategoricalFeature(name="b", categories=[HOSTILE, "y"])]
    task = TabularTask(kind="classification", features=features, labels=[HOSTILE, "well"])
    save_checkpoint(
        folder / FILE, build_model("simple_net", CONFIG), architecture="simple_net", config=CONFIG, task=task,
        metadata={HOSTILE: HOSTILE, "more": {HOSTILE: [HOSTILE]}},
    )  # fmt: skip
    torch.save({f"{HOSTILE}{number}": torch.zeros(2) for number in range(3)}, folder / "names.pt")
    torch.save(
        {
            "model_state_dict": {},
            "architecture": HOSTILE,
            "model_config": {HOSTILE: HOSTILE},
            "task": HOSTILE,
        },
        folder / "words.pt",
    )
    who = {"kind": HOSTILE, "name": HOSTILE, "user": HOSTILE, "host": HOSTILE, "when": HOSTILE}
    change = {"from": {"version": HOSTILE}, "to": {"version": HOSTILE}, "outcome": HOSTILE, "requests": 1}
    entry = who | change | {"seconds": 1.0, "failed": 0, "slowest_seconds": 0.1}
    Journal(folder / "deployment.yaml").history_file.write_text(json.dumps(entry) + "\n" + IN_ONE_LINE + "\n")
    (folder / "deployment.log").write_text(f"{IN_ONE_LINE}\n2026-11-30 worker {IN_ONE_LINE}\n")
    (folder / "deployment.problems.jsonl").write_text(f"{IN_ONE_LINE}\n{json.dumps({'path': HOSTILE})}\n")
    (folder / "bad.yaml").write_text(json.dumps({HOSTILE: 1, "models": {HOSTILE: {"default": HOSTILE}}}))
    (folder / "body.json").write_text("[1]")
    (folder / "nets").mkdir()
    for name in ("__init__.py", FILE):
        (folder / "nets" / name).touch()
    return folder


@pytest.fixture
def supervisor(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A supervisor of the project's deployment."""
    runtime = RuntimeFolder.of_deployment(project / "deployment.yaml")
    runtime.path.mkdir(mode=0o700, exist_ok=True)
    runtime.control_socket.unlink(missing_ok=True)
    with Server(str(runtime.control_socket), Supervisor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
    runtime.control_socket.unlink()
    runtime.path.rmdir()


Run = Callable[..., str]


@pytest.fixture
def shown(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command line in the project, and returns all that it prints."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("STATEHOUSE_CACHE", str(project / FILE.replace(".pt", "cache")))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["statehouse", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        captured = capsys.readouterr()
        return captured.out + captured.err

    return run


BARE = ["--architecture", "simple_net", "--config", json.dumps(CONFIG), "--task", "tensor"]
LOAD = ["--input", "body.json", "--connections", "1", "--duration", "200ms"]
# By command; more than one line where it says different things. A command that is new belongs here.
LINES: dict[str, list[list[str]]] = {
    "publish": [
        ["publish", FILE, "--name", "well", "--version", "1.0"],
        ["publish", "names.pt", "--name", "ill", "--version", "1.0", *BARE],
        ["publish", "words.pt", "--name", "ill", "--version", "1.0"],
        ["publish", FILE, "--name", HOSTILE, "--version", HOSTILE],
    ],
    "inspect": [
        ["inspect", FILE],
        ["inspect", "names.pt", *BARE],
        ["inspect", "names.pt", *BARE, "--rename", "(.*)0=a", "--rename", f"{IN_ONE_LINE}=b"],
        ["inspect", "words.pt"],
        ["inspect", "well-1.0"],
        ["inspect", HOSTILE],
        ["inspect", FILE, "--task-config", HOSTILE],
    ],
    "serve": [["serve", "--deployment", "bad.yaml"], ["serve", "--deployment", FILE]],
    "status": [["status"], ["status", "--deployment", FILE]],
    "predict": [["predict", "shop", "[1]"], ["predict", HOSTILE, "[1]"], ["predict", "digits", HOSTILE]],
    "token": [["token"]],
    "load-test": [
        ["load-test", "digits", *LOAD],
        ["load-test", f"digits/{IN_ONE_LINE}", *LOAD],
        ["load-test", "digits", "--during", HOSTILE, *LOAD],
    ],
    "swap": [["swap", "digits", HOSTILE], ["swap", "digits", "1", "--canary", HOSTILE]],
    "rollback": [["rollback", HOSTILE]],
    "retire": [["retire", HOSTILE, HOSTILE]],
    "scale": [["scale", HOSTILE, HOSTILE, "1"], ["scale", "digits", "1", HOSTILE]],
    "apply": [["apply"], ["apply", "--plan"]],
    "abort": [["abort"]],
    "history": [["history"]],
    "logs": [["logs"], ["logs", "--of", "problems"], ["logs", "--deployment", HOSTILE], ["logs", "--of", HOSTILE]],
    "tune": [["tune", HOSTILE], ["tune", "digits", "--duration", "200ms"]],
    "cache": [["cache"]],
    "export": [
        ["export", "well", "1.0", "--to", "safetensors", "--force", "--output", FILE.replace(".pt", ".safetensors")],
        ["export", HOSTILE, HOSTILE, "--to", HOSTILE],
    ],
    "key add": [["key", "add", HOSTILE]],
    "key rotate": [["key", "rotate", HOSTILE]],
    "key limit": [["key", "limit", HOSTILE, "--rate", "1"]],
    "key revoke": [["key", "revoke", HOSTILE]],
    "key list": [["key", "list"]],
    "architecture add": [
        ["architecture", "add", HOSTILE],
        ["architecture", "add", "nets", "--digest", HOSTILE],
        ["architecture", "add", "nets"],
    ],
    "architecture list": [["architecture", "list"]],
    "architecture prune": [["architecture", "prune", "--yes", "--store", HOSTILE]],
}  # fmt: skip


def commands() -> set[str]:
    """The names of all commands, `key add` and the like included."""
    found = set()
    for group in (cli.app, *(each.typer_instance for each in cli.app.registered_groups)):
        [prefix] = {each.name for each in cli.app.registered_groups if each.typer_instance is group} or {None}
        for command in group.registered_commands if group else ():
            name = command.name or command.callback.__name__  # type: ignore[union-attr]
            found.add(f"{prefix} {name}" if isinstance(prefix, str) else name)
    return found


def test_every_command_is_here() -> None:
    assert set(LINES) == commands()


@pytest.mark.parametrize("command", LINES)
def test_nothing_foreign_reaches_the_terminal_as_it_is(command: str, shown: Run, supervisor: Server) -> None:
    for line in LINES[command]:
        supervisor.tuned = command == "tune"
        for options in ([], ["--json"]):
            text = shown(*line, *options)
            assert not unprintable(text), (line, options)
            assert not [each for each in text.splitlines() if each.lstrip().startswith(FORGED)], text
            assert "Traceback" not in text
            assert "[/red]" in text or HOSTILE not in str(line), text


@pytest.mark.parametrize("command", LINES)
def test_a_folder_in_place_of_the_deployment_is_no_traceback(
    command: str, shown: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "folder.yaml"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv(DEPLOYMENT_VARIABLE, str(folder))
    text = shown(*(["serve"] if command == "serve" else LINES[command][0]))
    assert "Traceback" not in text
    assert "error: " in text or command in ("history", "architecture list")
