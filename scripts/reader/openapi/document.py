"""What can be asked of every loaded version, and what it answers: OpenAPI 3.1, made from the checkpoints' schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from statehouse import __version__
from statehouse.scripts.reader.openapi.bodies import (
    embeddings_request,
    embeddings_response,
    inference_request,
    inference_response,
    kserve_request,
    kserve_response,
    prediction_request,
    prediction_response,
)
from statehouse.scripts.reader.openapi.problems import PROBLEM_RESPONSES, PROBLEM_SCHEMAS, problem_references
from statehouse.scripts.store.manifest import VersionManifest
from statehouse.scripts.supervisor.loaded_version import LoadedVersion

Json = dict[str, Any]

VERSION_HEADERS = {
    "X-Model-Version": {"description": "The version that answered.", "schema": {"type": "string"}},
    "X-Model-Digest": {
        "description": "SHA-256 over its architecture, config, task and tensors.",
        "schema": {"type": "string"},
    },
    "Server-Timing": {
        "description": "Where the time of its batch went, in milliseconds; only when it was asked for.",
        "schema": {"type": "string"},
    },
}
TIMING_PARAMETER = {
    "name": "X-Statehouse-Timing",
    "in": "header",
    "required": False,
    "description": "Asks for the header Server-Timing.",
    "schema": {"type": "string", "enum": ["yes"]},
}


def openapi_of(
    versions: Iterable[LoadedVersion], default_of: Callable[[str], str | None], front_url: str
) -> Json:
    """Return the document; a name's default also has the paths that name no version."""
    paths: Json = {}
    schemas: Json = dict(PROBLEM_SCHEMAS)
    names = set()
    for loaded in versions:
        if not loaded.works or loaded.published is None:
            continue
        manifest = loaded.published.manifest
        names.add(loaded.name)
        schemas |= _schemas(manifest)
        paths |= _paths(manifest, by_default=False)
        if default_of(loaded.name) == loaded.version:
            paths |= _paths(manifest, by_default=True)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Statehouse",
            "version": __version__,
            "description": "Predictions of every version that is loaded now.",
        },
        "servers": [{"url": front_url, "description": "the front"}],
        "tags": [{"name": name} for name in sorted(names)],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas,
            "headers": VERSION_HEADERS,
            "parameters": {"Timing": TIMING_PARAMETER},
            "responses": PROBLEM_RESPONSES,
        },
    }


def _schemas(manifest: VersionManifest) -> Json:
    key = f"{manifest.name}-{manifest.version}"
    return {f"{key}-row": manifest.input_schema, f"{key}-answer": manifest.output_schema}


def _paths(manifest: VersionManifest, *, by_default: bool) -> Json:
    name, version = manifest.name, manifest.version
    described = {
        f"/predictions/{name}" if by_default else f"/predictions/{name}/{version}": (
            "predict", prediction_request(manifest), prediction_response(manifest)
        ),
        f"/v2/models/{name}/infer" if by_default else f"/v2/models/{name}/versions/{version}/infer": (
            "infer", inference_request(manifest), inference_response(manifest)
        ),
    }  # fmt: skip
    if by_default:  # KServe's first protocol knows no versions
        described[f"/v1/models/{name}:predict"] = (
            "predict_v1", kserve_request(manifest), kserve_response(manifest)
        )  # fmt: skip
    if manifest.task == "embedding":
        where = f"/openai/{name}" if by_default else f"/openai/{name}/{version}"
        described[f"{where}/v1/embeddings"] = (
            "embeddings", embeddings_request(manifest), embeddings_response(manifest)
        )  # fmt: skip
    which = "" if by_default else f"-{version}"
    return {
        path: {
            "post": {
                "operationId": f"{verb}-{name}{which}",
                "summary": _summary(manifest, by_default),
                "tags": [name],
                "parameters": [{"$ref": "#/components/parameters/Timing"}],
                "requestBody": {"required": True, "content": request},
                "responses": {"200": _answered(response), **problem_references(named=not by_default)},
            }
        }
        for path, (verb, request, response) in described.items()
    }


def _summary(manifest: VersionManifest, by_default: bool) -> str:
    which = f"the default, now {manifest.version}" if by_default else manifest.version
    return f"{manifest.name}, {which}: {manifest.task.replace('_', ' ')} by {manifest.architecture}"


def _answered(content: Json) -> Json:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in VERSION_HEADERS}
    return {"description": "The answer.", "headers": headers, "content": content}
