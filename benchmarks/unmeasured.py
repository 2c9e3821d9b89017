"""Architectures of a deployment whose workers measure nothing: what metrics cost is the difference."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import handlers.base
from handlers.metrics import Observer, StartStep
from handlers.request import Response


class Unmeasured(Observer):
    """Stands where the worker's metrics stand, and counts nothing."""

    def __init__(self, folder: Path, *, name: str, version: str) -> None: ...

    def started(self, socket_name: str) -> None:
        """Not a restart."""

    def starting(self, step: StartStep) -> AbstractContextManager[None]:
        """No time is taken."""
        return nullcontext()

    def begin(self, request_count: int) -> None:
        """No time is taken."""

    def finish(self, responses: list[Response]) -> None:
        """Nothing is counted."""


handlers.base.WorkerMetrics = Unmeasured
