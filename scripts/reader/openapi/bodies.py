"""The bodies of requests and answers by media type, as handlers/bodies/payload.py reads and writes them."""

from __future__ import annotations

from math import prod
from typing import Any

from statehouse.handlers.bodies.content import IMAGE_TYPES, RAW_TYPE, TEXT_TYPE
from statehouse.handlers.request import JSON_TYPE
from statehouse.scripts.store.manifest import TensorMetadata, VersionManifest

Json = dict[str, Any]
IMAGE_TASKS = ("image_classification", "object_detection", "image_segmentation")
TEXT_TASKS = ("text_classification", "embedding", "token_classification")
# As handlers/text_rows.py reads it: a name of a prompt per row, where not all have the default.
PROMPT_TENSOR = TensorMetadata(name="prompt", datatype="BYTES", shape=[-1])


def prediction_request(manifest: VersionManifest) -> Json:
    """One row or several as JSON, and one row in its task's own form."""
    row = _row(manifest)
    rows = {"type": "array", "items": row, "minItems": 1}
    forms = [_object({"inputs": row}), _object({"instances": rows})]
    if manifest.task in TEXT_TASKS:  # a text is no list, so a list is several; a pair of two is one of them
        forms.append(_object({"inputs": rows}))
    return {JSON_TYPE: {"schema": {"oneOf": forms}}} | _own_form(manifest)


def prediction_response(manifest: VersionManifest) -> Json:
    """One answer, or several under `predictions`."""
    return {JSON_TYPE: {"schema": {"oneOf": [_answer(manifest), _predictions(manifest)]}}}


def kserve_request(manifest: VersionManifest) -> Json:
    """KServe v1: several rows."""
    rows = {"type": "array", "items": _row(manifest), "minItems": 1}
    return {JSON_TYPE: {"schema": _object({"instances": rows})}}


def kserve_response(manifest: VersionManifest) -> Json:
    """KServe v1: several answers."""
    return {JSON_TYPE: {"schema": _predictions(manifest)}}


def inference_request(manifest: VersionManifest) -> Json:
    """The Open Inference Protocol's document, without its binary extension."""
    optional = [PROMPT_TENSOR] if manifest.task_config.get("prompts") else []
    tensors = _tensors([*manifest.inputs, *optional])
    tensors |= {"minItems": len(manifest.inputs), "maxItems": len(manifest.inputs) + len(optional)}
    properties = {"inputs": tensors, "id": {"type": "string"}, "outputs": {"type": "array"}}
    return {JSON_TYPE: {"schema": {"type": "object", "properties": properties, "required": ["inputs"]}}}


def inference_response(manifest: VersionManifest) -> Json:
    """The Open Inference Protocol's answer."""
    properties = {
        "model_name": {"const": manifest.name},
        "model_version": {"const": manifest.version},
        "outputs": _tensors(manifest.outputs),
        "id": {"type": "string"},
    }
    required = ["model_name", "model_version", "outputs"]
    return {JSON_TYPE: {"schema": {"type": "object", "properties": properties, "required": required}}}


def embeddings_request(manifest: VersionManifest) -> Json:
    """OpenAI's: a text, or several."""
    text = {"type": "string", "minLength": 1}
    properties = {
        "model": {"enum": [manifest.name, f"{manifest.name}/{manifest.version}"]},
        "input": {"oneOf": [text, {"type": "array", "items": text, "minItems": 1}]},
        "encoding_format": {"enum": ["float", "base64"]},
        "dimensions": {"type": "integer"},
        "user": {"type": "string"},
    }
    return {JSON_TYPE: {"schema": _object(properties) | {"required": ["model", "input"]}}}


def embeddings_response(manifest: VersionManifest) -> Json:
    """OpenAI's: a vector per text."""
    schema: Json = dict(manifest.output_schema)
    vector = schema["properties"]["embedding"]
    one = {
        "object": {"const": "embedding"},
        "index": {"type": "integer", "minimum": 0},
        "embedding": {"oneOf": [vector, {"type": "string", "contentEncoding": "base64"}]},
    }
    count = {"type": "integer", "minimum": 0}
    answer = {
        "object": {"const": "list"},
        "data": {"type": "array", "items": _object(one)},
        "model": {"const": manifest.name},
        "usage": _object({"prompt_tokens": count, "total_tokens": count}),
    }
    return {JSON_TYPE: {"schema": _object(answer)}}


def _own_form(manifest: VersionManifest) -> Json:
    if manifest.task in IMAGE_TASKS:
        image = {"type": "string", "contentMediaType": "image/*"}
        return {kind: {} for kind in IMAGE_TYPES} | {
            "multipart/form-data": {"schema": _object({"image": image})}
        }
    if manifest.task == "tabular":
        return {"multipart/form-data": {"schema": _row(manifest)}}
    if manifest.task == "signature":
        row: Json = dict(manifest.input_schema)
        form = row | {"properties": {name: _part(each) for name, each in row["properties"].items()}}
        return {"multipart/form-data": {"schema": form}}
    if manifest.task in TEXT_TASKS:
        schema: Json = dict(manifest.input_schema)
        texts = [form for form in schema.get("anyOf", [schema]) if form["type"] == "string"]
        return {TEXT_TYPE: {"schema": texts[0]}} if texts else {}  # a pair is no text
    [tensor] = manifest.inputs
    count = prod(tensor.shape[1:])
    kind = {"FP32": "float32", "INT64": "int64"}.get(tensor.datatype, tensor.datatype)
    told = f"{count} numbers, {kind}, little-endian, one after another."
    return {RAW_TYPE: {"schema": {"description": told}}}


def _part(schema: Json) -> Json:
    """A part of a form: an image's own bytes, where JSON has base64 in an object."""
    return (
        {"type": "string", "contentMediaType": "image/*"} if "b64" in schema.get("properties", {}) else schema
    )


def _tensors(tensors: list[TensorMetadata]) -> Json:
    return {"type": "array", "items": {"oneOf": [_tensor(tensor) for tensor in tensors]}}


def _tensor(tensor: TensorMetadata) -> Json:
    datatype: Json = {"const": tensor.datatype}
    if tensor.datatype.startswith("FP"):  # numbers of other types are taken as well
        datatype = {"type": "string", "examples": [tensor.datatype]}
    shape = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "description": f"{tensor.shape}; -1: the number of rows",
    }
    return {
        "type": "object",
        "properties": {
            "name": {"const": tensor.name},
            "datatype": datatype,
            "shape": shape,
            "data": {"type": "array"},
        },
        "required": ["name", "datatype", "shape"],
    }


def _row(manifest: VersionManifest) -> Json:
    return {"$ref": f"#/components/schemas/{manifest.name}-{manifest.version}-row"}


def _answer(manifest: VersionManifest) -> Json:
    return {"$ref": f"#/components/schemas/{manifest.name}-{manifest.version}-answer"}


def _predictions(manifest: VersionManifest) -> Json:
    return _object({"predictions": {"type": "array", "items": _answer(manifest)}})


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
