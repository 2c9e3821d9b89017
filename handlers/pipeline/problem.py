"""Errors as `application/problem+json` (RFC 9457)."""

import orjson

from statehouse.handlers.errors import PROBLEM_TYPE_PREFIX, RequestError
from statehouse.handlers.request import Request, Response

PROBLEM_TYPE = "application/problem+json"
PROBLEM_HEADER = "x-statehouse-problem"  # the front counts and logs by it, and takes it away
NOBODY = Request(b"")


def problem_response(error: RequestError, request: Request = NOBODY) -> Response:
    """What was wrong, what was expected, what to do; under v2 and OpenAI's form also as an `error` member."""
    document = {
        "type": PROBLEM_TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        **error.members(),
    }
    if request.request_id:
        document["request_id"] = request.request_id
    if request.form == "v2":
        document["error"] = f"{error.title}: {error.detail}"
    elif request.form == "openai":
        document["error"] = {"message": error.detail, "type": error.slug, "param": None, "code": error.slug}
    headers = {PROBLEM_HEADER: error.slug, **error.headers}
    return Response(error.status, orjson.dumps(document), PROBLEM_TYPE, headers, problem=error.slug)
