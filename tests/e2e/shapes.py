"""Pictures of one square or disc each, and a network of torchvision's that learns in seconds which pixels they have."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from statehouse.models import ImageSegmentationTask, build_model

LABELS = ["background", "square", "disc"]
SIDE, SHAPE_SIDE = 96, 40
BATCH = 8
ARCHITECTURE = "torchvision:lraspp_mobilenet_v3_large"
CONFIG: dict[str, Any] = {"num_classes": len(LABELS)}
STEPS, MOST_ROUNDS, GOOD = 40, 8, 0.97
"""Of training: the first is enough on some machines, and sums differ a little between machines."""


class Picture(NamedTuple):
    """``pixels`` (3, SIDE, SIDE) in 0..1, as a PNG has them; ``mask`` (SIDE, SIDE) of class numbers."""

    pixels: Tensor
    mask: Tensor

    @property
    def kind(self) -> int:
        return int(self.mask.max())

    @property
    def png(self) -> bytes:
        file = io.BytesIO()
        pixels = (self.pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
        return file.getvalue()


def draw(random: torch.Generator) -> Picture:
    pixels = torch.rand(3, SIDE, SIDE, generator=random) * 0.3
    top, left = torch.randint(0, SIDE - SHAPE_SIDE, (2,), generator=random).tolist()
    row, column = torch.meshgrid(torch.arange(SIDE) - top, torch.arange(SIDE) - left, indexing="ij")
    kind = int(torch.randint(1, len(LABELS), (), generator=random))
    if kind == LABELS.index("square"):
        inside = (row >= 0) & (row < SHAPE_SIDE) & (column >= 0) & (column < SHAPE_SIDE)
    else:
        half = SHAPE_SIDE / 2
        inside = (row - half) ** 2 + (column - half) ** 2 < half**2
    colour = torch.rand(3, generator=random) * 0.2
    colour[kind] += 0.8
    pixels[:, inside] = colour[:, None]
    return Picture((pixels * 255).round() / 255, inside.long() * kind)


def pictures(count: int, seed: int) -> list[Picture]:
    random = torch.Generator().manual_seed(seed)
    return [draw(random) for _ in range(count)]


def standardised(picture: Picture, task: ImageSegmentationTask) -> Tensor:
    mean, std = (torch.tensor(each)[:, None, None] for each in (task.mean, task.std))
    return (picture.pixels - mean) / std


def train(task: ImageSegmentationTask) -> nn.Module:
    """Train in rounds until pictures that it does not learn from are told well; return it in eval mode."""
    net = build_model(ARCHITECTURE, CONFIG)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    known, unknown = pictures(400, seed=0), pictures(20, seed=1)
    order = torch.Generator().manual_seed(0)

    def loss_of_a_batch() -> Tensor:
        batch = [known[place] for place in torch.randint(len(known), (BATCH,), generator=order)]
        inputs = torch.stack([standardised(picture, task) for picture in batch])
        return nn.functional.cross_entropy(net(inputs)["out"], torch.stack([each.mask for each in batch]))

    for _ in range(MOST_ROUNDS):
        net.train()
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of_a_batch().backward()
            optimizer.step()
        measure_norms(net, loss_of_a_batch)
        if share_of_pixels(net.eval(), unknown, task) > GOOD:
            return net
    raise AssertionError(f"it learnt too little in {MOST_ROUNDS} rounds")


def share_of_pixels(net: nn.Module, unknown: list[Picture], task: ImageSegmentationTask) -> float:
    with torch.inference_mode():
        told = net(torch.stack([standardised(each, task) for each in unknown]))["out"].argmax(1)
    return float((told == torch.stack([each.mask for each in unknown])).float().mean())


def measure_norms(net: nn.Module, run: Callable[[], object]) -> None:
    """Take the statistics that eval mode needs anew: MobileNetV3's follow so slowly that the first ones are still in
    them."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = {module: module.momentum for module in norms}
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # the mean of all
    with torch.no_grad():
        for _ in range(12):
            run()
    for module, momentum in usual.items():
        module.momentum = momentum
