"""`transformers:<task class>`: text encoders of Hugging Face transformers, without weights.

The task class is one of `AutoModel…` below; with `model_type` it names one class of transformers' own. The config is
a Hugging Face config (config.json) as data. What it says of remote code is refused, and nothing is ever downloaded.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal, get_args

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, model_serializer, model_validator
from torch import Tensor, nn

from statehouse.models.architecture import Adapted, Architecture, WeightsFile
from statehouse.models.building import parameters_on_meta
from statehouse.models.derived_config import ArchitectureConfig
from statehouse.models.errors import UnknownArchitectureError
from statehouse.models.libraries.torchvision_operators import import_torchvision
from statehouse.models.plain import suggestion
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.models.tensors.translated_names import names_by_ending

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, which is below
if importlib.util.find_spec("torchvision"):
    import_torchvision()  # transformers imports it, and would fail where its operators do not load

import transformers
import transformers.modeling_utils  # all its classes do; now rather than at their first use, as workers are forks
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

transformers.logging.set_verbosity_error()

TASK_CLASSES: Mapping[str, Mapping[str, Any]] = {
    "AutoModel": modeling_auto.MODEL_MAPPING_NAMES,
    "AutoModelForSequenceClassification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "AutoModelForTokenClassification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "AutoModelForMaskedLM": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
}
ModelType = Literal[
    "albert",
    "bert",
    "camembert",
    "convbert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "mobilebert",
    "modernbert",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "squeezebert",
    "xlm-roberta",
    "xlm-roberta-xl",
]
Dtype = Literal["float32", "float16", "bfloat16"]
DTYPES = get_args(Dtype)
# What another program noted of itself: it changes nothing of the module, so it has no part in the digest.
NOTES = frozenset({"_name_or_path", "architectures", "transformers_version", "use_cache"})
REMOTE_CODE = ("auto_map", "trust_remote_code", "custom_pipelines")
ATTENTIONS = (None, "eager", "sdpa")


class TransformersConfig(ArchitectureConfig):
    """A Hugging Face config. Of its own `add_pooling_layer`: whether an `AutoModel` has one, where its class asks."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue]
    model_type: ModelType
    dtype: Dtype = "float32"
    add_pooling_layer: bool = True

    @model_validator(mode="before")
    @classmethod
    def _without_notes(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        if problems := _refused(data):
            raise ValueError("; ".join(problems))
        plain = {key: value for key, value in data.items() if key not in NOTES and value is not None}
        if "torch_dtype" in plain:  # its name before transformers 5
            plain.setdefault("dtype", plain.pop("torch_dtype"))
        return plain

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        return self.given

    @property
    def given(self) -> dict[str, Any]:
        """Every field, those that only transformers knows included."""
        own = {
            "model_type": self.model_type,
            "dtype": self.dtype,
            "add_pooling_layer": self.add_pooling_layer,
        }
        return own | self.__pydantic_extra__


def _refused(data: Mapping[str, Any]) -> list[str]:
    """Say what in a config is never followed: code from elsewhere, and weights in forms that are not read."""
    problems = [
        f"{key} names code of its own, and remote code is never run; expected a class of transformers itself"
        for key in REMOTE_CODE
        if data.get(key)
    ]
    if data.get("quantization_config"):
        problems.append("quantization_config: quantised weights are not read; expected float tensors")
    problems += [
        f"{key} is {data[key]!r}; expected 'eager' or 'sdpa', which need no code from elsewhere"
        for key in ("attn_implementation", "_attn_implementation")
        if data.get(key) not in ATTENTIONS
    ]
    return problems


class TransformersArchitecture(Architecture):
    """A task class of transformers; the config names the class that is built."""

    def arguments(self, config: BaseModel) -> dict[str, Any]:
        """Return the whole config."""
        assert isinstance(config, TransformersConfig)  # noqa: S101 - config_class says so
        return config.given

    def adapt(self, config: BaseModel, tensors: Mapping[str, TensorInfo], file: WeightsFile) -> Adapted:
        """Return the dtype that the tensors have, whether there is a pooling layer, and what transformers skips."""
        module = self._skeleton(config)
        rules = (*_base_model_rules(module, tensors), *_ignored_rules(module, tensors))
        floats = {info.dtype for info in tensors.values() if info.dtype in DTYPES}
        changes: dict[str, Any] = {"dtype": floats.pop()} if len(floats) == 1 else {}
        if not any("pooler." in name for name in tensors):
            changes["add_pooling_layer"] = False
        return Adapted(changes, rules)

    def loader_names(
        self, module: nn.Module, given: Mapping[str, Tensor | TensorInfo]
    ) -> Mapping[str, str | None]:
        """Return the names of layer norms as they came from TensorFlow, which transformers renames."""
        endings = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
        return names_by_ending(endings, module.state_dict().keys(), given)

    def _skeleton(self, config: BaseModel) -> Any:  # noqa: ANN401 - a module of transformers
        with parameters_on_meta(), torch.random.fork_rng(devices=[]):
            return self.build(config)

    @property
    def source_digest(self) -> None:
        """None: `library` says which version it is of."""
        return


def find(name: str) -> Architecture:
    """Return the architecture of a task class; raises UnknownArchitectureError with those that there are."""
    if name not in TASK_CLASSES:
        raise UnknownArchitectureError(
            f"transformers:{name} is not one that is built here{suggestion(name, list(TASK_CLASSES))}"
        )

    def build(*, model_type: str, dtype: str, add_pooling_layer: bool, **fields: JsonValue) -> nn.Module:
        module_class = class_of(name, model_type)
        config = CONFIG_MAPPING[model_type](**fields, dtype=dtype)
        asked = "add_pooling_layer" in inspect.signature(module_class.__init__).parameters
        chosen = {"add_pooling_layer": add_pooling_layer} if asked else {}
        module: nn.Module = module_class._from_config(config, **chosen)
        return module

    build.__qualname__ = f"transformers.{name}"
    return TransformersArchitecture(
        f"transformers:{name}", build, TransformersConfig, library=f"transformers {version('transformers')}"
    )


def _base_model_rules(module: Any, tensors: Mapping[str, TensorInfo]) -> list[str]:  # noqa: ANN401
    """Return rules that take the encoder out of a file that has a head on it, which `AutoModel` has not."""
    prefix = f"{module.base_model_prefix}."
    if hasattr(module, module.base_model_prefix) or not any(name.startswith(prefix) for name in tensors):
        return []
    heads = sorted({name.partition(".")[0] for name in tensors if not name.startswith(prefix)})
    return [*(f"{re.escape(head)}(\\..*)?=" for head in heads), f"{re.escape(prefix)}(.*)=\\1"]


def _ignored_rules(module: Any, tensors: Mapping[str, TensorInfo]) -> list[str]:  # noqa: ANN401
    """Return rules that leave out what transformers itself skips where the module has no such tensor.

    Its `from_pretrained` adds the two of buffers to the module's own patterns, as is done here.
    """
    buffers = [name for name, _ in module.named_buffers()]
    own = sorted(module._keys_to_ignore_on_load_unexpected or ())
    skipped = [f".*({pattern}).*" for pattern in own]
    skipped += [
        rf"(.*\.)?{buffer}"
        for buffer in (r"position_ids", r"rotary_emb\.inv_freq")
        if any(re.fullmatch(rf"(.*\.)?{buffer}", name) for name in buffers)
    ]
    unexpected = [name for name in tensors if name not in module.state_dict()]
    return [f"{rule}=" for rule in skipped if any(re.fullmatch(rule, name) for name in unexpected)]


def class_of(task_class: str, model_type: str) -> Any:  # noqa: ANN401 - a class of transformers
    """Return transformers' own class; raises ValueError where this model type has none for the task."""
    named = TASK_CLASSES[task_class].get(model_type)
    if not isinstance(named, str):
        raise ValueError(f"model_type {model_type!r} has no {task_class}")  # noqa: TRY004 - it is no wrong type
    return getattr(transformers, named)
