"""Out of the box only this machine reaches the server, and only its own user manages it: by any port or socket."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.faults.conftest import FaultyServer
from tests.faults.sockets import Listening, family_of, listening

from statehouse.scripts.deployment.file import Deployment
from statehouse.scripts.deployment.listen import split_address
from statehouse.scripts.machine import is_loopback
from statehouse.scripts.servers.private_folder import RuntimeFolder

NOBODY = 65534
PROBE = Path(__file__).with_name("other_user.py")
LIST_MODELS = "/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels"


class Found(NamedTuple):
    """What a server was found to listen on, and the tokens of its TorchServe before and after a restart."""

    server: FaultyServer
    listening: Listening
    old: dict[str, str]
    new: dict[str, str]
    evil: Path  # a folder that TorchServe would take for a model; loaded, it leaves a file "ran" beside it


def tokens_of(server: FaultyServer) -> dict[str, str]:
    file = RuntimeFolder.of_deployment(server.deployment_file).java_folder / "key_file.json"
    return {scope: each["key"] for scope, each in json.loads(file.read_text()).items() if scope != "API"}


def make_evil(folder: Path) -> Path:
    evil = folder / "evil"
    (evil / "MAR-INF").mkdir(parents=True)
    model = {"modelName": "evil", "modelVersion": "1.0", "handler": "handler.py:handle"}
    (evil / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"runtime": "python", "model": model}))
    (evil / "handler.py").write_text(
        f"open({str(folder / 'ran')!r}, 'w').close()\ndef handle(data, context):\n    return ['x'] * len(data or [])\n"
    )
    return evil


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    server = FaultyServer(tmp_path_factory.mktemp("reached"))
    server.publish("1.0")
    server.deploy("1.0")
    server.start()
    old = tokens_of(server)
    os.kill(server.status()["pids"]["torchserve"], 9)
    server.wait_until(lambda: not server.is_ready())
    server.wait_until(server.is_ready)
    assert server.process is not None
    yield Found(
        server, listening(family_of(server.process.pid)), old, tokens_of(server), make_evil(server.folder)
    )
    server.kill_if_running()


def attempts(found: Found, tokens: dict[str, str | None], *, user: int | None) -> list[dict[str, Any]]:
    wanted = {
        "user": user,
        "name": "moody",
        "evil": str(found.evil),
        "unix": sorted(found.listening.unix),
        "tcp": sorted(found.listening.tcp),
        "tokens": tokens,
    }
    done = subprocess.run(
        [sys.executable, PROBE], input=json.dumps(wanted), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert user is None or told["user"] == user
    return told["attempts"]


def test_every_port_is_of_this_machine_alone(found: Found) -> None:
    out_of_the_box = Deployment().listen.model_dump().values()
    assert len(out_of_the_box) == 3
    assert all(is_loopback(split_address(address)[0]) for address in out_of_the_box)
    assert len(found.listening.tcp) >= 4  # the front, the reader, gRPC's two
    for host, _ in found.listening.tcp | found.listening.udp:
        assert ip_address(host).is_loopback, found.listening


def test_every_socket_lies_where_only_its_owner_may_go(found: Found) -> None:
    names = {Path(path).name for path in found.listening.unix}
    assert names >= {
        "control.sock",
        "front-commands.sock",
        "inference.sock",
        "management.sock",
        "metrics.sock",
    }
    for path in found.listening.unix:
        assert path.startswith("/"), f"{path} is of no folder"
        folders = [each.stat() for each in Path(path).parents]
        assert any(each.st_uid == os.getuid() and stat.S_IMODE(each.st_mode) == 0o700 for each in folders), (
            path
        )


def test_another_user_can_manage_nothing_by_any_of_them(found: Found) -> None:
    """As root the attempts are made as nobody; else, and said by the run, as ourselves: then only sockets differ."""
    user = NOBODY if os.getuid() == 0 else None
    before = found.server.model("moody", "1.0")
    tokens: dict[str, str | None] = {
        "none": None,
        "wrong": "A" * 8,
        "old management": found.old["management"],
        "old inference": found.old["inference"],
        "our own word": found.old["management"].swapcase(),
    }
    made = attempts(found, tokens, user=user)
    assert len({each["where"] for each in made}) == len(found.listening.tcp) + len(found.listening.unix)
    got_in = [each for each in made if each.get("status", 599) < 400]
    if user is None:
        got_in = [each for each in got_in if each["what"] != "connect"]
    assert got_in == []
    if user is not None:
        refusals = {each["error"] for each in made if each["what"] == "connect"}
        assert refusals <= {"PermissionError", "FileNotFoundError"}  # a name that was changed is not there
        assert "PermissionError" in refusals
    secrets = {*found.old.values(), *found.new.values()}
    assert not [each for each in made if any(secret in each.get("body", "") for secret in secrets)]
    assert not (found.evil.parent / "ran").exists()
    assert found.server.model("moody", "1.0")["workers"] == before["workers"]
    assert found.server.serving() == "1.0"


def test_the_attempts_are_real_ones(found: Found) -> None:
    """What the test above relies on: with the right token the same attempts do get in."""
    tokens: dict[str, str | None] = {"right": found.new["management"], "inference": found.new["inference"]}
    made = attempts(found, tokens, user=None)
    listed = [each for each in made if each["what"] == LIST_MODELS and each.get("status") == 200]
    assert {each["token"] for each in listed} == {"right"}
    assert any("moody" in each["body"] for each in listed)
