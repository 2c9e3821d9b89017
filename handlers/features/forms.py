"""The forms in which named features arrive beside JSON: tensors, one per feature, and fields of a form."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from statehouse.handlers.bodies.inference_tensors import InputTensor, unexpected_names
from statehouse.handlers.bodies.json_body import decode_text
from statehouse.handlers.bodies.schema import object_schema
from statehouse.handlers.errors import InvalidInputError
from statehouse.handlers.request import Part
from statehouse.models.tasks.registry import CategoricalFeature, NumericFeature

Feature = NumericFeature | CategoricalFeature
Features = Mapping[str, Feature]
NUMERIC_DATATYPES = ("FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8")


def feature_schema(features: Features) -> dict[str, Any]:
    """JSON Schema of one row."""
    return object_schema({name: _schema(feature) for name, feature in features.items()})


def feature_tensors(features: Features) -> list[dict[str, Any]]:
    """One tensor per feature, of one element per row."""
    return [
        {"name": name, "datatype": "FP64" if isinstance(feature, NumericFeature) else "BYTES", "shape": [-1]}
        for name, feature in features.items()
    ]


def rows_of_tensors(tensors: Mapping[str, InputTensor], features: Features) -> list[dict[str, Any]]:
    """Rows as objects, from one tensor per feature of the shape [n] or [n, 1].

    Raises InvalidInputError that names every tensor which is missing, unknown, or of another type or length.
    """
    problems = unexpected_names(tensors, list(features))
    known = [tensor for name, tensor in tensors.items() if name in features]
    count = known[0].shape[0] if known and known[0].shape else 0
    for tensor in known:
        numeric = isinstance(features[tensor.name], NumericFeature)
        datatypes = NUMERIC_DATATYPES if numeric else ("BYTES",)
        if tensor.datatype not in datatypes or tensor.shape not in ((count,), (count, 1)):
            problems.append(
                f"input {tensor.name!r} is {tensor.datatype} of {list(tensor.shape)}; expected "
                f"{' or '.join(datatypes[:2])} of [{count}], as many rows as the first input."
            )
    if problems:
        raise InvalidInputError(" ".join(problems), errors=[{"detail": problem} for problem in problems])
    columns = [_column(tensors[name]) for name in features]
    return [dict(zip(features, values, strict=True)) for values in zip(*columns, strict=True)]


def row_of_parts(parts: Mapping[str, Part], features: Features) -> dict[str, Any]:
    """One row from the fields of a form; a numeric feature's text is read as a number where it is one."""
    texts = {name: decode_text(part.body) for name, part in parts.items()}
    return {name: _value(features.get(name), text) for name, text in texts.items()}


def made_row(features: Features, seed: int) -> dict[str, Any]:
    """A row as the features' statistics suggest, within their bounds; always the same for the same seed."""
    random = np.random.default_rng(seed)
    row: dict[str, Any] = {}
    for name, feature in features.items():
        if isinstance(feature, CategoricalFeature):
            row[name] = feature.categories[int(random.integers(len(feature.categories)))]
            continue
        value = feature.mean + feature.std * random.standard_normal()
        value = value if feature.minimum is None else max(value, feature.minimum)
        row[name] = float(value if feature.maximum is None else min(value, feature.maximum))
    return row


def _schema(feature: Feature) -> dict[str, Any]:
    if isinstance(feature, CategoricalFeature):
        return {"type": "string", "enum": feature.categories}
    bounds = {"minimum": feature.minimum, "maximum": feature.maximum}
    return {"type": "number", **{name: bound for name, bound in bounds.items() if bound is not None}}


def _column(tensor: InputTensor) -> list[Any]:
    if isinstance(tensor.data, np.ndarray):
        values: list[Any] = tensor.data.reshape(-1).tolist()
        return values
    return [_category(element) for element in tensor.data]


def _category(element: str | bytes) -> str:
    return element if isinstance(element, str) else decode_text(element)


def _value(feature: Feature | None, text: str) -> object:
    if not isinstance(feature, NumericFeature):
        return text
    try:
        return float(text)
    except ValueError:
        return text
