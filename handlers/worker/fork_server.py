"""Workers without the wait: one process imports what every worker needs, and each worker is a fork of it.

TorchServe starts a worker as a command of its own, and importing torch is nearly all of what that costs: 1.7 s
of a core and 140 MiB that no two workers share. So the supervisor runs

    python -m statehouse.handlers.worker.fork_server SOCKET

and TorchServe `handlers/worker/fork_client.py` as its Python: it hands its arguments, environment and standard streams
over the socket, and lives exactly as long as the worker that is forked for it. Where no fork server answers it
becomes an ordinary worker instead. A library whose architecture a worker serves is imported when the first such
worker is asked for. Nothing here starts a thread or touches a GPU: neither survives a fork.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ORDER_TIMEOUT_SECONDS = 10
TAKEN = b"+"  # told to who asks for a worker, before anything is done for it
STREAMS = (0, 1, 2)


def main(socket_path: Path) -> None:
    """Listen first, so that workers asked for meanwhile wait; then import, then fork for each that asks."""
    listener = socket.socket(socket.AF_UNIX)
    socket_path.unlink(missing_ok=True)
    listener.bind(str(socket_path))
    listener.listen(128)
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                order, streams = receive_order(connection)
            except (OSError, ValueError) as error:
                print(f"fork server: a worker was asked for in no readable way: {error!r}", flush=True)
                continue
            if order is not None and is_taken(connection):
                import_library(Path(order["folder"]))
                if os.fork() == 0:
                    listener.close()
                    become_worker(order, streams, connection)
            for stream in streams:
                os.close(stream)


def preload() -> None:
    """Import what workers import, once and for all; the objects are nobody's garbage from here on."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # NumPy's would start threads when it is imported
    gc.disable()  # collecting while thousands of modules are made costs a tenth of it and frees nothing
    importlib.import_module("ts.model_service_worker")
    tasks = importlib.import_module("statehouse.models.tasks.registry").task_names()
    for name in ("statehouse.models.architectures", *(f"statehouse.handlers.{task}" for task in tasks)):
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - the worker that needs it will say so; others do not
            print(f"fork server: {name} cannot be imported: {error!r}", flush=True)
    gc.freeze()


def import_library(model_folder: Path) -> None:
    """Import the library that the architecture of the worker in `model_folder` is of, if that was not done.

    It takes seconds, and steps back meanwhile for those that serve. What fails is for the worker to tell.
    """
    settings, priority = map(
        importlib.import_module,
        ("statehouse.handlers.worker.settings", "statehouse.handlers.worker.priority"),
    )
    try:
        architecture = settings.read_settings(model_folder).architecture
        library, _, of_a_library = architecture.partition(":")
        if not of_a_library or f"statehouse.models.libraries.{library}" in sys.modules:
            return
        priority.step_back()
        try:
            importlib.import_module("statehouse.models.libraries").find(architecture)
            gc.freeze()
        finally:
            priority.take_normal_priority()
    except Exception as error:  # noqa: BLE001 - somebody's library may raise anything
        print(f"fork server: nothing is imported for {model_folder}: {error}", flush=True)


def receive_order(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """What `fork_client` sends: JSON with `arguments`, `environment`, `folder`, `niceness`; three streams.

    None of the supervisor, which only sees whether this answers: it sends nothing.
    """
    connection.settimeout(ORDER_TIMEOUT_SECONDS)
    head, streams, _, _ = socket.recv_fds(connection, 4, len(STREAMS))
    if not head:
        return None, []
    length = int.from_bytes(head, "big")
    text = b""
    while len(text) < length and (more := connection.recv(length - len(text))):
        text += more
    order = json.loads(text)
    if len(streams) != len(STREAMS) or not isinstance(order, dict):
        raise ValueError(f"{len(streams)} streams, {order!r}")
    return order, list(streams)


def is_taken(connection: socket.socket) -> bool:
    """Tell who asked that its order is taken; False where it has gone, and starts its worker the long way."""
    try:
        connection.sendall(TAKEN)
    except OSError:
        return False
    return True


def become_worker(order: dict[str, Any], streams: Sequence[int], connection: socket.socket) -> None:
    """Run the script that was asked for, in this process; never returns."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for stream, target in zip(streams, STREAMS, strict=True):
            os.dup2(stream, target)
            os.close(stream)
        die_with(connection)
        os.setpriority(os.PRIO_PROCESS, 0, order["niceness"])
        importlib.import_module("statehouse.handlers.worker.priority").step_back()
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [path for path in added if path and path not in sys.path]
        sys.argv = order["arguments"]
        gc.enable()
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit:
        pass
    except BaseException:  # noqa: BLE001 - the only place left that can say it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def die_with(connection: socket.socket) -> None:
    """Be killed as soon as the other end of `connection` is closed: TorchServe ends workers by its client."""
    connection.setblocking(False)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    try:
        connection.recv(1)
    except BlockingIOError:
        return  # it is still there, and from now on the kernel watches it
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
