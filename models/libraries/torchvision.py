"""`torchvision:<name>`: the models that torchvision lists, without weights.

Their config is the keyword arguments of torchvision's own function: `{"num_classes": 10}`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, Field
from torch import Tensor, nn

from statehouse.models.architecture import Adapted, KnownTask, WeightsFile
from statehouse.models.errors import UnknownArchitectureError
from statehouse.models.libraries.builder import LibraryArchitecture, library_architecture
from statehouse.models.libraries.close_names import close_names
from statehouse.models.libraries.torchvision_operators import import_torchvision
from statehouse.models.tensors.tensor_info import TensorInfo

torchvision = import_torchvision()

from statehouse.models.libraries.torchvision_loading import (  # noqa: E402
    EPSILON,
    SETTINGS,
    LoadSetting,
    set_epsilon,
    written,
)

# As in torchvision/models/densenet.py, whose loader can be called on a download alone: "denselayer1.norm.1.weight".
OLD_DENSE_LAYER = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class TorchvisionArchitecture(LibraryArchitecture):
    """One of torchvision's models, with what torchvision says of the weights that it has published for it."""

    def arguments(self, config: BaseModel) -> dict[str, Any]:
        """Return what torchvision's function is called with: all but the field that is ours."""
        return {name: value for name, value in super().arguments(config).items() if name != EPSILON}

    def build(self, config: BaseModel) -> nn.Module:
        """Build the module, its batch norms with the epsilon of the config where that has one."""
        module = super().build(config)
        if EPSILON in config.model_fields_set:
            set_epsilon(module, getattr(config, EPSILON))
        return module

    def adapt(self, config: BaseModel, tensors: Mapping[str, TensorInfo], file: WeightsFile) -> Adapted:
        """Return what torchvision sets when it loads this file, where that is one of its own."""
        setting = self._open_setting(config)
        value = setting.value_for(file.sha256()) if setting else None
        if setting is None or value is None:
            return Adapted()
        note = f"{setting.field}: {written(value)}, as torchvision loads this file of its own, by its SHA-256"
        return Adapted({setting.field: value}, notes=(note,))

    def loader_names(
        self, module: nn.Module, given: Mapping[str, Tensor | TensorInfo]
    ) -> Mapping[str, str | None]:
        """Return the names that torchvision's DenseNets were published under, where `module` has today's."""
        expected = module.state_dict().keys()
        today = {old: OLD_DENSE_LAYER.sub(r"\1\2", old) for old in given if OLD_DENSE_LAYER.match(old)}
        return {old: new for old, new in today.items() if new in expected and new not in given}

    def unsaid(self, config: BaseModel, tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
        """Return what torchvision may have set when it loaded the weights that the training began with."""
        setting = self._open_setting(config)
        told = setting.unsaid(tensors) if setting else None
        return (told,) if told else ()

    def _open_setting(self, config: BaseModel) -> LoadSetting | None:
        setting = SETTINGS.get(self.name.partition(":")[2])
        return setting if setting and setting.field not in config.model_fields_set else None

    def known_task(self, task: str, config: BaseModel, file: WeightsFile) -> KnownTask | None:
        """Return preprocessing, and labels where the classes are as many, of the weights that the file has.

        Their names end with how their files' SHA-256 begins; where none fits the first weights count.
        """
        known = self.known_weights()
        if not known:
            return None
        own = next((each for each in known if file.sha256().startswith(_digest_start(each.url))), None)
        chosen = own or known[0]
        labels = list(chosen.meta["categories"])
        fields = _fields(task, chosen.transforms())
        if fields is None:
            return None
        if size := getattr(config, "image_size", None) if "image_size" in config.model_fields_set else None:
            fields = {**fields, "height": size, "width": size, "resize": size}
        told = f"torchvision's {chosen}"
        if own is not None:
            return KnownTask({**fields, "labels": labels}, f"{told}, whose SHA-256 this file has")
        if self.class_count(config) == len(labels):
            return KnownTask({**fields, "labels": labels}, f"{told}, as there are its {len(labels)} classes")
        return KnownTask(fields, f"{told}, the preprocessing alone")

    def class_count(self, config: BaseModel) -> int | None:
        """Return the `num_classes` that the config gives, or else that torchvision's weights have."""
        known = self.known_weights()
        return super().class_count(config) or (len(known[0].meta["categories"]) if known else None)

    def known_weights(self) -> list[Any]:
        """Return the weights that torchvision has published, with names of classes, in its order."""
        name = self.name.partition(":")[2]
        return [each for each in torchvision.models.get_model_weights(name) if "categories" in each.meta]


def _digest_start(url: str) -> str:
    return url.rpartition("-")[2].partition(".")[0]


def _fields(task: str, preset: Any) -> dict[str, Any] | None:  # noqa: ANN401 - one of torchvision's presets
    """Return the fields that `task` has of a preset, None where the preset is for something else."""
    if task == "image_classification" and type(preset).__name__ == "ImageClassification":
        [size], [resize] = preset.crop_size, preset.resize_size
        return {
            "height": size,
            "width": size,
            "mode": "rgb",
            "resize": resize,
            "interpolation": preset.interpolation.value,
            "mean": list(preset.mean),
            "std": list(preset.std),
        }
    if task == "object_detection" and type(preset).__name__ == "ObjectDetection":
        return {}
    if task == "image_segmentation" and type(preset).__name__ == "SemanticSegmentation":
        [resize] = preset.resize_size
        return {"resize": resize, "mean": list(preset.mean), "std": list(preset.std)}
    return None


def find(name: str) -> TorchvisionArchitecture:
    """Return the architecture `name`; raises UnknownArchitectureError with those that are called alike."""
    known = torchvision.models.list_models()
    if name not in known:
        raise UnknownArchitectureError(f"torchvision has no model {name!r}{close_names(name, known)}")
    function = torchvision.models.get_model_builder(name)
    # A detection model would otherwise download its backbone.
    fixed = {each: None for each in inspect.signature(function).parameters if each.startswith("weights")}
    setting = SETTINGS.get(name)
    own: dict[str, Any] = {}
    if setting and setting.field == EPSILON:
        own[EPSILON] = (Annotated[float, Field(ge=0)], 1e-5)
    if get_type_hints(function).get("return") is torchvision.models.VisionTransformer:
        own["image_size"] = (Annotated[int, Field(gt=0)], 224)  # which the function takes out of **kwargs
    return library_architecture(TorchvisionArchitecture, f"torchvision:{name}", function, fixed, own)
