"""A folder of checkpoints of one training run: the last, the best by a metric, and no more than that."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.errors import CheckpointError, KeeperError
from statehouse.models.storage.containers import read_container
from statehouse.models.training.keeper_state import KeeperSettings, KeeperState, Mode
from statehouse.models.training.resume import resume_training
from statehouse.models.training_state import Stateful, TrainingState, one_number, parse_training

_FILE = re.compile(r"step-(\d{8,})\.pt")
_UNFINISHED = re.compile(r"\.step-\d{8,}\.pt\.[0-9a-f]{8}\.tmp")  # what a killed save leaves


@dataclass(frozen=True)
class Saved:
    """What `CheckpointKeeper.save` did: `improved` is whether the metric counts as better than before."""

    path: Path
    improved: bool
    removed: tuple[Path, ...]


class CheckpointKeeper:
    """Saves a run's checkpoints as `folder/step-00000100.pt`; keeps the last and the best, removes the rest.

        keeper = CheckpointKeeper("runs/digits", every=100, mode="max", keep_best=3, patience=5)
        state = keeper.resume(model, optimizer, scheduler=scheduler, order=order)  # None at the first start
        step = state.step if state else 0
        ...
            if keeper.is_due(step):
                keeper.save(model, step=step, metric=measure_accuracy(model), architecture="mlp", config=config,
                            optimizer=optimizer, scheduler=scheduler, order=order)
                if keeper.should_stop:
                    break

    What it remembers is in the checkpoints, so it finds it again after any end of the process, and a
    checkpoint and its memory are never of different steps. Only files that carry this keeper's mark are ever
    removed. A metric that is NaN is warned of, is never the best, and counts as no improvement.

    `resume`: False refuses a folder in which a run has stopped, which would otherwise be gone on with. `every`:
    steps between two saves; `mode`: whether "min" or "max" of the metric is better; `keep_best`: how
    many of the best stay beside the last; `patience`: after how many saves in a row without an improvement of
    more than `min_delta` `should_stop` is True, None for never.

    Raises:
        KeeperError: settings that make no sense, or another `mode` than the folder's checkpoints were kept by;
            without `resume`, a run that has stopped there.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        resume: bool = True,
        every: int = 1,
        mode: Mode = "min",
        keep_best: int = 1,
        patience: int | None = None,
        min_delta: float = 0.0,
    ) -> None:
        self.folder = Path(folder)
        self.every = every
        self.settings = KeeperSettings(mode, keep_best, patience, min_delta)
        self._refuse_settings()
        self._state = self._find_state() or KeeperState(mode)
        if self.last is not None and not resume:
            raise KeeperError(
                f"{self.folder}: has a run that stopped at step {self._state.last_step}; go on with it "
                "(resume=True; --resume where a script has it), or remove the folder to begin again"
            )
        if self._state.mode != mode:
            raise KeeperError(
                f"{self.folder}: its checkpoints were kept by the {self._state.mode} of a metric, and mode is "
                f"{mode!r} now; give mode={self._state.mode!r}, or another folder"
            )

    @property
    def last(self) -> Path | None:
        """The newest checkpoint."""
        return None if self._state.last_step is None else self._path(self._state.last_step)

    @property
    def best(self) -> Path | None:
        """The checkpoint with the best metric."""
        steps = self._state.best_steps(self.settings, self._state.kept)
        return self._path(steps[0]) if steps and self.settings.keep_best else None

    @property
    def best_metric(self) -> float | None:
        """The best metric so far."""
        return self._state.best

    @property
    def should_stop(self) -> bool:
        """Whether `patience` saves in a row brought no improvement."""
        return self.settings.patience is not None and self._state.waited >= self.settings.patience

    def is_due(self, step: int) -> bool:
        """Whether step `step`, counted from 1, is one to save at."""
        return step % self.every == 0

    def resume(
        self,
        model: nn.Module,
        optimizer: Stateful,
        *,
        scheduler: Stateful | None = None,
        scaler: Stateful | None = None,
        order: Stateful | None = None,
    ) -> TrainingState | None:
        """Go on from the last checkpoint, as `resume_training` does, and raise what it raises; None without one."""
        if self.last is None:
            return None
        return resume_training(self.last, model, optimizer, scheduler=scheduler, scaler=scaler, order=order)

    def save(
        self,
        model: nn.Module,
        *,
        step: int,
        metric: float | Tensor | None = None,
        **fields: Any,  # noqa: ANN401
    ) -> Saved:
        """Save the checkpoint of step `step`, then remove those that are neither best nor last.

        `fields` are further arguments of `save_checkpoint`, which raises as it says; then nothing is removed.

        Raises:
            KeeperError: the step is not after the last, the file is somebody else's, or another run saves here.
        """
        path = self._path(step)
        self._refuse_step(step, path)
        value = one_number("metric", metric)
        if value is not None and math.isnan(value):
            warnings.warn(f"the metric of step {step} is NaN: counted as no improvement", stacklevel=2)
        state = self._state.after(step, value, self.settings)
        save_checkpoint(
            path, model, step=step, best_metric=state.best, keeper_state=state.to_plain(), **fields
        )
        improved = value is not None and not math.isnan(value) and state.waited == 0
        self._state = state
        return Saved(path, improved, tuple(self._remove(keep=set(state.kept))))

    def clear(self) -> None:
        """Remove every checkpoint of this keeper, and the folder if nothing else is in it."""
        self._remove(keep=set())
        self._state = KeeperState(self.settings.mode)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _refuse_settings(self) -> None:
        settings = self.settings
        wrong = [
            f"every is {self.every}; expected at least 1" if self.every < 1 else "",
            f"mode is {settings.mode!r}; expected 'min' or 'max'"
            if settings.mode not in ("min", "max")
            else "",
            f"keep_best is {settings.keep_best}; expected at least 0" if settings.keep_best < 0 else "",
            f"patience is {settings.patience}; expected at least 1, or None"
            if settings.patience is not None and settings.patience < 1
            else "",
            f"min_delta is {settings.min_delta}; expected at least 0" if not settings.min_delta >= 0 else "",
        ]
        if any(wrong):
            raise KeeperError("; ".join(filter(None, wrong)))

    def _refuse_step(self, step: int, path: Path) -> None:
        last = self._state.last_step
        if last is not None and step <= last:
            raise KeeperError(
                f"{self.folder}: step {step} is not after {last}, the last one here; resume from it, clear() "
                "the folder, or keep another run in another folder"
            )
        others = {number for number, file in self._files() if self._is_own(file)} - self._state.kept.keys()
        newer = [number for number in others if last is None or number > last]
        if newer:
            raise KeeperError(
                f"{self.folder}: step {max(newer)} was saved here by another process of the same run; one at a time"
            )
        if path.exists():
            raise KeeperError(f"{path}: is there and was not written by this keeper; move it away")

    def _find_state(self) -> KeeperState | None:
        """Return the state in the newest checkpoint that a keeper wrote, without what is gone meanwhile."""
        files = sorted(self._files(), reverse=True)
        for _, file in files:
            state = _state_in(file)
            if state is not None:
                there = {step: metric for step, metric in state.kept.items() if self._path(step).exists()}
                return KeeperState(**{**vars(state), "kept": there})
        return None

    def _files(self) -> Iterator[tuple[int, Path]]:
        for file in self.folder.glob("step-*.pt"):
            found = _FILE.fullmatch(file.name)
            if found and file.is_file() and not file.is_symlink():
                yield int(found[1]), file

    def _is_own(self, file: Path) -> bool:
        state = _state_in(file)
        return state is not None and state.id == self._state.id

    def _remove(self, keep: set[int]) -> list[Path]:
        removed = [file for step, file in self._files() if step not in keep and self._is_own(file)]
        unfinished = [file for file in self.folder.glob(".step-*.tmp") if _UNFINISHED.fullmatch(file.name)]
        for file in (*removed, *unfinished):
            file.unlink(missing_ok=True)
        return removed

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08}.pt"


def _state_in(file: Path) -> KeeperState | None:
    """Return what a keeper remembered when it wrote `file`; None, with a warning if it is damaged, for others."""
    try:
        _, held = read_container(file, "cpu")
        training = parse_training(held) if isinstance(held, dict) else None
        state = training.keeper_state if training else None
        return None if state is None else KeeperState.from_plain(state)
    except CheckpointError as error:
        warnings.warn(f"{file}: is left alone: {error}", stacklevel=2)
        return None
