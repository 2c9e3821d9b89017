"""``version.json``: what a published version is and how to know that it is still the same.

Reading it needs no torch, so that the supervisor stays small.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from handlers.golden import GOLDEN_FILE
from models.task import task_names
from scripts.errors import ManifestError
from scripts.names import ModelName, ModelVersion
from scripts.validation import problems_of

MANIFEST_FILE = "version.json"

MAX_MANIFEST_BYTES = 16 * 1024 * 1024

CheckpointFile = Literal["checkpoint.pt", "checkpoint.safetensors"]
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
    published: str
    built_by: BuiltBy

    @model_validator(mode="after")
    def _lists_exactly_its_files(self) -> Self:
        expected = {self.checkpoint, GOLDEN_FILE}
        if set(self.files) != expected:
            raise ValueError(
                f"files lists {sorted(self.files)}, but a version has exactly {sorted(expected)} "
                f"beside {MANIFEST_FILE}"
            )
        return self

    def to_json(self) -> bytes:
        """Return the content of ``version.json``."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def parse_manifest(content: bytes) -> VersionManifest:
    """Read the content of ``version.json``; ManifestError lists every problem."""
    try:
        return VersionManifest.model_validate_json(content)
    except ValidationError as error:
        raise ManifestError(f"{MANIFEST_FILE} is not a version's manifest:", problems_of(error)) from error
