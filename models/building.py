"""From tensors to a module that is ready to serve, without spending time on initial values."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from statehouse.models.architecture import build_model
from statehouse.models.errors import ArchitectureConfigError, ArchitectureError
from statehouse.models.tensors.state_dict import (
    StateDictReport,
    apply,
    fit,
    made_of,
    of_this_version,
    refuse_unless_ok,
)
from statehouse.models.tensors.ties import tie, tied_names

CHECKED_ELEMENTS = 1 << 20  # at once


def build_for_serving(
    architecture: str,
    config: Mapping[str, Any],
    state_dict: Mapping[str, Tensor],
    *,
    device: torch.device,
    strict: bool = True,
) -> tuple[nn.Module, StateDictReport]:
    """Build the module around the tensors of `state_dict`: in eval mode, on `device`, without gradients.

    With `strict` the tensors themselves become the parameters, not copies of them. Without it, what does not
    fit stays at its initial value and is in the report.

    Raises:
        StateDictError: with `strict`, when anything does not fit.
        ArchitectureError: the module cannot be built, or is incomplete once its tensors are loaded.
    """
    if strict:
        module, report = _build_around(architecture, config, state_dict)
    else:
        module = build_model(architecture, config)
        report = apply(module, state_dict, strict=False)
    module.to(device).eval().requires_grad_(False)
    _refuse_meta(architecture, module)
    return module, report


def _build_around(
    architecture: str, config: Mapping[str, Any], state_dict: Mapping[str, Tensor]
) -> tuple[nn.Module, StateDictReport]:
    module = build_without_values(architecture, config)
    ties = tied_names(module)
    fitting, report = fit(module, state_dict)
    refuse_unless_ok(report, module)
    tensors = of_this_version(module, {**made_of(module, report), **fitting})
    module.load_state_dict(tensors, strict=True, assign=True)
    tie(module, ties)  # assigning gave every name a parameter of its own
    _refuse_meta(architecture, module)
    return module, report


def build_without_values(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Build the module with its parameters on the meta device, where it lets that be, and its buffers real.

    torch's random numbers stay as they are: saving in the middle of a training run must not change the run.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with parameters_on_meta():
                return build_model(architecture, config)
        except (
            ArchitectureConfigError
        ):  # some use their parameters while they are built, as torchvision's SSD does
            return build_model(architecture, config)


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Inside, every parameter that this thread gives a module is on the meta device: no memory, no values.

    Not `torch.device("meta")`, which would take the buffers too: those that are not in the state_dict
    (`persistent=False`) would stay there, and strict=True would not notice.
    """
    thread = threading.get_ident()

    def move(_module: nn.Module, _name: str, parameter: nn.Parameter) -> nn.Parameter | None:
        if threading.get_ident() != thread or parameter.is_meta or nn.parameter.is_lazy(parameter):
            return None
        return _meta_twin(parameter)

    handle = register_module_parameter_registration_hook(move)  # type: ignore[arg-type]  # may return one
    try:
        yield
    finally:
        handle.remove()


def _meta_twin(parameter: nn.Parameter) -> nn.Parameter:
    """Return the same twin each time, so that weights tied in the module stay tied."""
    twin = parameter.__dict__.get("_meta_twin")
    if not isinstance(twin, nn.Parameter):
        twin = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        twin.__dict__.update(parameter.__dict__)
        parameter.__dict__["_meta_twin"] = twin
    return twin


def _refuse_meta(architecture: str, module: nn.Module) -> None:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    empty = [name for name, tensor in tensors if tensor.is_meta]
    if empty:
        raise ArchitectureError(
            f"architecture {architecture!r} left {', '.join(empty)} without values: a buffer that is not "
            "saved must be computed from the config, not from parameters; or register it as persistent"
        )


def non_finite_parameters(module: nn.Module) -> list[str]:
    """Name the parameters that hold NaN or an infinity, and the buffers that hold NaN.

    Buffers may be infinite: masks are.
    """
    parameters = [f"parameter {name}" for name, value in module.named_parameters() if not _is_finite(value)]
    return parameters + [f"buffer {name}" for name, value in module.named_buffers() if _has_nan(value)]


def _is_finite(value: Tensor) -> bool:
    return all(bool(torch.isfinite(part).all()) for part in _parts(value))


def _has_nan(value: Tensor) -> bool:
    return any(bool(torch.isnan(part).any()) for part in _parts(value))


def _parts(value: Tensor) -> Iterator[Tensor]:
    """Yield the elements in parts: a test of all at once would take several times their memory."""
    flat = value.detach().reshape(-1)
    return (_comparable(part) for part in torch.split(flat, CHECKED_ELEMENTS))


def _comparable(value: Tensor) -> Tensor:
    """Return what torch can test: it has no `isfinite` for elements of 8 bits."""
    return value.float() if value.is_floating_point() and value.itemsize == 1 else value
