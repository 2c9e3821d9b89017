"""Architectures by name: one registration makes an `nn.Module` buildable from plain data."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from torch import Tensor, nn

from statehouse.models.architecture_import import import_architectures
from statehouse.models.derived_config import ArchitectureConfig, derive_config
from statehouse.models.errors import (
    ArchitectureConfigError,
    ArchitectureRegistrationError,
    UnknownArchitectureError,
)
from statehouse.models.plain import suggestion, validate_plain
from statehouse.models.tensors.tensor_info import TensorInfo

__all__ = [
    "Architecture",
    "ArchitectureConfig",
    "KnownTask",
    "WeightsFile",
    "build_model",
    "get_architecture",
    "import_architectures",
    "list_architectures",
    "register_architecture",
    "validate_config",
]

# Digests of built-in files as they were before their imports began with `statehouse`: nothing else changed.
_SAME_SOURCES = {
    "8924de93e05b1848898a7f2aa73d48b1ff3d353a4741a28541ce3700d820e12f": "convnet",
    "0b5a805aacdb577c2faa1f13f861b2ed4d5e779e005325ca3bbf3dcb3d3f5602": "mlp",
    "4bad6eaa7262c8714ff86673c33e0515b6e3baa5aa58f774aec3fd195bb26e10": "simple_net",
    "93dcfdbc71669510932d03ebcdb62c3dfb4fcabe7f882f61ed0521dd88d4a879": "text_bag",
}
_BUILT_IN = "statehouse.models.architectures."

ModuleClass = TypeVar("ModuleClass", bound=type[nn.Module])
InputShape = Callable[[Any], tuple[int, ...]]


@dataclass(frozen=True)
class KnownTask:
    """What a library says of its own weights: fields of a task's config, and in `source` whose they are."""

    fields: Mapping[str, Any]
    source: str


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights by what tells it from others: its `sha256()`, and what is said beside it."""

    sha256: Callable[[], str]
    said: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Adapted:
    """What a foreign file needs: config fields to change, rules for its tensors' names, and lines that tell of it.

    Rules are as `models/foreign/renaming.py` has them.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """A named recipe: `builder(**config)`.

    `input_shape(config)` is the shape of one row, without the batch; None where it is not known. `library` is what
    it comes from and in which version, "torchvision 0.28.0"; None for the built-in ones and people's own.
    """

    name: str
    builder: Callable[..., nn.Module]
    config_class: type[BaseModel]
    input_shape: InputShape | None = None
    library: str | None = None

    @property
    def source_digest(self) -> str | None:
        """SHA-256 of the file that defines the module, None for a class that was not read from a file."""
        try:
            source = inspect.getsourcefile(self.builder)
        except TypeError:  # a class typed into an interpreter
            return None
        if source is None or not Path(source).is_file():
            return None
        return hashlib.sha256(Path(source).read_bytes()).hexdigest()

    def has_source(self, digest: str | None) -> bool:
        """Whether the module is still defined as in a file of this digest, as a manifest has it."""
        if digest is not None and f"{_BUILT_IN}{_SAME_SOURCES.get(digest)}" == self.builder.__module__:
            return True
        return digest == self.source_digest

    def arguments(self, config: BaseModel) -> dict[str, Any]:
        """Return what the builder is called with."""
        return {name: getattr(config, name) for name in type(config).model_fields}

    def adapt(self, config: BaseModel, tensors: Mapping[str, TensorInfo], file: WeightsFile) -> Adapted:
        """Return what a foreign file with these tensors needs; a library may read its own otherwise than by name."""
        return Adapted()

    def loader_names(
        self, module: nn.Module, given: Mapping[str, Tensor | TensorInfo]
    ) -> Mapping[str, str | None]:
        """Return the names, old → new, that the library's loader changes before `module` sees them; None: left out."""
        return {}

    def unsaid(self, config: BaseModel, tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
        """Return what changes the answers and neither config nor tensors say, a line each, with the way to say it."""
        return ()

    def class_count(self, config: BaseModel) -> int | None:
        """Return how many classes the module tells apart, None where that is not known beforehand."""
        return None

    def known_task(self, task: str, config: BaseModel, file: WeightsFile) -> KnownTask | None:
        """Return what is known of `task` with this file of weights of this architecture."""
        return None

    def build(self, config: BaseModel) -> nn.Module:
        """Build the module; an error of its own `__init__` becomes an ArchitectureConfigError."""
        try:
            return self.builder(**self.arguments(config))
        except Exception as error:  # the module is somebody's own: it may raise anything
            raise ArchitectureConfigError(
                f"architecture {self.name!r} cannot be built with config {config.model_dump(mode='json')}:",
                [f"{_called(self.builder)} raised {type(error).__name__}: {error}"],
            ) from error


def _called(builder: Callable[..., nn.Module]) -> str:
    return f"{builder.__qualname__}.__init__" if isinstance(builder, type) else builder.__qualname__


_ARCHITECTURES: dict[str, Architecture] = {}


def register_architecture(
    name: str,
    *,
    config: type[BaseModel] | None = None,
    input_shape: InputShape | None = None,
) -> Callable[[ModuleClass], ModuleClass]:
    """Register the decorated `nn.Module` under `name`.

    Without `config`, a strict config is derived from the annotated signature of `__init__`. The module is
    always built by keyword, one argument per field.

    Raises:
        ArchitectureRegistrationError: the name is taken, or no config can be derived.
    """

    def register(module_class: ModuleClass) -> ModuleClass:
        _refuse_name(name, module_class)
        config_class = _strict(name, config) if config else derive_config(name, module_class)
        _ARCHITECTURES[name] = Architecture(name, module_class, config_class, input_shape)
        return module_class

    return register


def _refuse_name(name: str, module_class: type[nn.Module]) -> None:
    if ":" in name:
        raise ArchitectureRegistrationError(
            f"architecture {name!r}: names with a colon are those of libraries, as in 'torchvision:resnet18'; "
            "leave it out"
        )
    known = _ARCHITECTURES.get(name)
    if known is None:
        return
    first, second = (f"{cls.__module__}.{cls.__qualname__}" for cls in (known.builder, module_class))
    if first != second:  # the same class again is a module that was imported again
        raise ArchitectureRegistrationError(
            f"architecture {name!r} is {first} already; register {second} under another name"
        )


def _strict(name: str, config: type[BaseModel]) -> type[BaseModel]:
    if config.model_config.get("extra") != "forbid":
        raise ArchitectureRegistrationError(
            f"config {config.__qualname__} of architecture {name!r} would let unknown fields pass; "
            "derive it from statehouse.models.ArchitectureConfig, or set model_config = ConfigDict(extra='forbid')"
        )
    return config


def get_architecture(name: str) -> Architecture:
    """Return the architecture `name`, which is a registered one, or `library:name` of a library.

    Raises:
        UnknownArchitectureError: there is none; it lists the known ones.
        LibraryMissingError, LibraryBrokenError: its library cannot be imported here.
    """
    if ":" in name:
        found: Architecture = importlib.import_module("statehouse.models.libraries").find(name)
        return found
    known = list_architectures()
    if name not in known:
        raise UnknownArchitectureError(
            f"unknown architecture {name!r}{suggestion(name, known)}; or a library's, like 'torchvision:resnet18'; "
            "name the module that registers your own under `architectures`"
        )
    return _ARCHITECTURES[name]


def list_architectures() -> list[str]:
    """Return the names of all registered architectures, sorted; those of libraries are not among them."""
    importlib.import_module("statehouse.models.architectures")  # lazily: the built-in ones import this module
    return sorted(_ARCHITECTURES)


def registered() -> dict[str, Architecture]:
    """Return what is registered now, by name."""
    return dict(_ARCHITECTURES)


def forget_architectures(which: Callable[[Callable[..., nn.Module]], bool]) -> None:
    """Take back the registration of those whose builder is one of `which`."""
    for name in [name for name, each in _ARCHITECTURES.items() if which(each.builder)]:
        del _ARCHITECTURES[name]


def validate_config(name: str, config: Mapping[str, Any]) -> BaseModel:
    """Return `config` typed; `.model_dump(mode="json")` of it is the full, normalised plain data.

    Raises:
        UnknownArchitectureError: no architecture has this name; or as `get_architecture`.
        ArchitectureConfigError: wrong, missing or unknown fields; all of them are listed.
    """
    typed, problems = validate_plain(get_architecture(name).config_class, config)
    if typed is None:
        raise ArchitectureConfigError(f"the config does not fit architecture {name!r}:", problems)
    return typed


def build_model(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Build architecture `name` with its usual initial values; raises as `validate_config` does."""
    return get_architecture(name).build(validate_config(name, config))
