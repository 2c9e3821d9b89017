"""The configs of our own architectures whose sizes are lists, as their tensors' names and shapes have them.

Of `simple_net`, and of people's own, the numbers are found by building; see probing.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

MAX_PREFIX_DEPTH = 4
DROPOUT = 0.5  # any: it moves the layers behind it by one, and does nothing in an endpoint


@dataclass(frozen=True)
class Read:
    """Fields of a config; `remarks` say of some what no tensor has, `stand_ins` are for fields that stay open."""

    fields: dict[str, Any]
    remarks: Mapping[str, str] = field(default_factory=dict)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)


def mlp_sizes(shapes: Shapes) -> Read | None:
    """Read an `mlp`: its linear layers, what lies between the first two, and whether that is a normalisation."""
    layers = _layers(shapes)
    linear = sorted(index for index, shape in layers.items() if len(shape) == 2)
    if not linear or linear[0] != 0:
        return None
    widths = [layers[index] for index in linear]
    fields: dict[str, Any] = {
        "input_size": widths[0][1],
        "hidden_sizes": [shape[0] for shape in widths[:-1]],
        "output_size": widths[-1][0],
    }
    if len(linear) == 1:
        return Read(fields)
    normalised = len(layers.get(1, ())) == 1
    if normalised:
        fields["normalisation"] = "batch" if "layers.1.running_mean" in _short(shapes) else "layer"
    if linear[1] == 3 + normalised:  # linear, normalisation, activation, dropout
        fields["dropout"] = DROPOUT
    return Read(
        fields, {"activation": "activation: no tensor says which; relu unless --config says otherwise"}
    )


def convnet_sizes(shapes: Shapes) -> Read | None:
    """Read a `convnet`; of its height and width the tensors have a product alone, so they are those of a square."""
    short = _short(shapes)
    blocks = sorted(
        (int(match[1]), shape) for name, shape in short.items() if (match := _BLOCK.fullmatch(name))
    )
    classifier = short.get("classifier.weight", ())
    if not blocks or len(classifier) != 2 or any(len(shape) != 4 for _, shape in blocks):
        return None
    channels = [shape[0] for _, shape in blocks]
    cells, rest = divmod(classifier[1], channels[-1]) if channels[-1] else (0, 1)
    side = math.isqrt(cells)
    fields = {"in_channels": blocks[0][1][1], "num_classes": classifier[0], "channels": channels}
    halvings = 2 ** len(channels)
    if rest or side**2 != cells:
        return Read(fields, stand_ins={"height": halvings, "width": cells * halvings})
    size = side * halvings
    remark = f"height and width: {size} is the least square that fits; say --config if images are otherwise"
    return Read({**fields, "height": size, "width": size}, {"height": remark})


def text_bag_sizes(shapes: Shapes) -> Read | None:
    """Read a `text_bag`: its embedding, and one linear layer or two."""
    embedding = _short(shapes).get("embedding.weight", ())
    layers = _layers(shapes)
    linear = sorted(layers)
    if len(embedding) != 2 or not linear or any(len(shape) != 2 for shape in layers.values()):
        return None
    fields = {
        "vocabulary_size": embedding[0],
        "embedding_size": embedding[1],
        "output_size": layers[linear[-1]][0],
    }
    return Read(fields if len(linear) == 1 else {**fields, "hidden_size": layers[linear[0]][0]})


SIZES: Mapping[str, Callable[[Shapes], Read | None]] = {
    "mlp": mlp_sizes,
    "convnet": convnet_sizes,
    "text_bag": text_bag_sizes,
}

_BLOCK = re.compile(r"blocks\.(\d{1,3})\.0\.weight")
_LAYER = re.compile(r"layers\.(\d{1,4})\.weight")


def _layers(shapes: Shapes) -> dict[int, tuple[int, ...]]:
    short = _short(shapes)
    return {int(match[1]): shape for name, shape in short.items() if (match := _LAYER.fullmatch(name))}


def _short(shapes: Shapes) -> Shapes:
    """Return the shapes without a prefix that all names share and that these architectures have not."""
    for _ in range(MAX_PREFIX_DEPTH):
        first = {name.partition(".")[0] for name in shapes}
        if len(first) != 1 or first & {"layers", "blocks"}:
            break
        shapes = {name.partition(".")[2]: shape for name, shape in shapes.items()}
    return shapes
