"""A module made faster on this machine's CPU, as its deployment asks, and proved like any other.

What is built here lives in the worker alone: nothing is written, and nothing is read that somebody else may have
written. docs/performance.md has what each gives, and what was left out because it gave less.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning
from torch.overrides import TorchFunctionMode

from statehouse.handlers.errors import OptimizationError
from statehouse.handlers.worker.settings import Optimization

CHECKED_ROWS = 3
# Of what gives Python something else than tensors: these tell kinds, which are the same for all rows, and sizes, of
# which the tracer knows itself.
TELL_NO_NUMBERS = frozenset(
    {
        "dim",
        "ndimension",
        "is_floating_point",
        "is_complex",
        "element_size",
        "__get__",
        "size",
        "numel",
        "__len__",
    }
)
RUNS_TO_SETTLE = 3  # TorchScript watches the first runs, and specialises by what it saw
# Most keep the numbers' type: other kernels add the same products up in another order, no more. For float16
# and bfloat16 that order is worth their own precision.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
# What is computed in bfloat16, of 8 significant bits, errs by a share of the largest number that was added up.
BFLOAT16_SHARE = 5e-2


def optimize(
    module: nn.Module, examples: Tensor | list[Tensor], optimizations: Sequence[Optimization]
) -> nn.Module:
    """Return what to call instead of `module`, which is in eval mode; `examples` are three different rows for it.

    It takes batches of any size, and has answered the first row, two and three as `module` does. The module's
    weights are copied: they are this worker's own, no longer shared with others.

    Raises:
        OptimizationError: one of them cannot be had here, or changes the answers.
    """
    if not isinstance(examples, Tensor):
        raise OptimizationError(
            f"optimizations {list(optimizations)} are for modules that take one tensor, and this one takes images of "
            "different sizes; leave them out of the deployment"
        )
    if examples.device.type != "cpu":
        raise OptimizationError(
            f"optimizations {list(optimizations)} are for CPUs, and this worker serves on {examples.device}; "
            "leave them out of the deployment"
        )
    optimized = module
    with torch.inference_mode():
        expected = [module(examples[:count]) for count in range(1, CHECKED_ROWS + 1)]
        for name in ("bfloat16", "channels_last", "freeze"):  # what is frozen can be changed no more
            if name in optimizations:
                optimized = _apply(name, optimized, examples)
        for answer in expected * RUNS_TO_SETTLE:
            _check(optimized, examples[: len(answer)], answer, optimizations)
    return optimized


def _apply(name: Optimization, module: nn.Module, examples: Tensor) -> nn.Module:
    builders: dict[Optimization, Callable[[nn.Module, Tensor], nn.Module]] = {
        "bfloat16": lambda module, _: InBfloat16(module).eval(),
        "channels_last": _channels_last,
        "freeze": _freeze,
    }
    try:
        return builders[name](module, examples)
    except OptimizationError:
        raise
    except Exception as error:  # TorchScript refuses by whatever it stumbles over
        raise OptimizationError(
            f"optimization {name!r} cannot be applied to this module ({type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0][:200]}); leave it out of the deployment"
        ) from error


class InBfloat16(nn.Module):
    """Gives `module`, whose numbers become bfloat16, its own such, and its answer as it was asked."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.dtype = next((each.dtype for each in module.parameters() if each.is_floating_point()), None)
        self.module = module.bfloat16()

    def forward(self, rows: Tensor) -> Tensor:
        """Return what the module answers."""
        answer: Tensor = self.module(rows.bfloat16() if rows.is_floating_point() else rows)
        return answer.to(self.dtype) if answer.is_floating_point() and self.dtype is not None else answer


class ChannelsLast(nn.Module):
    """Gives `module` its images with the channels of one pixel side by side, as its weights are."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        """Return what the module answers."""
        answer: Tensor = self.module(images.contiguous(memory_format=torch.channels_last))
        return answer


def _channels_last(module: nn.Module, examples: Tensor) -> nn.Module:
    if examples.ndim != 4:
        raise OptimizationError(
            f"optimization 'channels_last' needs images (batch, channels, height, width), and this module takes "
            f"{list(examples.shape)}; leave it out of the deployment"
        )
    layout: torch.memory_format = torch.channels_last
    return ChannelsLast(module.to(memory_format=layout)).eval()  # type: ignore[call-overload]  # torch's stub lacks it


class _Watched(TorchFunctionMode):
    """Notes which functions tell Python something of a tensor's numbers, of which the tracer may warn or not.

    What the module then does is recorded as it was for these rows: `torch.equal(a, b)` is True for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401 - as torch has it
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        answer = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", str(func))
        if name not in TELL_NO_NUMBERS and _is_told_to_python(answer):
            self.told.add(name)
        return answer


def _is_told_to_python(answer: object) -> bool:
    if isinstance(answer, list | tuple) and not isinstance(answer, torch.Size):  # sizes are recorded as such
        return any(map(_is_told_to_python, answer))
    return isinstance(answer, bool | int | float | complex)


def _freeze(module: nn.Module, examples: Tensor) -> nn.Module:
    """Record the operations on two rows, fold what is constant, and let oneDNN lay out the weights.

    What the tracer warns of it records as it was for these rows, which would be wrong for others.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with _Watched() as watched:  # not as it is recorded: being watched, some modules go another way
            module(examples[:2])
        traced = torch.jit.trace(module, examples[:2], check_trace=False)  # type: ignore[no-untyped-call]
        frozen: nn.Module = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    # Others are no news: that tracing is deprecated for torch.compile, which is slower here.
    decides = [each for each in warned if issubclass(each.category, TracerWarning)]
    places = ", ".join(
        [*(f"{each.filename}:{each.lineno}" for each in decides[:3]), *sorted(watched.told)[:3]]
    )
    if places:
        raise OptimizationError(
            f"optimization 'freeze' cannot be applied: the module decides in Python by what it is given "
            f"({places}), which cannot be recorded; leave it out of the deployment"
        )
    return frozen


def _check(module: nn.Module, rows: Tensor, expected: Tensor, optimizations: Sequence[Optimization]) -> None:
    """Raise OptimizationError unless `module` answers `rows` as expected."""
    asked = f"optimizations {list(optimizations)}"
    try:
        relative, absolute = _tolerance(expected, optimizations)
        torch.testing.assert_close(module(rows), expected, rtol=relative, atol=absolute, equal_nan=True)
    except (RuntimeError, AssertionError, TypeError) as error:
        said = " ".join(str(error).split())[:300]
        raise OptimizationError(
            f"with {asked} the module does not answer {len(rows)} rows as without ({said}); "
            "leave them out of the deployment"
        ) from error


def _tolerance(expected: Tensor, optimizations: Sequence[Optimization]) -> tuple[float, float]:
    """How far answers may be from those expected: relative to each, and absolute."""
    near = TOLERANCES.get(expected.dtype, 0.0)
    if "bfloat16" not in optimizations or not expected.is_floating_point():
        return near, near
    largest = expected[expected.isfinite()].abs().max() if expected.isfinite().any() else 0.0
    return near, max(near, BFLOAT16_SHARE * float(largest))
