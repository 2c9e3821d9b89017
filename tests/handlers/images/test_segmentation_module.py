"""The logits of a module that may give them in two ways."""

import pytest
import torch
from torch import nn

from statehouse.handlers.errors import ModuleMismatchError
from statehouse.handlers.images.segmentation_module import SegmentationModule

IMAGES = torch.zeros(2, 3, 4, 4)
LOGITS = torch.arange(2 * 5 * 4 * 4.0).reshape(2, 5, 4, 4)


class Answers(nn.Module):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: torch.Tensor) -> object:
        return self.answer


@pytest.mark.parametrize("answer", [LOGITS, {"aux": None, "out": LOGITS}])
def test_logits_come_alone_or_as_out(answer):
    assert SegmentationModule(Answers(answer), 5)(IMAGES) is LOGITS


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (LOGITS[:, :4], "[2, 4, 4, 4]"),
        (LOGITS[:1], "[1, 5, 4, 4]"),
        (LOGITS[..., 0], "[2, 5, 4]"),
        ({"aux": LOGITS}, "NoneType"),
        ([LOGITS], "list"),
    ],
)
def test_anything_else_is_told_with_what_was_expected(answer, told):
    with pytest.raises(ModuleMismatchError) as caught:
        SegmentationModule(Answers(answer), 5)(IMAGES)
    assert str(caught.value) == (
        f"the module gives {told}; expected (images, classes, height, width), alone or as `out`, with one class "
        "per label: 5"
    )
