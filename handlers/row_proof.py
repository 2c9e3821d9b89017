"""The proof that an answer is its row's alone: whatever shares the batch, in whatever order, however often.

A module that looks across its batch (a softmax over axis 0, an LSTM that takes the batch for time), that keeps state
between calls, or that draws at random answers every golden example right as long as that is asked alone.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
import torch
from numpy.typing import NDArray

from statehouse.handlers.errors import DependentRowsError
from statehouse.handlers.golden import compare
from statehouse.handlers.pipeline.batch import is_out_of_memory

# Golden examples may be the same one several times, or one alone: made rows are among them always.
MOST_ROWS, LEAST_ROWS, MADE_ROWS = 8, 4, 2
# How far an output may be from that of its row alone, as a share of the largest output: kernels for other batch sizes
# add the same products up in another order. Measured on a CPU in batches of up to 32, over the built-in networks and
# torchvision's ResNets and MobileNetV2: at most 4e-15, 1e-6, 4e-4 and 3e-3.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
# On a GPU float32 convolutions round to TF32, of 10 bits, and their kernels go by the batch. Not measured.
CUDA_FLOAT32_TOLERANCE = 5e-3
MOST_SHOWN = 4

OVER_CALLS = (
    "usual causes: dropout that does not stop (F.dropout without training=self.training), noise, "
    "state that forward() keeps between calls"
)
OVER_ROWS = (
    "usual causes: softmax, mean or another reduction over axis 0, batch norm without running statistics, an LSTM, "
    "GRU or attention layer without batch_first=True"
)
WAY_OUT = (
    "mend forward(); where the rows of a batch cannot be computed together, or are meant to have a part in each "
    "other's answers, say "
    "rows_per_batch: 1 in the task's config (--task-config '{\"rows_per_batch\": 1}'), and each row is computed alone"
)


class Rowwise(Protocol):
    """What is proved: a handler, between its decoding and its answers."""

    computed_in: torch.dtype
    device: torch.device

    def preprocess(self, rows: NDArray[Any]) -> Any:  # noqa: ANN401 - as `TaskSteps`
        """Rows to the module's input."""

    def inference(self, inputs: Any) -> Any:  # noqa: ANN401
        """The module's input to its output."""

    def postprocess(self, outputs: Any) -> Any:  # noqa: ANN401
        """The module's output to answers."""

    def row_answers(self, outputs: Any) -> list[Any]:  # noqa: ANN401
        """One JSON object per row."""


@dataclass
class RowProof:
    """How the rows were tried, and the most that an output was off, as a share of the largest one."""

    rows: int
    tolerance: float
    sizes: list[int] = field(default_factory=list)
    largest_difference: float = 0.0
    out_of_time: bool = False
    out_of_memory: bool = False

    def told(self) -> str:
        """Return it as people read it."""
        ways = ["again", "together", "in reverse"]
        if self.sizes:
            ways.append(f"in batches of {', '.join(map(str, self.sizes))}")
        lacked = "time" if self.out_of_time else "memory" if self.out_of_memory else None
        ended = f"; there was no {lacked} for larger ones" if lacked else ""
        return (
            f"{self.rows} rows answered alike alone, {', '.join(ways)}{ended} "
            f"(largest difference {self.largest_difference:.1g}, {self.tolerance:g} allowed)"
        )


class Answers(NamedTuple):
    """What some rows got: the module's numbers (rows, …), where they are such, and a JSON object each."""

    numbers: NDArray[np.float64] | None
    documents: list[Any]

    def of(self, place: int) -> "Answers":
        """Those of one row."""
        numbers = None if self.numbers is None else self.numbers[place]
        return Answers(numbers, [self.documents[place]])


def prove_rows(
    handler: Rowwise,
    rows: NDArray[Any],
    sizes: Iterable[int],
    *,
    bound_seconds: float,
) -> RowProof:
    """Compute `rows` (at least two, different ones) in every company, and compare each with itself alone.

    `sizes` are the batch sizes that will be used. Once alone and once together is always tried; beyond that, nothing
    is begun after `bound_seconds`.

    Raises:
        DependentRowsError: the rows that differ, by how much, and the usual causes.
    """
    return _Proof(handler, rows[:MOST_ROWS], bound_seconds).run(sizes)


def tolerance_of(dtype: torch.dtype, device: torch.device) -> float:
    """Return what share of the largest output rows may differ by."""
    tolerance = TOLERANCES.get(dtype, TOLERANCES[torch.float32])
    if device.type == "cuda" and dtype == torch.float32:
        return CUDA_FLOAT32_TOLERANCE
    return tolerance


class _Proof:
    def __init__(self, handler: Rowwise, rows: NDArray[Any], bound_seconds: float) -> None:
        self._handler = handler
        self._rows = rows
        self._deadline = time.monotonic() + bound_seconds
        self._proof = RowProof(len(rows), tolerance_of(handler.computed_in, handler.device))

    def run(self, sizes: Iterable[int]) -> RowProof:
        everyone = list(range(len(self._rows)))
        self._alone = [self._compute([place]).of(0) for place in everyone]
        self._scale = _largest(self._alone)
        for place in everyone if self._in_time() else everyone[:1]:
            self._try([place], "alone once more", OVER_CALLS)
        try:
            self._try(everyone, f"with {len(everyone) - 1} others", OVER_ROWS)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise DependentRowsError(
                f"there is no memory to compute {len(everyone)} rows at once:", [WAY_OUT]
            ) from error
        if self._in_time():
            self._try(everyone[::-1], "in reverse order", OVER_ROWS)
        self._try_sizes(sizes)
        return self._proof

    def _try_sizes(self, sizes: Iterable[int]) -> None:
        for size in sorted({size for size in sizes if size > 1}):
            if not self._in_time():
                self._proof.out_of_time = True
                break
            places = [place % len(self._rows) for place in range(size)]
            try:
                self._try(places, f"in a batch of {size}", OVER_ROWS)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._proof.out_of_memory = True  # that many at once cannot be served here either
                break
            self._proof.sizes.append(size)

    def _in_time(self) -> bool:
        return time.monotonic() < self._deadline

    def _try(self, places: Sequence[int], company: str, causes: str) -> None:
        try:
            answers = self._compute(places)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            told = f"row {places[0] + 1}, {company}: the module raised {type(error).__name__}: {error}"
            raise DependentRowsError("an answer depends on more than its row:", [told, WAY_OUT]) from error
        problems = list(self._differences(places, answers, company))
        if problems:
            more = len(problems) - MOST_SHOWN
            shown = problems[:MOST_SHOWN] + ([f"and {more} more"] if more > 0 else [])
            raise DependentRowsError("an answer depends on more than its row:", [*shown, causes, WAY_OUT])

    def _compute(self, places: Sequence[int]) -> Answers:
        rows = self._rows[list(places)]  # a copy: the module may change what it gets
        inputs = self._handler.preprocess(rows)
        outputs = self._handler.inference(inputs)
        numbers = None
        if isinstance(outputs, torch.Tensor) and not outputs.is_complex():
            numbers = outputs.detach().to("cpu", torch.float64).numpy().copy()
        answers = self._handler.row_answers(self._handler.postprocess(outputs))
        return Answers(numbers, orjson.loads(orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY)))

    def _differences(self, places: Sequence[int], answers: Answers, company: str) -> Iterator[str]:
        for index, place in enumerate(places):
            alone, here = self._alone[place], answers.of(index)
            told = f"row {place + 1} of {len(self._rows)}, {company}"
            if (
                alone.numbers is not None
                and here.numbers is not None
                and alone.numbers.shape == here.numbers.shape
            ):
                share = _share(alone.numbers, here.numbers, self._scale)
                if share > self._proof.tolerance:
                    allowed = f"{self._proof.tolerance:g} is allowed"
                    yield f"{told}: its outputs are off by {share:.2g} of the largest; {allowed}"
                else:
                    self._proof.largest_difference = max(self._proof.largest_difference, share)
                continue
            found = compare(alone.documents, here.documents, self._proof.tolerance)
            if found:
                yield f"{told}: {found[0]}"


def _largest(answers: Sequence[Answers]) -> float:
    """The largest of the finite outputs, what differences are measured by."""
    finite = [each.numbers[np.isfinite(each.numbers)] for each in answers if each.numbers is not None]
    return max((float(np.abs(each).max()) for each in finite if each.size), default=0.0)


def _share(one: NDArray[np.float64], other: NDArray[np.float64], scale: float) -> float:
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    finite = np.isfinite(one)
    difference = float(np.abs(one[finite] - other[finite]).max(initial=0.0))
    return difference / scale if scale else difference
