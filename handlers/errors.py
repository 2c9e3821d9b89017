"""What can go wrong in a worker, as one tree.

HandlerError
├── WorkerStartError            the worker cannot serve this version; nobody has been answered yet
│   ├── WorkerSettingsError       statehouse.json is absent or wrong
│   ├── ChangedFilesError         the version folder is not the one that was verified
│   ├── ForeignTorchServeError    TorchServe is not the release in whose loop workers serve
│   ├── DeviceError               TorchServe assigned a GPU that PyTorch cannot use
│   ├── MissingTaskError          the checkpoint does not say what to do with the module
│   ├── OptimizationError         an optimisation cannot be had here, or changes the answers
│   ├── ModuleMismatchError       the module does not give what the task promises
│   ├── DependentRowsError        an answer depends on other rows of the batch, on earlier calls or on chance
│   └── GoldenMismatchError       the module does not give the answers it was published with
├── NonFiniteRowsError          rows that were read quickly are not finite; the strict readers say which and why
└── RequestError                one request; its status and problem type go to the client
    ├── DoorError                 500  of HTTP itself, told by a worker's door: the front counts these
    │   ├── BadHttpError            400  what reached a worker's door is no request of the front's
    │   ├── SlowBodyError           408  a large body that does not arrive
    │   └── UnavailableError        503  it has waited until its deadline, or the door has no room
    ├── EmptyBodyError            400
    ├── BrokenTextError           400  text that is not UTF-8
    ├── BrokenJsonError           400
    ├── MalformedRequestError     400  well-formed JSON or form, but not one of our request forms
    ├── TooLargeError             413
    ├── UnsupportedMediaError     415
    ├── InvalidInputError         422  a value that the task cannot take
    │   ├── WrongShapeError         422
    │   └── BrokenImageError        422
    ├── RowsRefusedError          422  some of several rows
    ├── NonFiniteOutputError      500  the module gave NaN or infinity
    └── InferenceFailedError      500  the module, or we, raised
        └── OutOfMemoryError        507  because memory was short
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from statehouse.models.errors import StatehouseError, listed

PROBLEM_TYPE_PREFIX = "urn:statehouse:problem:"


class HandlerError(StatehouseError):
    """Anything that goes wrong inside a worker."""


class WorkerStartError(HandlerError):
    """The worker cannot serve this version."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems = list(problems)
        super().__init__(listed(message, self.problems))


class WorkerSettingsError(WorkerStartError):
    """The settings that the supervisor writes for a worker are absent or wrong."""


class ChangedFilesError(WorkerStartError):
    """The version folder holds other files than those the supervisor verified."""


class ForeignTorchServeError(WorkerStartError):
    """TorchServe's files are not those of the release in whose loop workers serve."""


class DeviceError(WorkerStartError):
    """The assigned device is not usable."""


class MissingTaskError(WorkerStartError):
    """The checkpoint names no task, so nothing says how to read a request."""


class OptimizationError(WorkerStartError):
    """An optimisation that the deployment asks for cannot be applied to this module on this machine."""


class ModuleMismatchError(WorkerStartError):
    """The module's input or output does not fit what the task says."""


class DependentRowsError(WorkerStartError):
    """An answer depends on more than its row."""


class GoldenMismatchError(WorkerStartError):
    """The golden examples are answered differently from what was published."""


class NonFiniteRowsError(HandlerError):
    """Rows that were read quickly hold NaN or infinity; `parts` are the numbers of the requests concerned."""

    def __init__(self, parts: Sequence[int]) -> None:
        self.parts = list(parts)
        super().__init__(f"the rows of {len(self.parts)} requests are not finite")


class RequestError(HandlerError):
    """One request that cannot be answered; `status`, `slug` and `title` are fixed by the class."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "unexpected"
    title: ClassVar[str] = "The request could not be answered"
    headers: ClassVar[Mapping[str, str]] = {}  # of the response, beyond those of every problem

    def __init__(self, detail: str, *, errors: Sequence[dict[str, Any]] = ()) -> None:
        self.detail = detail
        self.errors = list(errors)
        super().__init__(detail)

    def members(self) -> dict[str, Any]:
        """Members of the problem document beyond type, title, status and detail."""
        return {"errors": self.errors} if self.errors else {}


class DoorError(RequestError):
    """A request that a worker's door refuses, before any worker's code has seen it; the front counts it."""

    slug: ClassVar[str] = "door"


class BadHttpError(DoorError):
    """What is no HTTP, or none that the front sends."""

    status, slug, title = 400, "bad-http", "Not valid HTTP"


class SlowBodyError(DoorError):
    """A large body that arrives too slowly to keep memory for it."""

    status, slug, title = 408, "request-timeout", "The request did not arrive in time"


class UnavailableError(DoorError):
    """The request has waited until its deadline, or the worker's door has no room for it."""

    status, slug, title = 503, "unavailable", "The server is not available"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class EmptyBodyError(RequestError):
    """Nothing was sent."""

    status, slug, title = 400, "empty-body", "The request has no body"


class BrokenTextError(RequestError):
    """Text that is not UTF-8."""

    status, slug, title = 400, "not-utf-8", "The text is not UTF-8"


class BrokenJsonError(RequestError):
    """The body is no JSON document, or one with a member twice."""

    status, slug, title = 400, "broken-json", "The body is not valid JSON"


class MalformedRequestError(RequestError):
    """A readable body in none of the request forms."""

    status, slug, title = 400, "malformed-request", "The request has an unknown form"


class TooLargeError(RequestError):
    """More rows, pixels or bytes than one request may ask for."""

    status, slug, title = 413, "too-large", "The request is too large"


class UnsupportedMediaError(RequestError):
    """A content type, image format or encoding that this endpoint does not read."""

    status, slug, title = 415, "unsupported-media-type", "The body has an unsupported type"


class InvalidInputError(RequestError):
    """A value of the wrong shape, type or range."""

    status, slug, title = 422, "invalid-input", "The input does not fit this model"


class WrongShapeError(InvalidInputError):
    """Too many or too few numbers, or lists nested otherwise than declared."""

    slug, title = "wrong-shape", "The input does not have the shape of this model"


class BrokenImageError(InvalidInputError):
    """An image that begins well and cannot be decoded."""

    slug, title = "broken-image", "The image cannot be decoded"


class RowsRefusedError(RequestError):
    """Some rows of a request with several; `rows` holds every bad row's number, counted from 0."""

    status, slug, title = 422, "rows-refused", "Some rows do not fit this model"
    described_rows: ClassVar[int] = 100

    def __init__(self, problems: dict[int, RequestError], row_count: int) -> None:
        self.rows = sorted(problems)
        shown = self.rows[: self.described_rows]
        super().__init__(
            f"Of {row_count} rows {len(self.rows)} cannot be taken; the first is row {self.rows[0]}: "
            f"{problems[self.rows[0]].detail}",
            errors=[_row_error(row, problems[row]) for row in shown],
        )

    def members(self) -> dict[str, Any]:
        """Every bad row's number, and what is wrong with the first hundred."""
        return {"rows": self.rows, "errors": self.errors}


def _row_error(row: int, problem: RequestError) -> dict[str, Any]:
    told = {"row": row, "type": PROBLEM_TYPE_PREFIX + problem.slug, "detail": problem.detail}
    return told | {"errors": problem.errors[:20]} if problem.errors else told


class NonFiniteOutputError(RequestError):
    """The module gave NaN or infinity, which JSON cannot say and nobody can use."""

    status, slug, title = 500, "non-finite-output", "The model gave no finite result"


class InferenceFailedError(RequestError):
    """The module raised on this request."""

    status, slug, title = 500, "inference-failed", "The model failed on this request"


class OutOfMemoryError(InferenceFailedError):
    """The module wanted more memory for this request than the machine, or its GPU, has left."""

    status, slug, title = 507, "out-of-memory", "There is not enough memory for this request"
