"""A function of a library that builds modules, as an architecture whose config is its keyword arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError
from torch import nn

from statehouse.models.architecture import Architecture
from statehouse.models.derived_config import ArchitectureConfig

# Arguments that fetch weights, read files or choose a device: all that is the checkpoint's affair.
LOADING_ARGUMENTS = frozenset(
    {
        "weights",
        "weights_backbone",
        "pretrained",
        "pretrained_backbone",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "cache_dir",
        "progress",
        "device",
        "dtype",
    }
)


class LibraryConfig(ArchitectureConfig):
    """Keyword arguments for a library's function; what is not given stays the library's own affair.

    So its dump has the given ones alone: some functions refuse, or override, the defaults of the class they build.
    """

    loading_arguments: ClassVar[frozenset[str]] = LOADING_ARGUMENTS

    @model_validator(mode="before")
    @classmethod
    def _loads_nothing(cls, data: object) -> object:
        refused = sorted(cls.loading_arguments & set(data)) if isinstance(data, dict) else []
        if refused:
            raise ValueError(
                f"{', '.join(refused)}: leave it out; weights and their dtype come from the checkpoint alone"
            )
        return data

    @model_serializer
    def _dump_what_was_given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class OpenLibraryConfig(LibraryConfig):
    """For functions that hand on arguments which no signature names: building the module checks those."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue]


@dataclass(frozen=True)
class LibraryArchitecture(Architecture):
    """A recipe of a library: `builder(**config)` with the given arguments alone."""

    def arguments(self, config: BaseModel) -> dict[str, Any]:
        """Return what the builder is called with."""
        return {name: getattr(config, name) for name in config.model_fields_set}

    def class_count(self, config: BaseModel) -> int | None:
        """Return the `num_classes` that a config gives, None where that is left to the library."""
        count = getattr(config, "num_classes", None) if "num_classes" in config.model_fields_set else None
        return count if isinstance(count, int) else None

    @property
    def source_digest(self) -> None:
        """None: `library` says which version it is of."""
        return


Kind = TypeVar("Kind", bound=LibraryArchitecture)


def library_architecture(
    kind: type[Kind],
    name: str,
    function: Callable[..., nn.Module],
    fixed: Mapping[str, Any],
    own_fields: Mapping[str, Any] = MappingProxyType({}),
) -> Kind:
    """Make the architecture `name`, "library:name", of `function`, which is always called with `fixed` as well.

    Its config has the arguments of the function, and of the class that it says to return, which plain data can give.
    `own_fields` are those of `kind` itself, which it does not hand on: type and default by name.
    """
    fields: dict[str, Any] = dict(own_fields)
    is_open = False
    for parameter, annotation in _parameters(function):
        if parameter.kind is parameter.VAR_KEYWORD:
            is_open = True
        elif parameter.name not in LOADING_ARGUMENTS and (plain := _plain_type(annotation)) is not None:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields.setdefault(parameter.name, (Annotated[plain, WrapValidator(_or_as_tuples)], default))
    base = OpenLibraryConfig if is_open else LibraryConfig
    config = create_model(f"{function.__name__}_config", __base__=base, **fields)

    def build(**arguments: Any) -> nn.Module:  # noqa: ANN401 - the config has checked them
        return function(**fixed, **arguments)

    build.__qualname__ = f"{function.__module__}.{function.__qualname__}"
    distribution = name.partition(":")[0]
    return kind(name, build, config, library=f"{distribution} {version(distribution)}")


def _parameters(function: Callable[..., nn.Module]) -> Iterator[tuple[inspect.Parameter, object]]:
    """Yield the function's optional parameters, then those of the class it returns, each with its type.

    Of that class the required ones are what the function itself gives. `**kwargs` is yielded where nothing says
    what goes there.
    """
    hints = _hints(function)
    given_on = False
    for parameter in inspect.signature(function).parameters.values():
        given_on = given_on or parameter.kind is parameter.VAR_KEYWORD
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            yield parameter, hints.get(parameter.name, inspect.Parameter.empty)
    if given_on:
        yield from _parameters_of_class(hints.get("return"))


def _parameters_of_class(kind: object) -> Iterator[tuple[inspect.Parameter, object]]:
    """Go up through the classes whose `__init__` hands `**kwargs` on; the last one names all that it takes."""
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        yield inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD), object
        return
    for create in (vars(cls)["__init__"] for cls in kind.__mro__ if "__init__" in vars(cls)):
        hints, parameters = _hints(create), inspect.signature(create).parameters.values()
        for parameter in parameters:
            if parameter.default is not parameter.empty:
                yield parameter, hints.get(parameter.name, inspect.Parameter.empty)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return


def _or_as_tuples(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Read a list as the tuple that an argument may be: JSON has lists alone."""
    try:
        return validate(value)
    except ValidationError:
        if not isinstance(value, list):
            raise
    return validate(_as_tuple(value))


def _as_tuple(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_as_tuple(each) if isinstance(each, list) else each for each in value)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError):  # a name that only a type checker sees
        return {}


def _plain_type(annotation: Any) -> Any:  # noqa: ANN401 - a type, or what stands for one
    """Return the type that a config's field has, None where plain data cannot give such an argument."""
    if annotation in (inspect.Parameter.empty, Any):
        return JsonValue
    try:
        TypeAdapter(annotation).json_schema()
    except (
        PydanticInvalidForJsonSchema,
        PydanticSchemaGenerationError,
        PydanticSerializationError,
        PydanticUserError,
        NameError,
        TypeError,
    ):
        return None
    return annotation
