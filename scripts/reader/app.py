"""The supervisor's port for readers: readiness, metrics, and what each model is. It changes nothing.

The front sends here what the Open Inference Protocol and KServe v1 ask about the server and its models.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from statehouse import __version__
from statehouse.scripts.reader.console.routes import PATHS as WEB_PATHS
from statehouse.scripts.reader.console.routes import to_console, wants_page, web_routes
from statehouse.scripts.reader.metrics.page import MetricsPage
from statehouse.scripts.store.names import did_you_mean
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState, in_order
from statehouse.scripts.supervisor.parts import ServerParts

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROBLEM_JSON = "application/problem+json"
PATHS = WEB_PATHS | {
    "/ready": "200 when versions are served and every one has proved itself, else 503 with what is missing",
    "/metrics": "for Prometheus: latency by phase, requests by status and problem, queues, the front, memory",
    "/models": "every version: state, default, workers, digest",
    "/models/NAME": "the versions of one name",
    "/models/NAME/VERSION": "one version: architecture, config, schemas, labels, device",
    "/v2/health/live": "200 when the servers run and answer, whatever they serve, else 503 with what does not",
    "/v2/models/NAME": "inputs and outputs, in the Open Inference Protocol's form",
}
_PROBLEMS = {
    403: ("Not shown here", "not-from-here"),
    404: ("No such path", "no-such-path"),
    405: ("Method not allowed", "method"),
    413: ("The body is too large", "too-large"),
}


def reader_app(parts: ServerParts) -> Starlette:
    """Return the application for 127.0.0.1:8090."""
    reader = _Reader(parts)
    models = [
        Route("/models", reader.models),
        Route("/models/{name}", reader.model),
        Route("/models/{name}/{version}", reader.version),
    ]
    return Starlette(
        routes=[
            *web_routes(parts, models),
            *models,
            Route("/", reader.index),
            Route("/ready", reader.ready),
            Route("/ping", reader.ping),
            Route("/metrics", reader.metrics),
            Route("/v1/models/{name}", reader.v1_model),
            Route("/v2", reader.v2_server),
            Route("/v2/health/live", reader.v2_live),
            Route("/v2/health/ready", reader.v2_ready),
            Route("/v2/models/{name}", reader.v2_model),
            Route("/v2/models/{name}/versions/{version}", reader.v2_model),
            Route("/v2/models/{name}/ready", reader.v2_model_ready),
            Route("/v2/models/{name}/versions/{version}/ready", reader.v2_model_ready),
            Route("/problems/too-large", reader.too_large, methods=["POST", "PUT", "GET", "DELETE", "PATCH"]),
        ],
        exception_handlers={HTTPException: _problem},
    )


class _UnknownModelError(HTTPException):
    """No such model or version is served."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, detail)


class _Reader:
    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self._metrics = MetricsPage(parts)

    # -- the server

    async def index(self, request: Request) -> Response:
        if wants_page(request):
            return await to_console(request)
        front_url = self._parts.addresses.url("front")
        told = {
            "name": "statehouse",
            "version": __version__,
            "paths": PATHS,
            "predictions": f"{front_url}/predictions/NAME",
        }
        return Response(
            json.dumps(told, indent=2) + "\n", media_type="application/json", headers={"vary": "accept"}
        )  # people read it

    async def ready(self, request: Request) -> Response:
        missing = await self._parts.what_is_missing()
        return JSONResponse({"ready": not missing, "missing": missing}, status_code=503 if missing else 200)

    async def ping(self, request: Request) -> Response:
        missing = await self._parts.what_is_missing()
        status = "Unhealthy" if missing else "Healthy"
        return JSONResponse({"status": status}, status_code=503 if missing else 200)

    async def metrics(self, request: Request) -> Response:
        return Response(await self._metrics.render(), headers={"content-type": PROMETHEUS_TEXT})

    async def too_large(self, request: Request) -> Response:
        # Clients send all before they read: an answer without reading it would be lost in a reset.
        try:
            async for _ in request.stream():
                pass
        except ClientDisconnect:
            return Response(status_code=413)
        limit = self._parts.desired.deployment.limits.max_request_bytes
        given = request.headers.get("content-length", "?")
        raise HTTPException(
            413,
            f"The body has {given} bytes, more than the limit of {limit}. "
            "Send fewer rows, or raise limits.max_request_bytes in deployment.yaml.",
        )

    # -- models

    async def models(self, request: Request) -> Response:
        await self._parts.fleet.glance()
        return JSONResponse(
            {"models": [self._summary(loaded) for loaded in in_order(self._parts.fleet.versions)]}
        )

    async def model(self, request: Request) -> Response:
        await self._parts.fleet.glance()
        name = request.path_params["name"]
        versions = [
            self._summary(found) for found in in_order(self._parts.fleet.versions) if found.name == name
        ]
        if not versions:
            raise _UnknownModelError(self._unknown(name))
        return JSONResponse({"name": name, "default": self._default(name), "versions": versions})

    async def version(self, request: Request) -> Response:
        await self._parts.fleet.glance()
        loaded = self._find(request.path_params["name"], request.path_params["version"])
        return JSONResponse(self._summary(loaded) | _description(loaded))

    def _summary(self, loaded: LoadedVersion) -> dict[str, Any]:
        return {
            "name": loaded.name,
            "version": loaded.version,
            "default": self._default(loaded.name) == loaded.version,
            "state": loaded.state,
            "answers": loaded.answers,
            "reason": loaded.why_not_ready,
            "digest": loaded.published.digest if loaded.published else None,
            "workers": {"ready": loaded.ready_workers, "desired": loaded.settings.workers},
        }

    # -- KServe v1 and the Open Inference Protocol

    async def v1_model(self, request: Request) -> Response:
        loaded = self._find(request.path_params["name"], None)
        return JSONResponse({"name": loaded.name, "ready": loaded.state is VersionState.READY})

    async def v2_server(self, request: Request) -> Response:
        return JSONResponse(
            {"name": "statehouse", "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    async def v2_live(self, request: Request) -> Response:
        missing = self._parts.what_is_not_up()
        return JSONResponse({"live": not missing, "missing": missing}, status_code=503 if missing else 200)

    async def v2_ready(self, request: Request) -> Response:
        missing = await self._parts.what_is_missing()
        return JSONResponse({"ready": not missing}, status_code=503 if missing else 200)

    async def v2_model(self, request: Request) -> Response:
        loaded = self._find(request.path_params["name"], request.path_params.get("version"))
        manifest = loaded.published.manifest if loaded.published else None
        versions = [each.version for each in in_order(self._parts.fleet.versions) if each.name == loaded.name]
        return JSONResponse(
            {
                "name": loaded.name,
                "versions": versions,
                "platform": "pytorch_statehouse",
                "inputs": [tensor.model_dump() for tensor in manifest.inputs] if manifest else [],
                "outputs": [tensor.model_dump() for tensor in manifest.outputs] if manifest else [],
            }
        )

    async def v2_model_ready(self, request: Request) -> Response:
        await self._parts.fleet.glance()
        loaded = self._find(request.path_params["name"], request.path_params.get("version"))
        ready = loaded.state is VersionState.READY
        return JSONResponse({"name": loaded.name, "ready": ready}, status_code=200 if ready else 503)

    # -- finding

    def _default(self, name: str) -> str | None:
        return self._parts.front.default_of(name)

    def _find(self, name: str, version: str | None) -> LoadedVersion:
        wanted = version or self._default(name)
        loaded = self._parts.fleet.versions.get((name, wanted)) if wanted else None
        if loaded is None:
            raise _UnknownModelError(self._unknown(name, version))
        return loaded

    def _unknown(self, name: str, version: str | None = None) -> str:
        near = did_you_mean(name, (key[0] for key in self._parts.fleet.versions))
        there_are = ", ".join(" ".join(key) for key in self._parts.fleet.versions) or "none"
        return f"{' '.join(filter(None, (name, version)))} is not served. Served are: {there_are}.{near}"


def _description(loaded: LoadedVersion) -> dict[str, Any]:
    """Return all that the manifest says of what a version is and takes."""
    if loaded.published is None:
        return {}
    manifest = loaded.published.manifest
    fields = (
        *(
            "architecture",
            "config",
            "task",
            "task_config",
            "parameter_count",
            "macs_per_row",
            "frozen_speedup",
            "dtypes",
            "labels",
            "input_schema",
        ),
        *("output_schema", "inputs", "outputs", "metadata", "golden", "row_proof", "published", "built_by"),
    )
    described = manifest.model_dump(mode="json", include=set(fields))
    return {"device": loaded.device, "load_seconds": loaded.load_seconds} | described


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    title, slug = _PROBLEMS.get(error.status_code, ("Not possible", "not-possible"))
    detail = error.detail
    if isinstance(error, _UnknownModelError):
        title, slug = "No such model", "no-such-model"
    elif error.status_code == 404:
        detail = f"{request.url.path} is no path of this server. There are: {', '.join(PATHS)}."
    elif error.status_code == 405:
        detail = f"{request.url.path} can be read with GET, and nothing can be changed here."
    body = {
        "type": f"urn:statehouse:problem:{slug}",
        "title": title,
        "status": error.status_code,
        "detail": detail,
        "error": detail,  # where the Open Inference Protocol's clients look
    }
    return JSONResponse(body, status_code=error.status_code, media_type=PROBLEM_JSON)
