"""``version.json``: what a published version is and how to know that it is still the same.

Reading it needs no torch, so that the supervisor stays small.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from statehouse.handlers.golden import GOLDEN_FILE
from statehouse.models.tasks.registry import task_names
from statehouse.scripts.errors import ManifestError
from statehouse.scripts.store.names import ModelName, ModelVersion
from statehouse.scripts.validation import problems_of

MANIFEST_FILE = "version.json"
READING_KEY = "reading"  # in the metadata: how the file that it was made of was read

TASK_CONFIG_FROM = "task_config_from"  # in the metadata: whose preprocessing and labels these are

MODULE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"

MAX_MANIFEST_BYTES = 16 * 1024 * 1024

SHARD_INDEX = "checkpoint.safetensors.index.json"
CheckpointFile = Literal["checkpoint.pt", "checkpoint.safetensors", "checkpoint.safetensors.index.json"]
_SHARD = re.compile(r"^checkpoint-[0-9a-f]{8}-(\d{5})-of-(\d{5})\.safetensors$")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
JsonObject = dict[str, JsonValue]


def _known_task(task: str) -> str:
    if task not in task_names():  # a worker's handler is chosen by it
        raise ValueError(f"{task!r} is no task; expected one of {', '.join(task_names())}")
    return task


TaskName = Annotated[str, AfterValidator(_known_task)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Part):
    """One file of the version as it was published."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)


class GoldenRecord(_Part):
    """How many golden examples there are and where they came from."""

    count: int = Field(ge=1)
    source: Literal["checkpoint", "file", "made"]


class BuiltBy(_Part):
    """The versions of what built it."""

    statehouse: str
    torch: str
    python: str


class TensorMetadata(_Part):
    """One input or output as the Open Inference Protocol describes it; -1 is the number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ArchitectureCode(_Part):
    """The architecture module that a version was proved with: what is imported, and the digest of all of its code."""

    module: str = Field(pattern=MODULE_NAME)
    digest: Sha256


class RowProofRecord(_Part):
    """How it was proved that an answer is its row's alone."""

    rows: int = Field(ge=1)
    batch_sizes: list[int]
    tolerance: float = Field(ge=0)  # as a share of the largest output
    row_by_row: bool  # each row is computed alone, whatever batch it came in


class VersionManifest(_Part):
    """Everything about a version that can be told without its tensors."""

    format_version: Literal[1] = 1
    name: ModelName
    version: ModelVersion
    digest: Sha256
    architecture: str
    config: JsonObject
    task: TaskName
    task_config: JsonObject
    checkpoint: CheckpointFile
    files: dict[str, FileRecord]
    parameter_count: int = Field(ge=0)
    # Multiply-accumulates; None where they could not be counted.
    macs_per_row: int | None = Field(default=None, ge=0)
    # Times faster with the optimization `freeze`, on the CPU that published it; 0: that cannot be applied; None: not
    # measured, as for light modules.
    frozen_speedup: float | None = Field(default=None, ge=0)
    dtypes: list[str]
    labels: list[str] | None
    input_schema: JsonObject
    output_schema: JsonObject
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    golden: GoldenRecord
    metadata: JsonObject
    architecture_source_digest: Sha256 | None
    architecture_library: str | None = None  # "torchvision 0.28.0"
    architecture_code: ArchitectureCode | None = (
        None  # None: built in, a library's, or published before it was kept
    )
    row_proof: RowProofRecord | None = None  # None: published before it was kept
    published: str
    built_by: BuiltBy

    @property
    def checkpoint_files(self) -> list[str]:
        """The files of its checkpoint: one, or the index and the shards."""
        return sorted(self.files.keys() - {GOLDEN_FILE})

    @property
    def checkpoint_bytes(self) -> int:
        """The size of its checkpoint, all files together."""
        return sum(self.files[name].size_bytes for name in self.checkpoint_files)

    @model_validator(mode="after")
    def _lists_exactly_its_files(self) -> Self:
        expected = {self.checkpoint, GOLDEN_FILE}
        if self.checkpoint == SHARD_INDEX:
            expected |= self._shards()
        if set(self.files) != expected:
            raise ValueError(
                f"files lists {sorted(self.files)}, but a version has exactly {sorted(expected)} "
                f"beside {MANIFEST_FILE}"
            )
        return self

    def _shards(self) -> set[str]:
        """Return the shards that it lists, which must be all of one save."""
        found = {name: match for name in self.files if (match := _SHARD.match(name))}
        saves = {(name[: match.start(1)], match[2]) for name, match in found.items()}
        numbers = sorted(int(match[1]) for match in found.values())
        if len(saves) != 1 or numbers != list(range(1, int(next(iter(saves))[1]) + 1)):
            raise ValueError(f"files lists {sorted(found)}, which are not the shards of one checkpoint")
        return set(found)

    def to_json(self) -> bytes:
        """Return the content of ``version.json``; without what earlier releases do not know, where it says nothing."""
        unsaid = {name for name in ("architecture_code", "row_proof") if getattr(self, name) is None}
        return self.model_dump_json(indent=2, exclude=unsaid).encode() + b"\n"


def parse_manifest(content: bytes) -> VersionManifest:
    """Read the content of ``version.json``; ManifestError lists every problem."""
    try:
        return VersionManifest.model_validate_json(content)
    except ValidationError as error:
        raise ManifestError(f"{MANIFEST_FILE} is not a version's manifest:", problems_of(error)) from error
