"""TorchServe's worker loop, in which the worker also serves its own door; the one place where its code is replaced.

While it waits for TorchServe's next message it answers what the front sends it, a batch at a time. What TorchServe
sends are batches of gRPC requests, and they are read through one buffer: as shipped, the worker reads each length and
each text by system calls of its own. Replaced are the name `retrieve_msg` in the worker's own module and
`Service.predict`, and only if TorchServe's files are the very ones that this was written for. What is no batch of
requests still goes through its code.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from statehouse.handlers.errors import ForeignTorchServeError
from statehouse.handlers.request import Request, Response
from statehouse.handlers.worker.door import Door
from statehouse.handlers.worker.messages import Batch, Connection, Inbox, Outbox
from statehouse.handlers.worker.torchserve_source import why_foreign

logger = logging.getLogger(__name__)

PREDICT = b"I"

Answer = Callable[[Sequence[Request]], Sequence[Response]]
"""The responses to a batch's requests, in order."""


class _Loop:
    """Stands where TorchServe's `retrieve_msg` and `Service.predict` stood."""

    def __init__(self, door: Door, answer: Answer, service_class: type[Any], messages: ModuleType) -> None:
        self._door = door
        self._answer = answer
        self._stock_retrieve, self._stock_predict = messages.retrieve_msg, service_class.predict
        self._refuse = messages.create_predict_response
        self._inbox: Inbox | None = None
        self._outbox = Outbox()

    def retrieve(self, connection: Connection) -> object:
        """The next command and its message."""
        if self._inbox is None or self._inbox.connection is not connection:
            self._inbox = Inbox(connection)
        if self._inbox.is_empty:
            self._door.serve_until_readable(connection.fileno())
        if self._inbox.next_command() == PREDICT:
            return PREDICT, self._inbox.read_batch()
        return self._stock_retrieve(self._inbox)

    def predict(self, service: object, batch: object) -> object:
        """The message that answers `batch`."""
        if not isinstance(batch, Batch):
            return self._stock_predict(service, batch)
        try:
            return self._outbox.encode(batch.identifiers, self._answer(batch.requests))
        except Exception as error:
            logger.exception("a batch failed")
            told = ("Prediction failed", 503)
            if isinstance(error, MemoryError) or "CUDA" in str(error):  # as Service.predict tells it
                told = ("Out of resources", 507)
            identifiers = dict(enumerate(batch.identifier_texts()))
            return self._refuse(None, identifiers, *told)


def install(open_door: Callable[[], Door], answer: Answer) -> bool:
    """Let TorchServe's worker, which is this program, open and serve a door, and have its own batches answered too.

    Returns whether it does: not where this is no worker. Raises ForeignTorchServeError where TorchServe is another.
    """
    worker = sys.modules["__main__"]
    if not hasattr(worker, "TorchModelServiceWorker"):
        return False
    from ts import service
    from ts.protocol import otf_message_handler as messages

    problem = why_foreign(Path(str(service.__file__)).parent) or _changed_names(
        worker, service.Service, messages
    )
    if problem:
        raise ForeignTorchServeError(problem)
    loop = _Loop(open_door(), answer, service.Service, messages)

    def predict(self: object, batch: object) -> object:
        return loop.predict(self, batch)

    worker.retrieve_msg = loop.retrieve  # type: ignore[attr-defined]
    service.Service.predict = predict
    return True


def _changed_names(worker: ModuleType, service_class: type[Any], messages: ModuleType) -> str | None:
    if getattr(worker, "retrieve_msg", None) is not messages.retrieve_msg:
        return "its retrieve_msg is replaced already"
    if service_class.predict.__module__ != service_class.__module__:
        return "its Service.predict is replaced already"
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return "it is one of several processes of one model"
    return None
