"""The config of an architecture that brings none: derived from the signature of its `__init__`."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from torch import nn

from statehouse.models.errors import ArchitectureRegistrationError


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
    parameters = _parameters(module_class)
    try:
        hints = get_type_hints(module_class.__init__, include_extras=True)
    except NameError as error:
        raise _refusal(name, module_class, [f"an annotation cannot be resolved: {error}"]) from error
    problems = [problem for parameter in parameters if (problem := _problem(parameter, hints))]
    if problems:
        raise _refusal(name, module_class, problems)
    fields = {p.name: (hints[p.name], ... if p.default is p.empty else p.default) for p in parameters}
    return _create(name, module_class, fields)


def _parameters(module_class: type[nn.Module]) -> list[inspect.Parameter]:
    if module_class.__init__ is nn.Module.__init__:  # a module without an __init__ of its own takes nothing
        return []
    return list(inspect.signature(module_class.__init__).parameters.values())[1:]


def _problem(parameter: inspect.Parameter, hints: dict[str, Any]) -> str | None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return f"{parameter}: cannot be a config field; name every parameter"
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return f"{parameter.name}: is positional-only; the module is built by keyword"
    if parameter.name not in hints:
        return f"{parameter.name}: has no annotation; write for example `{parameter.name}: int`"
    return None


def _create(name: str, module_class: type[nn.Module], fields: dict[str, Any]) -> type[BaseModel]:
    try:
        return create_model(f"{module_class.__name__}Config", __base__=ArchitectureConfig, **fields)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        reason = str(error).splitlines()[0]
        raise _refusal(name, module_class, [f"a parameter is not plain data: {reason}"]) from error


def _refusal(name: str, module_class: type, problems: list[str]) -> ArchitectureRegistrationError:
    return ArchitectureRegistrationError(
        f"no config can be derived for architecture {name!r} from {module_class.__qualname__}.__init__; "
        "annotate it with plain types, or pass config=…:\n  " + "\n  ".join(problems)
    )
