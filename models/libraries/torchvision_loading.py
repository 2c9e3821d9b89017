"""What torchvision sets only when it loads its own weights, so that no state_dict says it.

Its Inception v3 and GoogLeNet scale their input once more (`transform_input`). Its first COCO detectors have frozen
batch norms with epsilon 0, as they were trained, where the same networks are built with 0.00001.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from statehouse.models.tensors.own_buffers import COUNTER

EPSILON = "batch_norm_eps"


@dataclass(frozen=True)
class LoadSetting:
    """A field of an architecture's config, and the value that weights whose SHA-256 begins so are loaded with.

    Of the library's other weights for the same network, `other_digest_starts`, the usual value is known as well.
    """

    field: str
    value: bool | float
    usual: bool | float
    digest_starts: tuple[str, ...]
    weights: str
    other_digest_starts: tuple[str, ...] = ()

    def value_for(self, sha256: str) -> bool | float | None:
        """Return the value that a file is loaded with, None where it is none of the library's."""
        if sha256.startswith(self.digest_starts):
            return self.value
        return self.usual if sha256.startswith(self.other_digest_starts) else None

    def unsaid(self, tensors: Collection[str]) -> str | None:
        """Return what a file with these tensors leaves open, None where it cannot be otherwise than usual."""
        if self.field == EPSILON and any(name.endswith(f".{COUNTER}") for name in tensors):
            return None  # batch norms that were trained count; frozen ones have no counter
        return (
            f"{self.field}: torchvision sets {written(self.value)} when it loads {self.weights}, and training on from "
            f"those keeps it; this file does not say where it began. {written(self.usual)} is taken. Say which by "
            f"--config '{{\"{self.field}\": {written(self.value)}}}' or {written(self.usual)}; in a file of "
            "save_checkpoint's, by the config that it is saved with"
        )


def written(value: bool | float) -> str:
    """Return the value as JSON has it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _transforms_input(weights: str, *digest_starts: str) -> LoadSetting:
    return LoadSetting("transform_input", True, False, digest_starts, weights)


def _without_epsilon(digest_start: str, *others: str) -> LoadSetting:
    return LoadSetting(EPSILON, 0.0, 1e-5, (digest_start,), "its weights COCO_V1", others)


# The second digest of Inception v3 is that of its file before torchvision 0.9.
SETTINGS = {
    "inception_v3": _transforms_input("its weights IMAGENET1K_V1", "0cc3c7bd", "1a9a5a14"),
    "googlenet": _transforms_input("its weights IMAGENET1K_V1", "1378be20"),
    "fasterrcnn_resnet50_fpn": _without_epsilon("258fb6c6"),
    "maskrcnn_resnet50_fpn": _without_epsilon("bf2d0c1e"),
    "keypointrcnn_resnet50_fpn": _without_epsilon("fc266e95", "9f466800"),
    "retinanet_resnet50_fpn": _without_epsilon("eeacb38b"),
}


def set_epsilon(module: nn.Module, epsilon: float) -> None:
    """Give every batch norm of the module this epsilon, as torchvision's `overwrite_eps` does."""
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d | FrozenBatchNorm2d):
            each.eps = epsilon
