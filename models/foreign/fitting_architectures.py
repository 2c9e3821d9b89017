"""Which of the registered architectures the tensors of a file fit, whatever library it is of: by names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statehouse.models.architecture import get_architecture, list_architectures
from statehouse.models.foreign.inferred_config import infer_config
from statehouse.models.foreign.probing import Probe
from statehouse.models.tensors.tensor_info import TensorInfo


def fitting_architectures(tensors: Mapping[str, TensorInfo]) -> dict[str, dict[str, Any]]:
    """Return the registered architectures that have just these names and shapes, each with what the shapes decide."""
    found: dict[str, dict[str, Any]] = {}
    for name in list_architectures():
        try:
            config = infer_config(name, {}, tensors).config
            architecture = get_architecture(name)
            if Probe(architecture, tensors).fits(config):
                fields = architecture.config_class.model_fields
                found[name] = {field: config[field] for field in fields if field in config}
        except Exception:  # noqa: BLE001, S112 - a module of anybody's may raise anything; it is none that fits
            continue
    return found
