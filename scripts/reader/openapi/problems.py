"""What a request that is not answered gets, as OpenAPI responses."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457: what was wrong, what was expected, what to do.",
    "properties": {
        "type": {"type": "string", "examples": ["urn:statehouse:problem:invalid-input"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "As in X-Request-Id, and in the server's log."},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "Each thing that was wrong."},
        "rows": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Of several rows the bad ones.",
        },
    },
    "required": ["type", "title", "status", "detail"],
}
_NOT_FOUND = {
    "type": "object",
    "description": "TorchServe's own form.",
    "properties": {
        "code": {"const": 404},
        "type": {"type": "string"},
        "message": {"type": "string"},
        "error": {"type": "string"},
    },
    "required": ["code", "type", "message"],
}
PROBLEM_SCHEMAS: Json = {"Problem": _PROBLEM, "NotFound": _NOT_FOUND}

_MEANINGS = {
    "400": "No body, broken text or JSON, or none of the request forms.",
    "404": "No such model or version.",
    "408": "The request did not arrive in time.",
    "410": "The version was retired.",
    "413": "Too many bytes, rows or pixels.",
    "415": "A type of body that is not read here.",
    "422": "A value that does not fit this model.",
    "431": "The headers are too large.",
    "500": "The model failed on this request, or gave no finite result.",
    "502": "The worker that had the request ended before it answered.",
    "503": "The model server is starting or has no room; see Retry-After.",
    "504": "No answer before the deadline.",
    "507": "Not enough memory for this request.",
}
PROBLEM_RESPONSES: Json = {
    status: {
        "description": meaning,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/NotFound"}}
        } if status == "404" else {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    for status, meaning in _MEANINGS.items()
}  # fmt: skip


def problem_references(*, named: bool) -> Json:
    """Return the responses of one operation; only a version that is ``named`` can have been retired."""
    return {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in _MEANINGS
        if named or status != "410"
    }
