"""The config of a registered class that brings none: derived from the signature of its `__init__`."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from torch import nn

from statehouse.models.errors import ArchitectureRegistrationError, KindRegistrationError

BaseT = TypeVar("BaseT", bound=BaseModel)
_TAKES_NOTHING = (nn.Module.__init__, object.__init__)  # of a class without an __init__ of its own


class ArchitectureConfig(BaseModel):
    """What all architecture configs share: no unknown fields, no NaN, no change after reading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


def derive_config(name: str, module_class: type[nn.Module]) -> type[BaseModel]:
    """Return a strict config with one field per parameter of `module_class.__init__`.

    Raises:
        ArchitectureRegistrationError: parameters without annotation, `*args`, or types that plain data
            cannot give; all of them are listed.
    """
    config, problems = _derived(module_class, ArchitectureConfig)
    if config is None:
        raise ArchitectureRegistrationError(
            f"no config can be derived for architecture {name!r} from {module_class.__qualname__}.__init__; "
            "annotate it with plain types, or pass config=…:\n  " + "\n  ".join(problems)
        )
    return config


def derive_kind_config(name: str, kind: type, base: type[BaseT]) -> type[BaseT]:
    """Return `base` with one more field per parameter of `kind.__init__`.

    Raises:
        KindRegistrationError: as `derive_config` raises its own error.
    """
    config, problems = _derived(kind, base)
    if config is None:
        raise KindRegistrationError(
            f"no config can be derived for kind {name!r} from {kind.__qualname__}.__init__; "
            "annotate it with plain types:\n  " + "\n  ".join(problems)
        )
    return config


def _derived(made: type, base: type[BaseT]) -> tuple[type[BaseT] | None, list[str]]:
    """Return the config, or None and every reason why there is none."""
    parameters = _parameters(made)
    try:
        hints = get_type_hints(_init(made), include_extras=True)
    except NameError as error:
        return None, [f"an annotation cannot be resolved: {error}"]
    problems = [problem for parameter in parameters if (problem := _problem(parameter, hints))]
    if problems:
        return None, problems
    fields: dict[str, Any] = {
        p.name: (hints[p.name], ... if p.default is p.empty else p.default) for p in parameters
    }
    try:
        return create_model(f"{made.__name__}Config", __base__=base, **fields), []
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        return None, [f"a parameter is not plain data: {str(error).splitlines()[0]}"]


def _init(made: type) -> Any:  # noqa: ANN401 - a function, which mypy lets nobody take from a class
    return getattr(made, "__init__")  # noqa: B009


def _parameters(made: type) -> list[inspect.Parameter]:
    return (
        [] if _init(made) in _TAKES_NOTHING else list(inspect.signature(_init(made)).parameters.values())[1:]
    )


def _problem(parameter: inspect.Parameter, hints: dict[str, Any]) -> str | None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return f"{parameter}: cannot be a config field; name every parameter"
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return f"{parameter.name}: is positional-only; the object is built by keyword"
    if parameter.name not in hints:
        return f"{parameter.name}: has no annotation; write for example `{parameter.name}: int`"
    return None
