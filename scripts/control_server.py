"""The supervisor's end of its control socket.

A change runs in the supervisor, not in the connection that asked for it: a command that dies
changes nothing of what it has begun.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from models.errors import StatehouseError
from scripts.access.control import key_routes
from scripts.apply import apply, read_plan
from scripts.change import Asked, Change, run_change
from scripts.change_request import ChangeRequest, retired, run_with, scaled
from scripts.errors import ArgumentError
from scripts.journal import TRIAL
from scripts.status import status_of
from scripts.steps import Report
from scripts.supervisor import Supervisor
from scripts.swap import SwapResult, rollback, swap
from scripts.validation import dotted, problems_of

Json = dict[str, Any]
Work = Callable[[Report], Awaitable[Json]]
NDJSON = "application/x-ndjson"


def control_app(supervisor: Supervisor) -> Starlette:
    """Return the application for the control socket."""
    control = _Control(supervisor)
    return Starlette(
        routes=[
            Route("/status", control.status),
            Route("/token", control.token),
            Route("/plan", control.plan),
            Route("/changes/{kind}", control.change, methods=["POST"]),
            *key_routes(supervisor),
        ],
        exception_handlers={StatehouseError: _refused},
    )


class _Control:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._running: set[asyncio.Task[None]] = set()

    async def status(self, request: Request) -> Response:
        return JSONResponse(await status_of(self._supervisor))

    async def token(self, request: Request) -> Response:
        return JSONResponse({"inference": self._supervisor.torchserve.inference_token()})

    async def plan(self, request: Request) -> Response:
        _, steps = read_plan(self._supervisor)
        return JSONResponse({"plan": [step.text for step in steps]})

    async def change(self, request: Request) -> Response:
        try:
            wanted = ChangeRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(ArgumentError("; ".join(problems_of(error, dotted))), 422)
        asked = Asked(request.path_params["kind"], wanted.name, wanted.user, wanted.host, wanted.wait)
        bodies: dict[str, Callable[[Change], Awaitable[Any]]] = {
            "swap": lambda change: swap(change, wanted.version, wanted.swap_options()),
            "rollback": lambda change: rollback(change, wanted.swap_options()),
            "retire": lambda change: retired(change, wanted.version, wanted.drain_seconds),
            "scale": lambda change: scaled(change, wanted.version, wanted.workers),
            "settings": lambda change: run_with(change, wanted.version, wanted.settings),
            "tune": lambda change: run_with(change, wanted.version, wanted.settings),
            TRIAL: lambda change: run_with(change, wanted.version, wanted.settings, desired=False),
            "apply": apply,
        }
        body = bodies.get(asked.kind)
        if body is None:
            return _refusal(
                ArgumentError(f"There is no change {asked.kind!r}; there are: {', '.join(bodies)}."), 404
            )

        async def run(report: Report) -> Json:
            result = await run_change(self._supervisor, asked, report, body)
            return {"serving": self._serving(wanted.name)} | (
                asdict(result) if isinstance(result, SwapResult) else {"done": result}
            )

        return StreamingResponse(self._run(run, wanted.name), media_type=NDJSON)

    def _serving(self, name: str) -> str | None:
        return self._supervisor.front.default_of(name)

    async def _run(self, work: Work, name: str) -> AsyncIterator[str]:
        """Run a change to its end whoever listens; yield one JSON line per step, then the outcome."""
        lines: asyncio.Queue[Json | None] = asyncio.Queue()

        async def run() -> None:
            try:
                result = await work(lambda step: lines.put_nowait({"step": asdict(step)}))
                lines.put_nowait({"outcome": "done", "result": result})
            except StatehouseError as error:
                message = (
                    f"{error}\n{name} is served by {self._serving(name) or 'no version'}."
                    if name
                    else str(error)
                )
                lines.put_nowait({"outcome": "failed", "error": type(error).__name__, "message": message})
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                lines.put_nowait({"outcome": "failed", "error": "InternalError", "message": message})
                raise
            finally:
                lines.put_nowait(None)

        task = asyncio.create_task(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        while (line := await lines.get()) is not None:
            yield json.dumps(line) + "\n"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StatehouseError)  # noqa: S101 - registered for nothing else
    return _refusal(error, 409)


def _refusal(error: StatehouseError, status: int) -> Response:
    told = {"outcome": "failed", "error": type(error).__name__, "message": str(error)}
    return JSONResponse(told, status_code=status)
