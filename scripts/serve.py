"""`statehouse serve`: the supervisor in the foreground, from start to a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from statehouse import __version__
from statehouse.scripts.control.server import control_app
from statehouse.scripts.deployment.architectures import refuse_missing_modules
from statehouse.scripts.deployment.defaults import default_settings
from statehouse.scripts.deployment.file import (
    Deployment,
    deployment_from_store,
    read_deployment,
    write_deployment,
)
from statehouse.scripts.deployment.interrupted import Interrupted, close_interrupted, settle_interrupted
from statehouse.scripts.errors import ArgumentError, DeploymentNotFoundError, StoreAddressError, StoreError
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.reader.app import reader_app
from statehouse.scripts.servers.local_http import LocalServer, unix_listener
from statehouse.scripts.servers.private_folder import RuntimeFolder, SupervisorLock
from statehouse.scripts.store import ModelStore, NamedVersion, PublishedVersion, open_store
from statehouse.scripts.store.address import check_address, is_remote
from statehouse.scripts.store.manifest import VersionManifest
from statehouse.scripts.supervisor.healing import Healer
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.supervisor.supervisor import Supervisor

Told = TypeVar("Told")


def deployment_to_serve(file: Path, report: Report, store: str | None = None) -> Deployment:
    """Return the deployment in ``file``; when there is none, make one of each name's highest version.

    ``store`` is the model store's address if not the usual folder. Folders of the store that are no versions are
    reported and left out. Raises ArgumentError when there is a deployment, with another store.
    """
    try:
        deployment = read_deployment(file, say=lambda text: report(Step("deployment", text)))
    except DeploymentNotFoundError:
        address = _address(store) if store else Deployment().model_store
        empty = Deployment.model_validate({"model_store": address})
        models = open_store(empty.store_address(file), max_cache_bytes=empty.limits.max_cache_bytes)
        found = models.scan()
        for refused in found.refused:
            report(Step("store", str(refused), state="failed"))
        deployment = deployment_from_store(
            found.versions,
            model_store=address,
            settings_of=lambda version, count: default_settings(
                _manifest_of(models, version),
                new_versions=count,
                keep_free_bytes=empty.limits.keep_free_bytes,
            ),
        )
        write_deployment(file, deployment)
        report(Step("deployment", f"{file} made of the highest version of each name"))
        return deployment
    if store:
        _refuse_another(deployment, file, store)
    return deployment


def _manifest_of(store: ModelStore, found: NamedVersion) -> VersionManifest | None:
    if isinstance(found, PublishedVersion):
        return found.manifest
    try:
        return store.find(found.name, found.version)
    except StoreError:
        return None  # what is wrong with it is told when it is loaded, and ends no other


def _refuse_another(deployment: Deployment, file: Path, store: str) -> None:
    own = deployment.store_address(file)
    if Deployment(model_store=_address(store)).store_address(file) == own:
        return
    written = "model_store" in deployment.model_fields_set
    said = (
        f"says model_store: {deployment.model_store}" if written else f"names no model_store, so it is {own}"
    )
    raise ArgumentError(
        f"{file} {said}, and --store says {store}. Leave --store out, change the file, or name another "
        "with --deployment."
    )


def _address(store: str) -> str:
    """Return a store's address as a deployment file has it: a folder is given as seen from here."""
    try:
        address = check_address(store)
    except ValueError as error:
        raise StoreAddressError(f"{error}.") from error
    return address if is_remote(address) else str(Path(address).absolute())


def serve(
    deployment_file: Path,
    *,
    report: Report,
    say: Callable[[str], None],
    on_ready: Callable[[ServerParts, list[str]], None],
    log_requests: bool = False,
    store: str | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    ``report`` gets each step of the start, ``say`` the few lines that the servers log, ``on_ready``
    is called once every version has proved itself or failed, with what is missing. Raises ServerError
    when a server does not start; one that ends later is started again.
    """
    runtime = RuntimeFolder.of_deployment(deployment_file)
    runtime.create()
    with SupervisorLock(runtime):
        try:
            interrupted = settle_interrupted(deployment_file, report)
            deployment = deployment_to_serve(deployment_file, report, store)
            refuse_missing_modules(deployment.architectures, deployment_file)
            runtime.clean()
            runtime.make_folders()
            supervisor = Supervisor.compose(
                deployment_file, deployment, runtime, say=say, log_requests=log_requests
            )
            log = supervisor.parts.log
            log.step(
                Step("serve", f"Statehouse {__version__} serves {deployment_file}, process {os.getpid()}")
            )
            asyncio.run(_serve(supervisor, interrupted, log.written_too(report), log.say, on_ready))
        finally:
            shutil.rmtree(runtime.path, ignore_errors=True)


def _heard_or_not(tell: Callable[[Told], None]) -> Callable[[Told], None]:
    """What serves goes on when nobody can be told: a full disk behind our output, a pipe that was closed."""

    def told(what: Told) -> None:
        with contextlib.suppress(OSError):
            tell(what)

    return told


async def _serve(
    supervisor: Supervisor,
    interrupted: Interrupted | None,
    report: Report,
    say: Callable[[str], None],
    on_ready: Callable[[ServerParts, list[str]], None],
) -> None:
    stop_asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop_asked.set)
    parts = supervisor.parts
    reader = LocalServer(reader_app(parts), supervisor.reader_listener)
    control = LocalServer(control_app(parts), unix_listener(parts.runtime.control_socket))
    await reader.start()
    await control.start()
    looking = asyncio.create_task(parts.recent.keep())
    try:
        await _first_of(asyncio.create_task(supervisor.start(report)), stop_asked)
        if not stop_asked.is_set():
            if interrupted is not None:
                serving = parts.front.default_of(interrupted.entry["name"])
                close_interrupted(parts.journal, interrupted, serving=serving, report=report)
            on_ready(parts, await parts.what_is_missing())
            await _first_of(asyncio.create_task(Healer(supervisor, report).run()), stop_asked)
    finally:
        say("stopping: what is in flight is answered first")
        await supervisor.stop()
        await control.stop()
        await reader.stop()
        looking.cancel()


async def _first_of(task: asyncio.Task[object], event: asyncio.Event) -> None:
    """Wait for either; an unfinished task is cancelled when the event comes, a failed one raises."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    else:
        task.result()
