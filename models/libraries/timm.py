"""`timm:<name>`: the models that timm lists, without weights; a tag as in `resnet50.a1_in1k` may follow the name.

Their config is the keyword arguments of timm's own function: `{"num_classes": 10, "in_chans": 1}`.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from torch import Tensor, nn

from statehouse.models.architecture import KnownTask, WeightsFile
from statehouse.models.errors import UnknownArchitectureError
from statehouse.models.libraries.builder import LibraryArchitecture, library_architecture
from statehouse.models.libraries.close_names import close_names
from statehouse.models.libraries.torchvision_operators import import_torchvision
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.models.tensors.translated_names import names_of_loader

import_torchvision()  # timm imports it, and would fail where its operators do not load

import timm  # noqa: E402
import timm.data  # noqa: E402

_data: Any = timm.data  # says less of its types than it has


class TimmArchitecture(LibraryArchitecture):
    """One of timm's models, with what its `pretrained_cfg` says; a tag in the name chooses between several."""

    def loader_names(
        self, module: nn.Module, given: Mapping[str, Tensor | TensorInfo]
    ) -> Mapping[str, str | None]:
        """Return the names that the `checkpoint_filter_fn` of the model's family changes, or leaves out."""
        family = sys.modules.get(type(module).__module__)
        convert = getattr(family, "checkpoint_filter_fn", None)
        if convert is None:
            return {}
        try:
            return names_of_loader(
                lambda state: convert(state, module), module.state_dict(), given, leaves_out=True
            )
        except Exception:  # noqa: BLE001 - it expects files of its own family alone
            return {}

    def known_task(self, task: str, config: BaseModel, file: WeightsFile) -> KnownTask | None:
        """Return preprocessing, and labels where the classes are as many; what a folder says goes first."""
        if file.said is not None and task == "image_classification":
            return KnownTask(_fields_of_folder(file.said, config), "the pretrained_cfg in its config.json")
        name = self.name.partition(":")[2]
        pretrained = timm.models.get_pretrained_cfg(name)
        if task != "image_classification" or pretrained is None or not pretrained.has_weights:
            return None
        told = f"timm's pretrained_cfg of {pretrained.architecture}.{pretrained.tag}"
        known = task_fields(dataclasses.asdict(pretrained), config)
        if self.class_count(config) in (None, pretrained.num_classes) and "labels" in known:
            return KnownTask(known, f"{told}, as there are its {pretrained.num_classes} classes")
        known.pop("labels", None)
        return KnownTask(known, f"{told}, the preprocessing alone")


def _fields_of_folder(said: Mapping[str, Any], config: BaseModel) -> dict[str, Any]:
    """Do as `task_fields` does; a config.json may say anything, and what cannot be used is left out."""
    try:
        return task_fields(dict(said), config)
    except Exception:  # noqa: BLE001 - the task's config then says what is missing
        return {}


def task_fields(pretrained: dict[str, Any], config: BaseModel) -> dict[str, Any]:
    """Return what a `pretrained_cfg` says of an image classification; labels where it says, or timm knows, them."""
    data = _data.resolve_data_config(pretrained_cfg=pretrained)
    own_size = getattr(config, "img_size", None)
    height, width = _pair(own_size) if own_size else data["input_size"][1:]
    greyscale = (getattr(config, "in_chans", None) or data["input_size"][0]) == 1
    channels = slice(0, 1 if greyscale else 3)
    fields = {
        "height": height,
        "width": width,
        "mode": "greyscale" if greyscale else "rgb",
        "resize": None
        if data["crop_mode"] == "squash"
        else math.floor(min(height, width) / data["crop_pct"]),
        "interpolation": data["interpolation"],
        "mean": [float(value) for value in data["mean"][channels]],
        "std": [float(value) for value in data["std"][channels]],
    }
    labels = pretrained.get("label_names") or _labels_of_imagenet(pretrained)
    return fields | ({"labels": list(labels)} if labels else {})


def _pair(size: Any) -> tuple[int, int]:  # noqa: ANN401 - a number, or height and width
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _labels_of_imagenet(pretrained: dict[str, Any]) -> list[str]:
    """Return timm's descriptions, each with its WordNet id where two are alike, [] for what is no ImageNet."""
    subset = _data.infer_imagenet_subset(pretrained)
    if not subset:
        return []
    info = _data.ImageNetInfo(subset)
    described = info.label_descriptions()
    return [
        f"{text} ({name})" if described.count(text) > 1 else text
        for text, name in zip(described, info.label_names(), strict=True)
    ]


def find(name: str) -> TimmArchitecture:
    """Return the architecture `name`; raises UnknownArchitectureError with those that are called alike."""
    base, _, tag = name.partition(".")
    known = timm.list_models()
    if base not in known:
        raise UnknownArchitectureError(f"timm has no model {base!r}{close_names(base, known)}")
    tags = timm.models.list_pretrained(f"{base}.*") if tag else []
    if tag and name not in tags:
        raise UnknownArchitectureError(f"timm's {base} has no tag {tag!r}{close_names(name, tags)}")
    return library_architecture(
        TimmArchitecture, f"timm:{name}", timm.model_entrypoint(name), {"pretrained": False}
    )
