"""An architecture whose workers measure nothing: what metrics cost is the difference to `simple_net`."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from statehouse.handlers import base
from statehouse.handlers.pipeline.observer import Observer, StartStep
from statehouse.handlers.request import Response
from statehouse.models.architecture import register_architecture
from statehouse.models.architectures.simple_net import SimpleNet, SimpleNetConfig


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


base.WorkerMetrics = Unmeasured


@register_architecture(
    "unmeasured_net", config=SimpleNetConfig, input_shape=lambda config: (config.input_size,)
)
class UnmeasuredNet(SimpleNet):
    """A `simple_net`."""
