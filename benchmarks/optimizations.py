"""What each way to make a module faster gives on this machine's CPU, over plain eager inference.

    python -m benchmarks.optimizations                    # all three models, about five minutes
    python -m benchmarks.optimizations convnet --quick    # without what takes a compiler

A model, one thread, batches of 1, 4 and 32; the ways take turns, and figures are ratios of medians.
The last column is the largest difference from the eager module's answers.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from statehouse.handlers.optimizations import optimize
from statehouse.models import build_model

Call = Callable[[Tensor], Tensor]
Way = Callable[[nn.Module, Tensor], Call]
BATCHES = (1, 4, 32)
ROUNDS = 9
ROUND_SECONDS = 0.02
VOCABULARY, SEQUENCE = 8000, 64
SMALL = {"input_size": 784, "hidden_size": 256, "num_classes": 10}
PHOTO = {"in_channels": 3, "height": 128, "width": 128, "num_classes": 10, "channels": [16, 32, 32]}


class Encoder(nn.Module):
    """Two transformer layers of width 128 over 64 token ids."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True, dropout=0.0)
        self.embedding = nn.Embedding(VOCABULARY, 128)
        self.positions = nn.Parameter(torch.randn(SEQUENCE, 128) * 0.02)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(128, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (N, 4) of token ids (N, 64)."""
        logits: Tensor = self.head(self.layers(self.embedding(tokens) + self.positions).mean(1))
        return logits


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = {
    "784-256-10": (lambda: build_model("simple_net", SMALL), lambda count: torch.rand(count, 784)),
    "convnet": (lambda: build_model("convnet", PHOTO), lambda count: torch.rand(count, 3, 128, 128)),
    "encoder": (Encoder, lambda count: torch.randint(0, VOCABULARY, (count, SEQUENCE))),
}


def _two_threads(module: nn.Module, _: Tensor) -> Call:
    def call(rows: Tensor) -> Tensor:
        torch.set_num_threads(2)
        try:
            answer: Tensor = module(rows)
            return answer
        finally:
            torch.set_num_threads(1)

    return call


def _autocast(module: nn.Module, _: Tensor) -> Call:
    def call(rows: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer: Tensor = module(rows)
            return answer

    return call


def _int8(module: nn.Module, _: Tensor) -> Call:
    quantised: Call = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, dtype=torch.qint8)
    return quantised


def _compile(module: nn.Module, _: Tensor) -> Call:
    compiled: Call = torch.compile(module, dynamic=True)
    return compiled


def _ahead_of_time(module: nn.Module, rows: Tensor) -> Call:
    from torch._inductor import aoti_compile_and_package, aoti_load_package

    exported = torch.export.export(module, (rows,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    with tempfile.TemporaryDirectory() as folder:
        path = aoti_compile_and_package(
            exported, package_path=str(Path(folder, "module.pt2")), inductor_configs={"freezing": True}
        )
        loaded: Call = aoti_load_package(path)
    return loaded


WAYS: dict[str, Way] = {
    "eager": lambda module, _: module,
    "freeze": lambda module, rows: optimize(module, rows, ["freeze"]),
    "channels_last": lambda module, rows: optimize(module, rows, ["channels_last"]),
    "channels_last + freeze": lambda module, rows: optimize(module, rows, ["channels_last", "freeze"]),
    "conv + bn fused": lambda module, _: fuse(module),
    "bfloat16 autocast": _autocast,
    "bfloat16": lambda module, rows: optimize(module, rows, ["bfloat16"]),
    "bfloat16 + freeze": lambda module, rows: optimize(module, rows, ["bfloat16", "freeze"]),
    "int8 linear layers": _int8,
    "two threads": _two_threads,
    "torch.compile": _compile,
    "AOTInductor, frozen": _ahead_of_time,
}
NEED_A_COMPILER = ("torch.compile", "AOTInductor, frozen")


def main() -> None:
    """Print a table per model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--quick", action="store_true", help="without what takes a compiler")
    arguments = parser.parse_args()
    if unknown := set(arguments.models) - set(MODELS):
        parser.error(f"unknown {unknown}; expected some of {', '.join(MODELS)}")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    console = Console(width=140)
    for name in arguments.models or MODELS:
        ways = {way: build for way, build in WAYS.items() if not (arguments.quick and way in NEED_A_COMPILER)}
        console.print(table_of(name, ways))


def table_of(name: str, ways: dict[str, Way]) -> Table:
    """Build every way, time them in turn, and compare their answers with the eager module's."""
    torch.manual_seed(0)
    make, rows_of = MODELS[name]
    module = make().eval().requires_grad_(False)
    calls: dict[str, Call] = {}
    built: dict[str, str] = {}
    for way, build in ways.items():
        began = time.perf_counter()
        try:
            with torch.no_grad():
                call = build(copy.deepcopy(module), rows_of(3))
            with torch.inference_mode():
                for count in BATCHES:
                    call(rows_of(count))
            calls[way] = call
            built[way] = f"{time.perf_counter() - began:.1f} s"
        except Exception as error:  # noqa: BLE001 - a way that fails here is a line of the table
            built[way] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:60]}"
    with torch.inference_mode():
        medians = {count: medians_of(calls, rows_of(count)) for count in BATCHES}
        rows = rows_of(4)
        differences = {
            way: (call(rows).float() - module(rows)).abs().max().item() for way, call in calls.items()
        }
    table = Table("way", "built in", *(f"batch {count}" for count in BATCHES), "differs by", title=name)
    for way, cost in built.items():
        if way not in calls:
            table.add_row(way, cost)
            continue
        cells = [f"{medians[count]['eager'] / medians[count][way]:.2f} x" for count in BATCHES]
        if way == "eager":
            cells = [f"{medians[count][way] * 1e6:,.0f} µs" for count in BATCHES]
        table.add_row(way, cost, *cells, f"{differences[way]:.0e}")
    return table


def medians_of(calls: dict[str, Call], rows: Tensor) -> dict[str, float]:
    """Seconds of one call, per way."""
    times = max(1, round(ROUND_SECONDS / seconds_of(calls["eager"], rows, 3)))
    found: dict[str, list[float]] = {way: [] for way in calls}
    for _ in range(ROUNDS):
        for way, call in calls.items():
            found[way].append(seconds_of(call, rows, times))
    return {way: statistics.median(seconds) for way, seconds in found.items()}


def seconds_of(call: Call, rows: Tensor, times: int) -> float:
    """Seconds of one of so many calls."""
    began = time.perf_counter()
    for _ in range(times):
        call(rows)
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    main()
