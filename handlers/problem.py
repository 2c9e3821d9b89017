"""Errors as `application/problem+json` (RFC 9457)."""

import orjson

from handlers.errors import PROBLEM_TYPE_PREFIX, RequestError
from handlers.request import Form, Response

PROBLEM_TYPE = "application/problem+json"


def problem_response(error: RequestError, form: Form = "predictions") -> Response:
    """What was wrong, what was expected, what to do; under v2 also as the protocol's own `error` member."""
    document = {
        "type": PROBLEM_TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        **error.members(),
    }
    if form == "v2":
        document["error"] = f"{error.title}: {error.detail}"
    return Response(error.status, orjson.dumps(document), PROBLEM_TYPE)
