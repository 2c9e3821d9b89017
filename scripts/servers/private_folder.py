"""The private folder of one deployment: sockets, generated files, and the lock of its one supervisor."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from statehouse.scripts.errors import AlreadyServingError, RuntimeFolderError

# HAProxy refuses a stats socket path over 97 characters; the kernel any socket path over 107.
MAX_SOCKET_PATH_LENGTH = 97


@dataclass(frozen=True)
class RuntimeFolder:
    """Where everything lives that belongs to one running deployment and to nobody else."""

    path: Path

    @classmethod
    def of_deployment(cls, deployment_file: Path) -> RuntimeFolder:
        """Return the folder that belongs to ``deployment_file``, whether it exists yet or not.

        It is found by the file's absolute path, so that commands find the supervisor
        of the deployment they mean.
        """
        key = hashlib.sha256(os.fsencode(deployment_file.resolve())).hexdigest()[:12]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return cls(Path(base) / f"statehouse-{os.getuid()}-{key}")

    def create(self) -> None:
        """Make the folder, for its owner only.

        Raises RuntimeFolderError when it cannot be made, when somebody else made it first, or when its
        path is too long for a socket.
        """
        if len(str(self.front_socket)) > MAX_SOCKET_PATH_LENGTH:
            raise RuntimeFolderError(
                f"{self.front_socket} has {len(str(self.front_socket))} characters, but a socket's path may "
                f"have at most {MAX_SOCKET_PATH_LENGTH}: set XDG_RUNTIME_DIR (or TMPDIR) to a shorter folder."
            )
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError as error:
            raise RuntimeFolderError(
                f"{self.path} is a file or a link; expected a folder, or nothing: remove it."
            ) from error
        except OSError as error:
            raise RuntimeFolderError(
                f"{self.path} cannot be made: {error.strerror}. Let user {os.getuid()} write in {self.path.parent}, "
                "or set XDG_RUNTIME_DIR (or TMPDIR) to a folder where it may."
            ) from error
        found = self.path.lstat()
        private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
        if not private or found.st_uid != os.getuid():
            raise RuntimeFolderError(
                f"{self.path} is not a folder that only you may enter (mode {stat.filemode(found.st_mode)}, "
                f"owner {found.st_uid}): somebody else made it. Set XDG_RUNTIME_DIR to a folder of your own."
            )

    def clean(self) -> None:
        """Remove what an earlier run left, except the lock."""
        for entry in self.path.iterdir():
            if entry == self.lock_file:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def make_folders(self) -> None:
        """Make the sub-folders that the servers expect."""
        for folder in (
            self.java_folder,
            self.java_temp,
            self.store,
            self.maps,
            self.metrics,
            self.failures,
            self.doors,
        ):
            folder.mkdir(mode=0o700)

    @property
    def lock_file(self) -> Path:
        """Held by the running supervisor; contains its process id."""
        return self.path / "lock"

    @property
    def control_socket(self) -> Path:
        """The supervisor's: what the commands talk to."""
        return self.path / "control.sock"

    @property
    def front_socket(self) -> Path:
        """HAProxy's run-time commands."""
        return self.path / "front-commands.sock"

    @property
    def again_socket(self) -> Path:
        """Where the front sends itself what it sends again."""
        return self.path / "again.sock"

    @property
    def own_socket(self) -> Path:
        """The front's, for requests of this user's own."""
        return self.path / "own.sock"

    @property
    def certificate(self) -> Path:
        """What the front shows: a copy, so that a broken renewal is never read by one that starts again."""
        return self.path / "certificate.pem"

    @property
    def inference_socket(self) -> Path:
        """TorchServe's inference API."""
        return self.path / "inference.sock"

    @property
    def outcomes_socket(self) -> Path:
        """Where the front says how each request of a watched model ended."""
        return self.path / "outcomes.sock"

    @property
    def management_socket(self) -> Path:
        """TorchServe's management API."""
        return self.path / "management.sock"

    @property
    def fork_socket(self) -> Path:
        """Where `statehouse.handlers.worker.fork_server` makes workers."""
        return self.path / "fork.sock"

    @property
    def metrics_socket(self) -> Path:
        """TorchServe's metrics API, which no token protects."""
        return self.path / "metrics.sock"

    @property
    def java_folder(self) -> Path:
        """TorchServe's working folder: empty but for its key file."""
        return self.path / "java"

    @property
    def java_temp(self) -> Path:
        """TorchServe's and the workers' temporary folder."""
        return self.path / "tmp"

    @property
    def torchserve_config(self) -> Path:
        """Our config.properties with the addresses of this run added."""
        return self.path / "config.properties"

    @property
    def torchserve_metrics(self) -> Path:
        """What TorchServe is to measure; a copy, as a property file mangles paths that are not ASCII."""
        return self.path / "metrics.yaml"

    @property
    def store(self) -> Path:
        """TorchServe's model store: generated, one folder per version as it was loaded one time."""
        return self.path / "store"

    @property
    def maps(self) -> Path:
        """HAProxy's maps."""
        return self.path / "maps"

    @property
    def metrics(self) -> Path:
        """prometheus-client's files of the workers, one folder per version."""
        return self.path / "metrics"

    @property
    def failures(self) -> Path:
        """Why a worker could not start: one file per version as it was loaded one time."""
        return self.path / "failures"

    @property
    def doors(self) -> Path:
        """The workers' own sockets, and their pulses."""
        return self.path / "doors"


class SupervisorLock:
    """There is one supervisor per deployment: the one that holds this lock."""

    def __init__(self, folder: RuntimeFolder) -> None:
        self._folder = folder
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._folder.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise AlreadyServingError(
                f"This deployment is being served already, by process {holder}: "
                "stop that one first, or give another file with --deployment."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
