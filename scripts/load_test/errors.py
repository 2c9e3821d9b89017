"""What can go wrong with a load, and with one request of it.

::

    StatehouseError                    (statehouse.models.errors)
    ├── LoadPlanError                  a plan that cannot be run, with every reason
    ├── LoadTargetError                where the load should go cannot be found
    ├── LoadGeneratorError             a process of the generator died
    ├── GrpcMissingError               the extra that gRPC needs is not installed
    ├── FailIfError                    conditions that cannot be read, with every reason
    └── AnswerSyntaxError              bytes that are no HTTP/1.1 answer; becomes ErrorKind.NOT_HTTP

What happens to single requests is no exception: it is counted, by ErrorKind.
"""

from __future__ import annotations

from enum import StrEnum

from statehouse.models.errors import ProblemsError, StatehouseError


class LoadPlanError(ProblemsError):
    """A plan that cannot be run."""


class LoadTargetError(StatehouseError):
    """Where the load should go cannot be found."""


class LoadGeneratorError(StatehouseError):
    """A process of the generator died, and with it what it had counted."""


class GrpcMissingError(StatehouseError):
    """The extra that gRPC needs is not installed."""


class FailIfError(ProblemsError):
    """Conditions that cannot be read."""


class AnswerSyntaxError(StatehouseError):
    """A server sent what is no HTTP/1.1 answer."""


class ErrorKind(StrEnum):
    """Why a request got no answer."""

    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TIMEOUT = "connection_timeout"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_RESET = "connection_reset"
    CLOSED_BEFORE_ANSWER = "closed_before_answer"
    CLOSED_INSIDE_ANSWER = "closed_inside_answer"
    NOT_HTTP = "not_http"
    TIMEOUT = "timeout"
