"""torchvision beside a torch that its compiled operators were not built for: the CPU build of the same version.

torchvision cannot even be imported where they do not load. What its models need of them is defined here, in plain
torch: non-maximum suppression, and RoI align (Mask R-CNN, https://arxiv.org/abs/1703.06870). Where torchvision's own
load, nothing here is used. Its other operators (deformable convolution …) raise its own error.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

ROIS_AT_ONCE = 64  # bounds the memory of samples: 64 x 256 channels x 14 x 14 of float32 are 13 MB

_definitions: list[torch.library.Library] = []  # what is defined lasts as long as its library object


def import_torchvision() -> ModuleType:
    """Import torchvision, with operators of ours where its own do not load."""
    if _definitions or _own_operators_load():
        return importlib.import_module("torchvision")
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    _definitions.append(library)
    for name in ("nms", "qnms"):  # it describes both to torch.compile when it is imported
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        library.impl(name, non_maximum_suppression, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torchvision = importlib.import_module("torchvision")
    # The two functions ask first whether torchvision's own operators are there.
    sys.modules["torchvision.ops.boxes"]._assert_has_ops = lambda: None  # type: ignore[attr-defined]
    sys.modules["torchvision.ops.roi_align"]._roi_align = roi_align  # type: ignore[attr-defined]
    return torchvision


def _own_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # then importing it says what is wrong
    files = list(Path(spec.origin).parent.glob("_C*.so"))
    try:
        for file in files:
            torch.ops.load_library(file)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(files)


def non_maximum_suppression(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Return which of `boxes` (N, 4: x1, y1, x2, y2) to keep, best score first.

    From the best on, each box that is kept removes those whose intersection over union with it is larger than
    `iou_threshold`.
    """
    order = scores.sort(stable=True, descending=True).indices
    x1, y1, x2, y2 = boxes.detach()[order].float().cpu().numpy().T  # NumPy: thousands of short steps
    areas = (x2 - x1) * (y2 - y1)
    kept: list[int] = []
    left = torch.ones(len(order), dtype=torch.bool).numpy()
    for place in range(len(order)):
        if not left[place]:
            continue
        kept.append(place)
        rest = slice(place + 1, None)
        width = (x2[rest].clip(max=x2[place]) - x1[rest].clip(min=x1[place])).clip(min=0)
        height = (y2[rest].clip(max=y2[place]) - y1[rest].clip(min=y1[place])).clip(min=0)
        shared = width * height
        left[rest] &= ~(shared > iou_threshold * (areas[rest] + areas[place] - shared))
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Return (K, C, pooled_height, pooled_width): `features` (N, C, H, W) averaged in the cells of each roi.

    A roi is (index in the batch, x1, y1, x2, y2). Each cell has `sampling_ratio` squared samples, or where that is
    not positive as many as it is wide and high.
    """
    size = (pooled_height, pooled_width)
    pooled = features.new_zeros((len(rois), features.shape[1], *size))
    starts = rois[:, 1:3] * spatial_scale - 0.5 * aligned
    sides = (rois[:, 3:5] - rois[:, 1:3]) * spatial_scale
    sides = sides if aligned else sides.clamp(min=1)
    batch = rois[:, 0].long()
    for index in sorted(set(batch.tolist())):
        for ratio, places in _groups((batch == index).nonzero()[:, 0], sides, size, sampling_ratio):
            samples = _samples(features[index], starts[places], sides[places], size, ratio)
            pooled = pooled.index_put((places,), samples)
    return pooled


def _groups(
    places: Tensor, sides: Tensor, size: tuple[int, int], sampling_ratio: int
) -> list[tuple[tuple[int, int], Tensor]]:
    """Return rois with as many samples per cell, down and across, as each other."""
    if sampling_ratio > 0:
        return [((sampling_ratio, sampling_ratio), part) for part in torch.split(places, ROIS_AT_ONCE)]
    cells = torch.tensor(size[::-1], device=sides.device)
    across, down = (sides[places] / cells).ceil().clamp(min=1).long().T.tolist()
    return [
        ((ratio_y, ratio_x), place[None])
        for ratio_y, ratio_x, place in zip(down, across, places, strict=True)
    ]


def _samples(
    feature: Tensor, starts: Tensor, sides: Tensor, size: tuple[int, int], ratio: tuple[int, int]
) -> Tensor:
    """Return (K, C, *size): means of bilinear samples; those farther than a pixel outside count as zero."""
    height, width = feature.shape[1:]
    y = _positions(starts[:, 1], sides[:, 1], size[0] * ratio[0])
    x = _positions(starts[:, 0], sides[:, 0], size[1] * ratio[1])
    inside = ((y >= -1) & (y <= height))[:, :, None] & ((x >= -1) & (x <= width))[:, None, :]
    shape = inside.shape
    across, down = (
        _relative(x, width)[:, None, :].expand(shape),
        _relative(y, height)[:, :, None].expand(shape),
    )
    grid = torch.stack((across, down), dim=-1)
    rows = grid.reshape(1, -1, grid.shape[2], 2)  # all rois one below the other: the feature is not copied
    values = grid_sample(feature[None], rows.to(feature.dtype), padding_mode="border", align_corners=True)
    cells = values.reshape(len(feature), len(starts), *inside.shape[1:]).transpose(0, 1) * inside[:, None]
    split = cells.reshape(*cells.shape[:2], size[0], ratio[0], size[1], ratio[1])
    return split.mean(dim=(3, 5)).to(feature.dtype)


def _positions(start: Tensor, side: Tensor, count: int) -> Tensor:
    """Return (K, count): the middles of `count` equal parts of each side, in pixels."""
    middles = (torch.arange(count, device=start.device) + 0.5) / count
    return start[:, None] + side[:, None] * middles


def _relative(pixels: Tensor, size: int) -> Tensor:
    """Return pixels as `grid_sample` counts them: the first one's middle is -1, the last one's 1."""
    return pixels.clamp(0, size - 1) * (2 / max(size - 1, 1)) - 1
