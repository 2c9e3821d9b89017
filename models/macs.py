"""How much a module computes: counted and not timed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

FLOPS_PER_MAC = 2


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """As torch's FlopCounterMode, which counts by module as well: that imports eight hundred modules, for seconds."""

    flops = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - the operator
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        output = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=output)
        return output


def count_macs(run: Callable[[], object]) -> int:
    """Return the multiply-accumulate operations of what `run` computes: matrix products, convolutions, attention.

    `run` must not be in inference mode, where operators are not taken apart into those that torch has a formula for.
    """
    with torch.no_grad(), _unfused(), _Counter() as counter:  # type: ignore[no-untyped-call]
        run()
    return int(counter.flops) // FLOPS_PER_MAC


@contextmanager
def _unfused() -> Iterator[None]:
    """Without the operators that are a whole layer each, recurrent ones and an encoder's: they have no formula."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a flag for Intel's GPUs, which is set along
            with torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
