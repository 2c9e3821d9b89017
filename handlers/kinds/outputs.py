"""A named output at work: what the module gives for some rows to arrays and answers, by the kind of its config."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from statehouse.handlers.bodies.numbers import shorten
from statehouse.handlers.bodies.schema import array_schema, object_schema
from statehouse.handlers.errors import ModuleMismatchError, NonFiniteOutputError
from statehouse.handlers.kinds.contract import Json, made
from statehouse.handlers.pipeline.labels import (
    class_answers,
    class_outputs,
    class_schema,
    multi_label_answers,
    multi_label_outputs,
    multi_label_schema,
)
from statehouse.handlers.pipeline.task_contract import TaskContract
from statehouse.models.tasks.kinds import OutputConfig, OutputKind, registered_outputs
from statehouse.models.tasks.output_kinds import (
    EmbeddingOutput,
    ImageOutput,
    LabelsOutput,
    TensorOutput,
    ValueOutput,
)

Arrays = Mapping[str, NDArray[Any]]
"""By what follows the output's name in those of its tensors; the first axis counts the rows."""
IMAGE_CHANNELS = (1, 3)


class NamedOutput:
    """One output of a signature; `values` are the module's: a tensor whose first axis counts the rows, or one each."""

    def __init__(self, name: str, config: OutputConfig) -> None:
        self.name, self.config = name, config

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """What is answered, as arrays; raises ModuleMismatchError where the module gives something else."""
        raise NotImplementedError

    def answers(self, arrays: Arrays) -> list[Any]:
        """One JSON value per row."""
        raise NotImplementedError

    def schema(self, arrays: Arrays) -> Json:
        """JSON Schema of an answer, of which `arrays` are examples."""
        raise NotImplementedError

    def together(self, values: Tensor | list[Tensor]) -> Tensor:
        """`values` as one tensor; raises ModuleMismatchError where the rows' sizes differ."""
        if isinstance(values, Tensor):
            return values
        shapes = sorted({str(list(each.shape)) for each in values})
        raise ModuleMismatchError(
            f"output {self.name!r}: the module gives {' and '.join(shapes[:2])} for rows of unequal sizes; expected "
            f"one size for kind {self.config.kind!r}"
        )


class NumbersOutput(NamedOutput):
    """Kind `tensor`: nested lists."""

    config: TensorOutput

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """The numbers as they are; one array per row where their sizes differ."""
        return {"": _numbers(values)}

    def answers(self, arrays: Arrays) -> list[Any]:
        """Nested lists of each row."""
        return list(arrays[""])

    def schema(self, arrays: Arrays) -> Json:
        """Nested lists of the shape that the example has, as far as it is said to be so."""
        example = arrays[""][0]
        schema = array_schema((), example.dtype)
        declared = self.config.shape or [*example.shape]
        for size in reversed(declared):
            schema = {
                "type": "array",
                "items": schema,
                **({"minItems": size, "maxItems": size} if isinstance(size, int) else {}),
            }
        return schema


class ScoredLabels(NamedOutput):
    """Kind `labels`: the best, and the ranking."""

    config: LabelsOutput

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """Best label, its score, and the scores of all."""
        score = multi_label_outputs if self.config.multi else class_outputs
        found = score(self.together(values), self.config.labels, self.config.outputs)
        return {f".{suffix}": array for suffix, array in found.items()}

    def answers(self, arrays: Arrays) -> list[Any]:
        """As of the tasks that classify."""
        outputs = {suffix[1:]: array for suffix, array in arrays.items()}
        if self.config.multi:
            return multi_label_answers(outputs, self.config.labels, self.config.top_k, self.config.threshold)
        return class_answers(outputs, self.config.labels, self.config.top_k)

    def schema(self, arrays: Arrays) -> Json:
        """As of the tasks that classify."""
        schema_of = multi_label_schema if self.config.multi else class_schema
        return schema_of(self.config.labels, self.config.top_k, self.config.outputs)


class Values(NamedOutput):
    """Kind `value`: a number, or several by name."""

    config: ValueOutput

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """`output * std + mean`, float32 (rows,) or (rows, names)."""
        numbers = self.together(values)
        names = self.config.names
        wanted = len(names) if names else 1
        if numbers.numel() != len(numbers) * wanted:
            raise ModuleMismatchError(
                f"output {self.name!r}: the module gives {list(numbers.shape[1:])} per row; expected {wanted} number(s)"
            )
        plain = numbers.reshape(-1, wanted).double().cpu().numpy() * self.config.std + self.config.mean
        with np.errstate(over="ignore"):
            rescaled = plain.astype(np.float32)
        return {"": rescaled if names else rescaled[:, 0]}

    def answers(self, arrays: Arrays) -> list[Any]:
        """A number, or an object of them."""
        if self.config.names is None:
            return list(arrays[""])
        return [dict(zip(self.config.names, row, strict=True)) for row in arrays[""]]

    def schema(self, arrays: Arrays) -> Json:
        """A number, or an object of them."""
        number = {"type": "number"}
        return (
            number if self.config.names is None else object_schema(dict.fromkeys(self.config.names, number))
        )


class Vector(NamedOutput):
    """Kind `embedding`: a vector."""

    config: EmbeddingOutput

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """Float32 (rows, components)."""
        vectors = self.together(values).float()
        if vectors.ndim != 2:
            raise ModuleMismatchError(
                f"output {self.name!r}: the module gives {list(vectors.shape[1:])} per row; expected a vector"
            )
        if self.config.normalise:
            vectors = torch.nn.functional.normalize(vectors)
        return {"": vectors.cpu().numpy()}

    def answers(self, arrays: Arrays) -> list[Any]:
        """A list of numbers per row."""
        return list(arrays[""])

    def schema(self, arrays: Arrays) -> Json:
        """A list of numbers."""
        return array_schema(arrays[""].shape[1:], arrays[""].dtype)


class Picture(NamedOutput):
    """Kind `image`: a PNG, base64 in JSON."""

    config: ImageOutput

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """The files' bytes."""
        files = np.empty(len(values), dtype=object)
        for place, each in enumerate(values):
            files[place] = self._png(each)
        return {"": files}

    def answers(self, arrays: Arrays) -> list[Any]:
        """`{"b64": …}` per row."""
        return [{"b64": base64.b64encode(file).decode()} for file in arrays[""]]

    def schema(self, arrays: Arrays) -> Json:
        """Base64 in an object."""
        return object_schema(
            {"b64": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}}
        )

    def _png(self, values: Tensor) -> bytes:
        picture = values[None] if values.ndim == 2 else values
        if picture.ndim != 3 or len(picture) not in IMAGE_CHANNELS:
            raise ModuleMismatchError(
                f"output {self.name!r}: the module gives {list(values.shape)} per row; expected (1 or 3, height, width)"
            )
        if not bool(torch.isfinite(picture).all()):
            raise NonFiniteOutputError(
                f"Output {self.name!r} has pixels that are NaN or infinite. Look for extreme values in the input; if "
                "there are none, the checkpoint is at fault."
            )
        span = self.config.maximum - self.config.minimum
        scaled = ((picture.float() - self.config.minimum) / span * 255).round().clamp(0, 255)
        pixels = scaled.byte().cpu().numpy().transpose(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if len(picture) == 1 else pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()


class RegisteredOutput(NamedOutput):
    """An output of a kind that somebody registered."""

    def __init__(self, name: str, config: OutputConfig, kind: type[OutputKind]) -> None:
        super().__init__(name, config)
        self.kind = made(f"output {name!r}", kind, config)

    def arrays(self, values: Tensor | list[Tensor]) -> Arrays:
        """The rows' own numbers; as tensors of the Open Inference Protocol too."""
        return {"": _numbers(values)}

    def answers(self, arrays: Arrays) -> list[Any]:
        """As the kind makes each."""
        return [self.kind.encode(row) for row in arrays[""]]

    def schema(self, arrays: Arrays) -> Json:
        """As the kind says."""
        return self.kind.schema()


def _numbers(values: Tensor | list[Tensor]) -> NDArray[Any]:
    if isinstance(values, Tensor):
        return TaskContract.to_array(values)
    rows = np.empty(len(values), dtype=object)
    for place, each in enumerate(values):
        rows[place] = TaskContract.to_array(each)
    return rows


_BUILT_IN: dict[str, type[NamedOutput]] = {
    "tensor": NumbersOutput,
    "labels": ScoredLabels,
    "value": Values,
    "embedding": Vector,
    "image": Picture,
}


def named_output(name: str, config: OutputConfig) -> NamedOutput:
    """The output `name` at work."""
    if config.kind in _BUILT_IN:
        return _BUILT_IN[config.kind](name, config)
    return RegisteredOutput(name, config, registered_outputs()[config.kind][1])


def taken(returned: object, outputs: Sequence[NamedOutput], count: int) -> dict[str, Tensor]:
    """Return each output's tensor out of what the module returned for `count` rows.

    Raises ModuleMismatchError that names every output which is not there, or has other than `count` rows.
    """
    found: dict[str, Tensor] = {}
    problems: list[str] = []
    for output in outputs:
        path = output.config.source
        try:
            if path is not None:
                value = _followed(returned, path.split("."))
            elif isinstance(returned, Tensor) and len(outputs) == 1:
                value = returned
            else:
                value = _member(returned, output.name)
        except (LookupError, AttributeError, ValueError, TypeError):
            told = f"output {output.name!r}: {path or output.name} is not in {_described(returned)}"
            places = isinstance(returned, tuple | list) and path is None
            problems.append(told + ('; say its place, "source": "0" for the first' if places else ""))
            continue
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != count:
            problems.append(
                f"output {output.name!r}: the module answers {count} rows with {_described(value)}; expected a tensor "
                "whose first axis counts the rows"
            )
            continue
        found[output.name] = value
    if problems:
        raise ModuleMismatchError("; ".join(problems))
    return found


def _followed(value: object, path: Sequence[str]) -> object:
    for step in path:
        value = _member(value, step)
    return value


def _member(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return value[name]
    if isinstance(value, tuple | list) and name.isdigit():
        return value[int(name)]
    return getattr(value, name)


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {list(value.shape)}"
    if isinstance(value, Mapping):
        return f"a dict with {', '.join(map(shorten, list(value)[:8])) or 'nothing'}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__ if value is not None else "None"
