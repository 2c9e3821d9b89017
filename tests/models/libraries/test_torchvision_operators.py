"""Our non-maximum suppression and RoI align beside their definitions, written out slowly."""

from __future__ import annotations

import math

import pytest
import torch

from statehouse.models import build_model
from statehouse.models.libraries.torchvision_operators import non_maximum_suppression, roi_align


def boxes_and_scores(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=random) * 80
    boxes = torch.cat([corners, corners + 5 + torch.rand(count, 2, generator=random) * 40], dim=1)
    return boxes, torch.rand(count, generator=random)


def slow_nms(boxes: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    def overlap(a: list[float], b: list[float]) -> float:
        width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
        areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
        return width * height / (areas - width * height)

    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(overlap(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_nms_keeps_what_its_definition_says(threshold: float) -> None:
    boxes, scores = boxes_and_scores(60, seed=1)
    kept = non_maximum_suppression(boxes, scores, threshold).tolist()
    assert kept == slow_nms(boxes.tolist(), scores.tolist(), threshold)
    assert 1 < len(kept) < 60 or threshold == 0.9


def test_nms_of_nothing_and_of_boxes_without_area() -> None:
    assert non_maximum_suppression(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    assert sorted(non_maximum_suppression(torch.zeros(2, 4), torch.ones(2), 0.5).tolist()) == [0, 1]


def slow_roi_align(
    feature: torch.Tensor, roi: list[float], scale: float, size: tuple[int, int], ratio: int, aligned: bool
) -> list[list[float]]:
    """One roi on one channel, sample by sample."""
    offset = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (side * scale - offset for side in roi)
    width, height = (max(x2 - x1, 0 if aligned else 1), max(y2 - y1, 0 if aligned else 1))
    cell_height, cell_width = height / size[0], width / size[1]
    down, across = (ratio or math.ceil(cell_height), ratio or math.ceil(cell_width))

    def at(y: float, x: float) -> float:
        rows, columns = feature.shape
        if not (-1 <= y <= rows and -1 <= x <= columns):
            return 0.0
        y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
        top, left = min(int(y), rows - 1), min(int(x), columns - 1)
        bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        v, h = y - top, x - left
        return float(
            (1 - v) * (1 - h) * feature[top, left]
            + (1 - v) * h * feature[top, right]
            + v * (1 - h) * feature[bottom, left]
            + v * h * feature[bottom, right]
        )

    def cell(row: int, column: int) -> float:
        values = [
            at(
                y1 + row * cell_height + (i + 0.5) * cell_height / down,
                x1 + column * cell_width + (j + 0.5) * cell_width / across,
            )
            for i in range(down)
            for j in range(across)
        ]
        return sum(values) / len(values)

    return [[cell(row, column) for column in range(size[1])] for row in range(size[0])]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_averages_what_its_definition_says(ratio: int, aligned: bool) -> None:
    random = torch.Generator().manual_seed(2)
    features = torch.randn(2, 1, 7, 9, generator=random)
    rois = torch.tensor(
        [
            [0, 1.0, 2.0, 14.0, 11.0],
            [1, -9.0, -3.0, 30.0, 40.0],
            [1, 3.0, 3.0, 3.2, 3.2],
            [0, 0.0, 0.0, 18.0, 14.0],
        ]
    )
    pooled = roi_align(features, rois, 0.5, 3, 2, ratio, aligned)
    for index, roi in enumerate(rois.tolist()):
        expected = slow_roi_align(features[int(roi[0]), 0], roi[1:], 0.5, (3, 2), ratio, aligned)
        torch.testing.assert_close(pooled[index, 0], torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_roi_align_has_gradients() -> None:
    features = torch.randn(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 0.5, 0.7, 3.1, 4.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda each: roi_align(each, rois, 1.0, 2, 2, 2, False), (features,))


def test_torchvisions_detection_models_answer_with_them() -> None:
    torch.manual_seed(0)
    config = {
        "num_classes": 3,
        "min_size": 64,
        "max_size": 96,
        "box_score_thresh": 0.0,
        "box_detections_per_img": 5,
    }
    model = build_model("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", config).eval()
    with torch.no_grad():
        [answer] = model([torch.rand(3, 80, 100)])
    assert answer["boxes"].shape == (5, 4)
    assert set(answer["labels"].tolist()) <= {1, 2}
