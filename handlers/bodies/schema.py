"""JSON Schemas of rows and answers."""

from typing import Any

import numpy as np


def array_schema(shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Nested lists of `shape`."""
    schema: dict[str, Any] = {"type": {"b": "boolean", "f": "number"}.get(dtype.kind, "integer")}
    for size in reversed(shape):
        schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
    return schema


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
