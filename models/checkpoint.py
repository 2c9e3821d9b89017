"""A checkpoint: one file with tensors, and the plain data that says how to rebuild and use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from statehouse.models.architecture import validate_config
from statehouse.models.building import build_for_serving, build_without_values
from statehouse.models.digest import compute_digest
from statehouse.models.errors import (
    CheckpointContentError,
    CheckpointUnreadableError,
    TrainingStateError,
    listed,
)
from statehouse.models.example import Example
from statehouse.models.foreign.adaptation import adapt
from statehouse.models.foreign.forms import FORMAT_VERSION_KEY, Parts, take_apart
from statehouse.models.foreign.held_labels import held_labels
from statehouse.models.foreign.reading import AS_IT_IS, Reading
from statehouse.models.foreign.weights import Weights
from statehouse.models.header import (
    FORMAT_VERSION,
    CheckpointHeader,
    complete,
    describe_as,
    read_fields,
    refuse_problems,
)
from statehouse.models.plain import plain_problems
from statehouse.models.plain_metadata import as_plain
from statehouse.models.storage.files import container_of
from statehouse.models.storage.plainness import quantised, unserved
from statehouse.models.storage.shards import damaged_bytes, read_files, write_files
from statehouse.models.tasks.registry import Task
from statehouse.models.tensors.state_dict import StateDictReport, apply, describe, fit, refuse_unless_ok
from statehouse.models.tensors.storable import storable_tensors
from statehouse.models.training_state import OneOrSeveral, Stateful, TrainingState, capture_training

__all__ = [
    "Checkpoint",
    "CheckpointHeader",
    "describe_as",
    "examine_checkpoint",
    "load_checkpoint",
    "read_checkpoint_header",
    "save_checkpoint",
    "verify_records",
]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read; on a CPU its tensors are the mapped file, shared with other processes."""

    header: CheckpointHeader
    state_dict: Mapping[str, Tensor]  # by names without wrapper prefixes
    training: TrainingState | None
    device: torch.device

    def build(self, *, strict: bool = True) -> nn.Module:
        """Return the module ready to serve: in eval mode, without gradients, on the checkpoint's device.

        Raises:
            StateDictError: with `strict`, when a tensor is missing, unexpected, of wrong shape or dtype.
            CheckpointContentError: the architecture is not known; see `described_as`.
            ArchitectureError: the architecture cannot be built.
        """
        return self.build_with_report(strict=strict)[0]

    def build_with_report(self, *, strict: bool = True) -> tuple[nn.Module, StateDictReport]:
        """Do as `build` does, and say what fitted; `report.at_initial_value` names what was not loaded."""
        if self.header.architecture is None:
            raise CheckpointContentError(
                f"{self.header.path}: does not say what to build:",
                ["architecture: is missing; give load_checkpoint(…, architecture=…, config=…)"],
            )
        config = self.header.config or {}
        return build_for_serving(
            self.header.architecture, config, self.state_dict, device=self.device, strict=strict
        )

    def load_into(self, module: nn.Module, *, strict: bool = True) -> StateDictReport:
        """Copy the tensors into a module of yours, for example to go on training it; wrapped ones too.

        Raises:
            StateDictError: with `strict`, when anything does not fit; nothing is copied then.
        """
        return apply(module, self.state_dict, strict=strict)

    def described_as(
        self,
        *,
        architecture: str | None = None,
        config: Mapping[str, Any] | None = None,
        task: Task | None = None,
    ) -> Checkpoint:
        """Return the checkpoint completed as `describe_as` completes its header; raises the same."""
        header = describe_as(self.header, architecture=architecture, config=config, task=task)
        return replace(self, header=header).as_declared()

    def as_declared(self) -> Checkpoint:
        """Make a foreign file's tensors what its architecture declares, once that is known; see `adapt`."""
        if not self.header.is_foreign or self.header.architecture is None:
            return self
        state_dict, notes = adapt(self.header.architecture, self.header.config or {}, self.state_dict)
        new = [note for note in notes if note not in self.header.notes]
        header = replace(self.header, notes=(*self.header.notes, *new), tensors=describe(state_dict))
        return replace(self, header=header, state_dict=state_dict)

    def digest(self) -> str:
        """Return the SHA-256 that is this model's identity; `compute_digest` says over which bytes."""
        return _digest(self.header, self.state_dict)


def load_checkpoint(
    path: str | Path,
    *,
    map_location: str | torch.device = "cpu",
    architecture: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: Task | None = None,
    rename: Sequence[str] = (),
    weights: Weights | None = None,
    from_key: str | None = None,
    ignore: Sequence[str] = (),
) -> Checkpoint:
    r"""Read the checkpoint at `path` onto the device `map_location`, whichever device it was saved on.

    `architecture`, `config` and `task` complete a foreign file, as `describe_as` says. `rename` has rules for
    its tensors' names, `PATTERN=REPLACEMENT` each, applied in turn: `r"encoder\.(.*)=backbone.\1"`. Of a file
    that has both a model's weights and their moving average, `weights` "model" or "ema" says which; without it
    the average is taken. `from_key` is where in the file the weights are (`generator`, `state.model`), where that is
    not plain; `ignore` has patterns of names that are left out. The header's `notes` say how a foreign file was read.

    Raises:
        CheckpointNotFoundError: there is no file.
        CheckpointUnreadableError: it is empty, cut short, damaged, or no checkpoint.
        CheckpointUnsafeError: it is a program, a TorchScript archive.
        CheckpointContentError: what it says is wrong; every problem is listed.
    """
    checkpoint, problems = examine_checkpoint(
        path,
        Reading(tuple(rename), weights, from_key, tuple(ignore)),
        map_location=map_location,
        architecture=architecture,
        config=config,
        task=task,
    )
    refuse_problems(checkpoint.header.path, problems)
    return checkpoint


def examine_checkpoint(
    path: str | Path,
    reading: Reading = AS_IT_IS,
    *,
    map_location: str | torch.device = "cpu",
    architecture: str | None = None,
    config: Mapping[str, Any] | None = None,
    task: Task | None = None,
    as_declared: bool = True,
) -> tuple[Checkpoint, list[str]]:
    """Do as `load_checkpoint` does, and return what is wrong with its content instead of raising it.

    Without `as_declared` the tensors are as the file and the rules leave them.
    """
    device = torch.device(map_location)
    header, parts, problems = _read(Path(path), device, reading)
    header, more = complete(header, architecture=architecture, config=config, task=task)
    checkpoint = Checkpoint(header, parts.state_dict, parts.training, device)
    exact = as_declared and not problems and not more
    return checkpoint.as_declared() if exact else checkpoint, problems + more


def read_checkpoint_header(path: str | Path) -> CheckpointHeader:
    """Read everything but the bytes of the tensors; raises as `load_checkpoint` does.

    The architecture need not be registered here, so its config is as stored, unchecked.
    """
    header, _, problems = _read(Path(path), torch.device("cpu"))
    refuse_problems(header.path, problems)
    return header


def verify_records(path: str | Path) -> None:
    """Read every byte and compare it with what the file says of itself, which loading does not do.

    Of `.pt` that is each record's CRC-32; of both containers the digest, where `save_checkpoint` stored one and
    what it covers can be read. What is wrong with the content is for `load_checkpoint` to say.

    Raises:
        CheckpointUnreadableError: bytes have changed since the file was written.
        CheckpointError: the file cannot be read at all.
    """
    header, parts, problems = _read(Path(path), torch.device("cpu"))
    damage = damaged_bytes(header.path, header.files) if header.container == "pt" else []
    if header.stored_digest is not None and not problems:
        actual = _digest(header, parts.state_dict)
        if actual != header.stored_digest:
            damage.append(f"digest: the file says {header.stored_digest}, its content gives {actual}")
    if damage:
        raise CheckpointUnreadableError(
            listed(f"{path}: has changed since it was written; copy or save it again:", damage)
        )


def _read(
    path: Path, device: torch.device, reading: Reading = AS_IT_IS
) -> tuple[CheckpointHeader, Parts, list[str]]:
    found = read_files(path, device)
    try:
        parts = take_apart(found.path, found.held, reading)
    except CheckpointContentError as error:
        if told := quantised(found.held):
            raise CheckpointContentError(
                f"{found.path}: its weights cannot be served as they are:", told
            ) from error
        raise
    header, problems = read_fields(found.path, found.container, parts)
    labels = held_labels(found.held) if header.is_foreign else None
    notes = (*found.notes, *header.notes, *([labels.note()] if labels else []))
    header = replace(
        header, files=found.files, labels=labels, notes=notes, modules=parts.modules, reading=reading
    )
    odd = [] if device.type == "meta" else unserved(parts.state_dict)  # who asks for no values gets none
    return header, parts, [*parts.problems, *odd, *problems]


def _digest(header: CheckpointHeader, state_dict: Mapping[str, Tensor]) -> str:
    return compute_digest(
        architecture=header.architecture,
        config=header.config,
        task=header.task.task if header.task else None,
        task_config=header.task.to_plain() if header.task else None,
        state_dict=state_dict,
    )


def save_checkpoint(
    path: str | Path,
    model: nn.Module | Mapping[str, Tensor],
    *,
    architecture: str,
    config: Mapping[str, Any],
    task: Task | None = None,
    metadata: Mapping[str, Any] | None = None,
    examples: Sequence[Example] = (),
    optimizer: OneOrSeveral | None = None,
    scheduler: OneOrSeveral | None = None,
    scaler: OneOrSeveral | None = None,
    order: Stateful | None = None,
    epoch: int | None = None,
    step: int | None = None,
    loss: float | Tensor | None = None,
    best_metric: float | Tensor | None = None,
    rng_state: bool | None = None,
    keeper_state: Mapping[str, Any] | None = None,
    max_shard_bytes: int | None = None,
) -> Path:
    """Write a module, or its state_dict, as a checkpoint that describes itself; return the path.

        save_checkpoint(
            "prices.pt",
            model,
            architecture="mlp",
            config={"input_size": 2, "hidden_sizes": [16], "output_size": 1},
            task=TabularTask(
                kind="regression",
                features=[NumericFeature(name="area", mean=81.0, std=25.0), NumericFeature(name="rooms")],
                target_mean=210_000.0,
                target_std=90_000.0,
            ),
            examples=[Example(content_type="application/json", body=b'{"inputs": {"area": 70, "rooms": 3}}')],
        )

    The suffix names the container: `.pt`, `.pth`, `.ckpt` or `.safetensors`. The file appears whole or not at
    all; one that was there stays until then.

    `architecture` is a registered name and `config` its arguments: together they rebuild the module. `task`
    says what an endpoint does with it: TensorTask, TabularTask, ImageClassificationTask … `examples` are
    requests as clients send them; a published version must answer each of them the same from then on.
    `metadata` is what you want to keep beside it (accuracy, data set, `torch.__version__`); NumPy's numbers, paths,
    times, enums and dataclasses are written as plain data. `optimizer`, `scheduler`, `scaler` (a gradient scaler;
    of each also several, by name: `{"generator": …, "critic": …}`), `order` (a BatchOrder, or anything with a
    state_dict that says where the data stands), `epoch`, `step`, `loss` and `best_metric` are for `resume_training`;
    the random generators are saved with an optimizer unless `rng_state` says otherwise. `keeper_state` is a
    CheckpointKeeper's.

    With `max_shard_bytes` a `.safetensors` checkpoint that is larger becomes several files and an index, which is
    then what is returned and loaded: `prices.safetensors.index.json`.

    Raises:
        ArchitectureError, StateDictError: architecture and config do not give this module.
        CheckpointContentError: a task, examples, metadata or tensors that cannot be stored; all are listed.
        TrainingStateError: training state that is not plain, or that `.safetensors` has no place for.
    """
    path = Path(path)
    _refuse_untyped(path, task, examples)
    training = capture_training(
        model,
        optimizer=optimizer,
        scheduler=scheduler,
        scaler=scaler,
        order=order,
        epoch=epoch,
        step=step,
        loss=loss,
        best_metric=best_metric,
        rng_state=rng_state,
        keeper_state=keeper_state,
    )
    if training and container_of(path) == "safetensors":
        raise TrainingStateError(
            f"{path}: .safetensors has no place for {', '.join(training)}; save as .pt, or leave them out"
        )
    full_config = validate_config(architecture, config).model_dump(mode="json")
    tensors = storable_tensors(path, model)
    skeleton = build_without_values(architecture, full_config)
    refuse_unless_ok(fit(skeleton, tensors)[1], skeleton)
    plain = _plain(path, architecture, full_config, task, metadata or {}, examples)
    plain["digest"] = compute_digest(
        architecture=architecture,
        config=full_config,
        task=plain["task"],
        task_config=plain["task_config"],
        state_dict=tensors,
    )
    return write_files(path, tensors, plain | training, max_shard_bytes=max_shard_bytes)


def _refuse_untyped(path: Path, task: object, examples: Sequence[object]) -> None:
    """Refuse what a type checker would: scripts that train are rarely checked."""
    problems = [
        f"examples[{index}]: is a {type(example).__name__}; expected Example(content_type=…, body=…)"
        for index, example in enumerate(examples)
        if not isinstance(example, Example)
    ]
    if task is not None and not isinstance(task, Task):
        kinds = ", ".join(kind.__name__ for kind in get_args(Task))
        problems.append(f"task: is a {type(task).__name__}; expected one of {kinds}, like TensorTask()")
    if problems:
        raise CheckpointContentError(f"{path}: cannot be saved:", problems)


def _plain(
    path: Path,
    architecture: str,
    config: dict[str, Any],
    task: Task | None,
    metadata: Mapping[str, Any],
    examples: Sequence[Example],
) -> dict[str, Any]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"created": created, "torch_version": torch.__version__, **metadata}
    plain = {
        "architecture": architecture,
        "model_config": config,
        "task": task.task if task else None,
        "task_config": task.to_plain() if task else None,
        "metadata": as_plain({**about, FORMAT_VERSION_KEY: FORMAT_VERSION}),
        "examples": [example.to_plain() for example in examples],
    }
    if problems := plain_problems(plain):
        raise CheckpointContentError(f"{path}: only plain data can be saved:", problems)
    return plain
