"""`statehouse predict`: one request, as any client would send it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from statehouse.handlers.bodies.content import content_type_of
from statehouse.scripts.access.front_door import FrontDoor
from statehouse.scripts.errors import CommandError

MAX_REASONS = 20


def read_input(given: str) -> bytes:
    """Return the body that INPUT means: a file's content, standard input for ``-``, or JSON as given."""
    if given == "-":
        return sys.stdin.buffer.read()
    path = Path(given)
    if len(given) < 4096 and path.is_file():
        return path.read_bytes()
    try:
        json.loads(given)
    except (ValueError, RecursionError):
        raise CommandError(
            f"{given[:100]!r} is neither a file nor JSON. Give a file (an image, a .json, raw float32), "
            """'-' for standard input, or JSON such as '{"inputs": [1.0, 2.0]}'."""
        ) from None
    return given.encode()


def predict(door: FrontDoor, target: str, body: bytes, *, timeout_seconds: float) -> httpx.Response:
    """Send one request to ``NAME`` or ``NAME/VERSION`` through the front.

    Raises CommandError when no answer comes; an answer of any status is returned.
    """
    url = f"{door.url}/predictions/{quote(target)}"
    headers = {"content-type": content_type_of(body)} | door.headers
    transport = httpx.HTTPTransport(uds=str(door.socket) if door.socket else None, verify=door.tls() or False)
    try:
        with httpx.Client(transport=transport, timeout=timeout_seconds) as client:
            return client.post(url, content=body, headers=headers)
    except httpx.TimeoutException:
        raise CommandError(f"{url} gave no answer within {timeout_seconds:g} s.") from None
    except httpx.TransportError as error:
        raise CommandError(f"{url} cannot be reached: {error}. Is `statehouse serve` running?") from error


def answer_in(response: httpx.Response) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON of an answer; CommandError where it is none."""
    try:
        return response.json()
    except ValueError as error:
        raise CommandError(
            f"{response.url} answered {response.status_code} with what is no JSON: {response.content[:100]!r}"
        ) from error


def problem_lines(status: int, problem: Mapping[str, Any]) -> list[str]:
    """Return a refusal for people: what is wrong, then one line per reason, the first twenty."""
    title = problem.get("title") or problem.get("message") or problem.get("type")
    errors = [error for error in problem.get("errors", []) if "detail" in error]
    if not errors:
        return [f"{title} ({status})", *_indented(problem.get("detail"))]
    left = len(errors) - MAX_REASONS
    told = [_reason(error) for error in errors[:MAX_REASONS]]
    return [f"{title} ({status})", *told, *_indented(f"and {left} more: see --json" if left > 0 else None)]


def _indented(text: str | None) -> list[str]:
    return [f"  {text}"] if text else []


def _reason(error: Mapping[str, Any]) -> str:
    return f"  row {error['row']}: {error['detail']}" if "row" in error else f"  {error['detail']}"
