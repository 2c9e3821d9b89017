"""What the supervisor tells a worker, and the check that the verified files are still the same ones."""

import os
import stat
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from statehouse.handlers.errors import ChangedFilesError, WorkerSettingsError

SETTINGS_FILE = "statehouse.json"
Optimization = Literal["bfloat16", "channels_last", "freeze"]


class FileIdentity(BaseModel):
    """What changes when a file is replaced or written to, known without reading it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The identity of the file that has this status."""
        return cls(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


class ArchitectureSnapshot(BaseModel):
    """The kept code that registers a version's architecture: its folder, the module to import, the digest of it all."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    folder: str
    module: str
    digest: str


class WorkerSettings(BaseModel):
    """`statehouse.json` in the private version folder that TorchServe knows as the model's."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    version: str
    digest: str
    version_folder: str
    checkpoint: str
    architecture: str
    files: dict[str, FileIdentity]
    snapshot: ArchitectureSnapshot | None = None
    architectures: list[str] = []  # what to import from disk, for a version that names no code
    batch_size: int = Field(default=8, gt=0)
    threads: int = Field(default=1, gt=0)
    optimizations: list[Optimization] = []
    door: str  # what the paths of its door begin with
    max_request_bytes: int = Field(gt=0)
    request_timeout_seconds: int = Field(gt=0)
    metrics_folder: str
    failure_file: str

    @model_validator(mode="after")
    def _the_checkpoint_is_among_the_files(self) -> Self:
        if self.checkpoint not in self.files:
            raise ValueError(f"checkpoint {self.checkpoint!r} is not among the files {sorted(self.files)}")
        return self

    @property
    def checkpoint_path(self) -> Path:
        """The checkpoint inside the version folder."""
        return Path(self.version_folder, self.checkpoint)


def read_settings(model_folder: Path) -> WorkerSettings:
    """The settings in `model_folder`; raises WorkerSettingsError with every problem."""
    path = model_folder / SETTINGS_FILE
    try:
        return WorkerSettings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WorkerSettingsError(
            f"cannot read {path}: {error.strerror}; the supervisor writes it"
        ) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise WorkerSettingsError(f"{path} does not fit:", problems) from error


def check_identity(settings: WorkerSettings) -> None:
    """Compare the version folder with what the supervisor verified.

    Raises ChangedFilesError that names every file which is missing, extra, no plain file, or another one.
    """
    folder = Path(settings.version_folder)
    if folder.is_symlink():
        raise ChangedFilesError(f"the version folder {folder} is a link; a version is a folder of its own")
    try:
        found = {entry.name: entry.lstat() for entry in folder.iterdir()}
    except OSError as error:
        raise ChangedFilesError(f"cannot read the version folder {folder}: {error.strerror}") from error
    problems = [f"{name}: missing" for name in settings.files if name not in found]
    for name, status in sorted(found.items()):
        expected = settings.files.get(name)
        actual = FileIdentity.of(status)
        if expected is None:
            problems.append(f"{name}: does not belong to the version")
        elif not stat.S_ISREG(status.st_mode):
            problems.append(f"{name}: is not a plain file")
        elif actual != expected:
            problems.append(f"{name}: was changed or replaced (is {actual!r}, was {expected!r})")
    if problems:
        raise ChangedFilesError(
            f"{folder} is not what was verified; a version never changes: publish another one", problems
        )
