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

from statehouse.models.errors import StatehouseError
from statehouse.scripts.changes.apply import apply, read_plan
from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.request import AbortRequest, ChangeRequest
from statehouse.scripts.changes.retire import retired
from statehouse.scripts.changes.run import run_change
from statehouse.scripts.changes.settings import run_with, scaled
from statehouse.scripts.changes.swap import SwapResult, rollback, swap
from statehouse.scripts.control.keys import key_routes
from statehouse.scripts.deployment.journal import TRIAL
from statehouse.scripts.errors import ArgumentError, ChangeError
from statehouse.scripts.progress import Report, Step
from statehouse.scripts.reader.status import status_of
from statehouse.scripts.supervisor.parts import ServerParts
from statehouse.scripts.supervisor.running_change import Asked
from statehouse.scripts.validation import dotted, problems_of

Json = dict[str, Any]
Work = Callable[[Report], Awaitable[Json]]
NDJSON = "application/x-ndjson"


def control_app(parts: ServerParts) -> Starlette:
    """Return the application for the control socket."""
    control = _Control(parts)
    return Starlette(
        routes=[
            Route("/status", control.status),
            Route("/token", control.token),
            Route("/plan", control.plan),
            Route("/changes/{kind}", control.change, methods=["POST"]),
            Route("/abort", control.abort, methods=["POST"]),
            *key_routes(parts),
        ],
        exception_handlers={StatehouseError: _refused},
    )


class _Control:
    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self._running: set[asyncio.Task[None]] = set()

    async def status(self, request: Request) -> Response:
        return JSONResponse(await status_of(self._parts))

    async def token(self, request: Request) -> Response:
        return JSONResponse({"inference": self._parts.torchserve.inference_token()})

    async def plan(self, request: Request) -> Response:
        _, planned = read_plan(self._parts.desired)
        return JSONResponse({"plan": [part.text for part in planned]})

    async def change(self, request: Request) -> Response:
        try:
            wanted = ChangeRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(ArgumentError("; ".join(problems_of(error, dotted))), 422)
        kind = request.path_params["kind"]
        asked = Asked(kind, wanted.name, wanted.user, wanted.host, wanted.wait, version=wanted.version)
        bodies: dict[str, Callable[[Change], Awaitable[Any]]] = {
            "swap": lambda change: swap(change, wanted.version, wanted.swap_options()),
            "rollback": lambda change: rollback(change, wanted.swap_options()),
            "retire": lambda change: retired(change, wanted.version, wanted.drain_seconds),
            "scale": lambda change: scaled(change, wanted.version, wanted.workers),
            "settings": lambda change: run_with(change, wanted.version, wanted.settings),
            "tune": lambda change: run_with(change, wanted.version, wanted.settings),
            TRIAL: lambda change: run_with(change, wanted.version, wanted.settings, desired=False),
            "apply": lambda change: apply(change, allow_new_interface=wanted.allow_new_interface),
        }
        body = bodies.get(asked.kind)
        if body is None:
            return _refusal(
                ArgumentError(f"There is no change {asked.kind!r}; there are: {', '.join(bodies)}."), 404
            )

        async def run(report: Report) -> Json:
            result = await run_change(self._parts, asked, report, body)
            told = asdict(result) if isinstance(result, SwapResult) else {"done": result}
            return {
                "serving": self._serving(wanted.name),
                "code_changed": await self._newer(wanted.name),
            } | told

        return StreamingResponse(self._run(run, asked), media_type=NDJSON)

    async def abort(self, request: Request) -> Response:
        """Abort the change that runs, or the one of an id; wait until it has been undone, unless told not to."""
        try:
            wanted = AbortRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(ArgumentError("; ".join(problems_of(error, dotted))), 422)
        running = self._parts.turn.find(wanted.change)
        if running is None:
            told = "No change is running" if wanted.change is None else f"There is no change {wanted.change}"
            raise ChangeError(f"{told}: there is nothing to abort. See `statehouse history`.")
        running.abort(f"{wanted.user}@{wanted.host}")
        if wanted.wait:
            await running.ended.wait()
        title, name = running.asked.title, running.asked.name
        serving = self._serving(name) if name else None
        return JSONResponse({"change": title, "name": name, "outcome": running.outcome, "serving": serving})

    def _serving(self, name: str) -> str | None:
        return self._parts.front.default_of(name)

    async def _newer(self, name: str) -> str | None:
        """Say that the code on disk is newer than what serves a name."""
        loaded = self._parts.fleet.versions.get((name, self._serving(name) or ""))
        if loaded is None or loaded.published is None:
            return None
        return await self._parts.code_changed(loaded.published.manifest)

    async def _run(self, work: Work, asked: Asked) -> AsyncIterator[str]:
        """Run a change to its end whoever listens; yield a JSON line with its id, one per step, then the outcome."""
        name = asked.name
        lines: asyncio.Queue[Json | None] = asyncio.Queue()
        lines.put_nowait({"change": asked.id, "title": asked.title})

        async def run() -> None:
            log = self._parts.log

            def report(step: Step) -> None:
                log.step(step, asked.title)
                lines.put_nowait({"step": asdict(step)})

            log.step(Step("asked", f"asked for by {asked.who}"), asked.title)
            try:
                result = await work(report)
                log.step(Step("outcome", "done"), asked.title)
                lines.put_nowait({"outcome": "done", "result": result})
            except StatehouseError as error:
                log.step(Step("outcome", str(error), state="failed"), asked.title)
                message = (
                    f"{error}\n{name} is served by {self._serving(name) or 'no version'}."
                    if name
                    else str(error)
                )
                lines.put_nowait({"outcome": "failed", "error": type(error).__name__, "message": message})
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                log.step(Step("outcome", message, state="failed"), asked.title)
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
