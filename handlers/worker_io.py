"""TorchServe's worker loop without what it costs; the one place where its code is replaced as it runs.

As shipped, the worker reads each length and each text by system calls of its own, makes dicts of all of them
and encodes its answers piece by piece. Replaced are the name `retrieve_msg` in the worker's own module and
`Service.predict`, and only if TorchServe's files are the very ones that this was written for. What is no batch
of requests still goes through its code.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from handlers.messages import Batch, Connection, Inbox, Outbox
from handlers.request import Request, Response

logger = logging.getLogger(__name__)

SOURCE_DIGESTS = {
    "model_service_worker.py": "3640d5ae3d03e229cc1980f8bfbb3642865cb49f9ead1769bf41a30aa4e75343",
    "otf_message_handler.py": "83e82dc62b4a95a362efe4518786c6b389b895b85acaf37721aaff042ec9989a",
    "service.py": "f18259269551299d25f4e9d2bdc916c8308c10233501df08196cc7cfa2d0d291",
}
"""SHA-256 of those files of TorchServe 0.12.0 whose behaviour is relied on."""

PREDICT = b"I"

Answer = Callable[[Sequence[Request]], Sequence[Response]]
"""The responses to a batch's requests, in order."""


class _Loop:
    """Stands where TorchServe's `retrieve_msg` and `Service.predict` stood."""

    def __init__(self, answer: Answer, service_class: type[Any], messages: ModuleType) -> None:
        self._answer = answer
        self._stock_retrieve, self._stock_predict = messages.retrieve_msg, service_class.predict
        self._refuse = messages.create_predict_response
        self._inbox: Inbox | None = None
        self._outbox = Outbox()

    def retrieve(self, connection: Connection) -> object:
        """The next command and its message."""
        if self._inbox is None or self._inbox.connection is not connection:
            self._inbox = Inbox(connection)
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


def install(answer: Answer) -> bool:
    """Let TorchServe's worker, which is this program, have its batches answered by `answer`.

    Returns whether it does. Where TorchServe is not as expected its own code stays, and the log says why.
    """
    worker = sys.modules["__main__"]
    if not hasattr(worker, "TorchModelServiceWorker"):
        return False  # this is no worker
    from ts import service
    from ts.protocol import otf_message_handler as messages

    problem = _changed_source(worker, service, messages) or _changed_names(worker, service.Service, messages)
    if problem:
        logger.warning("the worker reads and writes as TorchServe ships it: %s", problem)
        return False
    loop = _Loop(answer, service.Service, messages)

    def predict(self: object, batch: object) -> object:
        return loop.predict(self, batch)

    worker.retrieve_msg = loop.retrieve  # type: ignore[attr-defined]
    service.Service.predict = predict
    return True


def _changed_source(*modules: ModuleType) -> str | None:
    for module in modules:
        path = Path(str(module.__file__))
        if SOURCE_DIGESTS.get(path.name) != hashlib.sha256(path.read_bytes()).hexdigest():
            return f"{path} is not TorchServe 0.12.0's"
    return None


def _changed_names(worker: ModuleType, service_class: type[Any], messages: ModuleType) -> str | None:
    if getattr(worker, "retrieve_msg", None) is not messages.retrieve_msg:
        return "its retrieve_msg is replaced already"
    if service_class.predict.__module__ != service_class.__module__:
        return "its Service.predict is replaced already"
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return "it is one of several processes of one model"
    return None
