"""Real forks: the fork server as the supervisor runs it, and clients as TorchServe starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from statehouse.handlers.worker import fork_client
from statehouse.handlers.worker.priority import LOADING_NICENESS, SESSION
from statehouse.models import TensorTask

ROOT = Path(__file__).resolve().parents[3]
CLIENT = (sys.executable, "-IS", fork_client.__file__)
SIMPLE_NET = {"input_size": 4, "hidden_size": 5, "num_classes": 3}
WAIT_SECONDS = 60

TELL = """
import gc, json, os, sys
print(json.dumps({
    "arguments": sys.argv, "colour": os.environ.get("COLOUR"), "secret": os.environ.get("SECRET"),
    "folder": os.getcwd(), "path": sys.path, "collects": gc.isenabled(), "pid": os.getpid(),
    "niceness": os.getpriority(os.PRIO_PROCESS, 0), "torch": "torch" in sys.modules, "timm": "timm" in sys.modules,
    "ignores": __import__("signal").getsignal(17).name,
}), flush=True)
sys.exit(3)
"""


@contextmanager
def running(command: list[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process whose output is read, killed at the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **how) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    with fork_server(tmp_path_factory.mktemp("fork")) as of_its_own:
        yield of_its_own


@contextmanager
def fork_server(folder: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """One that is listening, and its socket."""
    path = folder / "fork.sock"
    with running(
        [sys.executable, "-m", "statehouse.handlers.worker.fork_server", str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "SECRET": "the server's own"},
        start_new_session=True,  # as the supervisor starts it
    ) as process:
        wait_until(path.exists)
        yield path, process


@pytest.fixture
def of_architecture(make_version, write_settings) -> Callable[[str], Path]:
    """A private folder of which only the settings matter."""

    def make(name: str) -> Path:
        private = make_version("simple_net", SIMPLE_NET, TensorTask())
        write_settings(private, private.parent / "model-1.0", architecture=name)
        return private

    return make


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text)
    return path


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_gets_its_own_arguments_environment_folder_and_priority(server, tmp_path):
    path, process = server
    added = tmp_path / "added"
    done = subprocess.run(
        ["nice", "-n", "5", *CLIENT, str(path), str(script(tmp_path, TELL)), "--port", "9"],
        env={"COLOUR": "blue", "PYTHONPATH": f"{added}:{ROOT / 'src'}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    assert told["pid"] != process.pid
    assert told["arguments"] == [str(tmp_path / "script.py"), "--port", "9"]
    assert (told["colour"], told["secret"]) == ("blue", None)
    assert told["folder"] == str(tmp_path)
    assert told["path"][0] == str(added)
    assert told["niceness"] == os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert told["torch"]
    assert told["collects"]
    assert told["ignores"] == "SIG_DFL"  # or a worker could not wait for a compiler that it runs
    assert done.returncode == 1


@pytest.mark.skipif(not SESSION.exists(), reason="this kernel shares the processors among processes alone")
def test_a_worker_s_session_is_nice_until_it_takes_its_place(server, tmp_path):
    """Where sessions share the processors, niceness of a process alone in one counts for nothing."""
    code = """
from pathlib import Path
from statehouse.handlers.worker.priority import take_normal_priority
print(Path("/proc/self/autogroup").read_text().split()[-1])
take_normal_priority()
print(Path("/proc/self/autogroup").read_text().split()[-1], flush=True)
"""
    command = [*CLIENT, str(server[0]), str(script(tmp_path, code))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == [str(LOADING_NICENESS), "0"]


def test_who_leads_no_session_leaves_its_niceness():
    before = SESSION.read_text() if SESSION.exists() else ""
    command = [sys.executable, "-c", "from statehouse.handlers.worker.priority import step_back; step_back()"]
    subprocess.run(command, check=True, cwd=ROOT)
    assert (SESSION.read_text() if SESSION.exists() else "") == before


@pytest.mark.skipif(not SESSION.exists(), reason="this kernel shares the processors among processes alone")
def test_who_has_no_rights_waits_until_its_session_may_be_set_again():
    """The kernel lets all of them together set ten a second."""
    code = """
import ctypes, os
from statehouse.handlers.worker import priority
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: its files in /proc are its own again
for _ in range(3):
    for change in (priority.step_back, priority.take_normal_priority):
        change()
        print(priority.SESSION.read_text().split()[-1])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, start_new_session=True)
    assert done.stdout.split() == [str(LOADING_NICENESS), "0"] * 3, done.stderr


def test_the_server_has_one_thread_for_no_other_survives_a_fork(server):
    path, process = server
    subprocess.run([*CLIENT, str(path), "-"], env={}, stderr=subprocess.DEVNULL)  # it has imported by then
    assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_ends_with_its_client(server, tmp_path, number):
    sleeper = script(tmp_path, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(1000)")
    command = [*CLIENT, str(server[0]), str(sleeper)]
    with running(command) as client:
        worker = int(client.stdout.readline())
        assert is_running(worker)
        client.send_signal(number)
        client.wait()
    wait_until(lambda: not is_running(worker))


def test_a_client_ends_with_its_worker_and_leaves_nothing_behind(server, tmp_path):
    sleeper = script(tmp_path, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(1000)")
    command = [*CLIENT, str(server[0]), str(sleeper)]
    with running(command) as client:
        worker = int(client.stdout.readline())
        os.kill(worker, signal.SIGKILL)
        assert client.wait(WAIT_SECONDS) == 1
    wait_until(lambda: not Path(f"/proc/{worker}").exists())  # buried, no zombie


def test_a_script_s_error_is_told_where_the_worker_tells_things(server, tmp_path):
    failing = script(tmp_path, "raise ValueError('of its own')")
    done = subprocess.run([*CLIENT, str(server[0]), str(failing)], capture_output=True, text=True)
    assert "ValueError: of its own" in done.stderr
    assert done.returncode == 1


def test_who_asks_in_no_readable_way_gets_nothing_and_harms_nobody(server, tmp_path):

    for message in (b"", b"\0\0\0\2{", b"\0\0\0\1x", b"\0\0\0\2{}"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(server[0]))
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    quick = script(tmp_path, "print('well')")
    assert (
        subprocess.run([*CLIENT, str(server[0]), str(quick)], capture_output=True, text=True).stdout
        == "well\n"
    )


def test_who_only_looks_whether_it_answers_is_not_written_about(tmp_path):
    with fork_server(tmp_path) as (path, process):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        process.kill()
        assert "readable" not in process.stdout.read()


def test_without_a_server_the_client_becomes_an_ordinary_worker(tmp_path):
    done = subprocess.run(
        [*CLIENT, str(tmp_path / "nobody.sock"), str(script(tmp_path, TELL)), "--port", "9"],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    assert told["arguments"][1:] == ["--port", "9"]
    assert not told["torch"]
    assert "no fork server" in done.stderr
    assert done.returncode == 3


IMPATIENT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import fork_client
fork_client.TAKEN_TIMEOUT_SECONDS = 1
fork_client.main(sys.argv[1], sys.argv[2:])
"""


def test_a_server_that_stands_still_is_not_waited_for_and_forks_nothing_for_who_has_gone(tmp_path):
    telling = script(tmp_path, "import os, sys\nprint('one', 'torch' in sys.modules, flush=True)")
    said, told = tmp_path / "said", tmp_path / "told"  # files: one that stands still keeps pipes open
    with fork_server(tmp_path) as (path, process):
        subprocess.run([*CLIENT, str(path), str(telling)], check=False, stdout=subprocess.DEVNULL)
        os.kill(process.pid, signal.SIGSTOP)
        command = [sys.executable, "-ISc", IMPATIENT, str(Path(fork_client.__file__).parent)]
        with said.open("w") as stdout, told.open("w") as stderr:
            subprocess.run([*command, str(path), str(telling)], check=True, stdout=stdout, stderr=stderr)
        assert "no fork server (timed out): starting a worker the long way" in told.read_text()
        assert said.read_text() == "one False\n"
        os.kill(process.pid, signal.SIGCONT)
        forked = subprocess.run([*CLIENT, str(path), str(telling)], capture_output=True, text=True)
        assert forked.stdout == "one True\n"
    assert said.read_text() == "one False\n"


def test_a_server_that_is_killed_before_it_forks_is_not_waited_for(tmp_path):
    telling = script(tmp_path, "print('well')")
    with fork_server(tmp_path) as (path, process):
        os.kill(process.pid, signal.SIGSTOP)
        with running([*CLIENT, str(path), str(telling)], stderr=subprocess.PIPE) as client:
            time.sleep(0.5)  # it has asked by then, and if not it finds nobody
            process.kill()
            stdout, stderr = client.communicate(timeout=WAIT_SECONDS)
    assert (stdout, "starting a worker the long way" in stderr) == ("well\n", True)


def test_a_forked_worker_serves_what_torchserve_tells_it_to_load(server, make_version):
    from tests.support.worker_process import WorkerProcess

    private = make_version("simple_net", SIMPLE_NET, TensorTask())
    with WorkerProcess(private, "statehouse.handlers.tensor", python=(*CLIENT, str(server[0]))) as worker:
        answer = worker.predict(b'{"inputs": [1, 2, 3, 4]}')
    assert b"outputs" in answer


def test_a_library_is_imported_once_for_all_workers_of_its_architectures(server, tmp_path, of_architecture):
    path, process = server
    telling = script(tmp_path, TELL)

    def told(folder):
        done = subprocess.run([*CLIENT, str(path), str(telling)], cwd=folder, capture_output=True, text=True)
        return json.loads(done.stdout)

    private = of_architecture("timm:resnet18")
    assert not told(tmp_path)["timm"]
    assert told(private)["timm"]  # the worker's script imports nothing
    assert told(tmp_path)["timm"]
    session = Path(f"/proc/{process.pid}/autogroup")
    assert not session.exists() or session.read_text().split()[-1] == "0"
    assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1


def test_a_library_that_cannot_be_imported_is_the_worker_s_to_tell(server, tmp_path, of_architecture):
    done = subprocess.run(
        [*CLIENT, str(server[0]), str(script(tmp_path, "print('well')"))],
        cwd=of_architecture("nobodys:net"),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "well\n"
