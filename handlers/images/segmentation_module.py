"""Around a module that gives the classes of an image's pixels: its logits alone, whichever way it gives them."""

from typing import Any

from torch import Tensor, nn

from statehouse.handlers.errors import ModuleMismatchError


class SegmentationModule(nn.Module):
    """Takes the tensor that `module` gives, or of several the one called `out`, as torchvision's models do."""

    def __init__(self, module: nn.Module, class_count: int) -> None:
        super().__init__()
        self.module = module
        self.class_count = class_count

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes, h, w) for images (N, 3, height, width)."""
        answer: Any = self.module(images)
        logits = answer.get("out") if isinstance(answer, dict) else answer
        expected = (images.shape[0], self.class_count)  # len() would be a constant to a recorder
        if not isinstance(logits, Tensor) or logits.ndim != 4 or logits.shape[:2] != expected:
            found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ModuleMismatchError(
                f"the module gives {found}; expected (images, classes, height, width), alone or as `out`, with one "
                f"class per label: {self.class_count}"
            )
        return logits
