"""Every error that `models` raises, and the root of the errors of the whole product.

StatehouseError
├── ProblemsError                  several problems, reported at once (.problems)
│   ├── CheckpointContentError     (also a CheckpointError)
│   ├── ResumeError                (also a TrainingStateError)
│   ├── PretrainedError            (also a CheckpointError)
│   ├── ArchitectureConfigError    (also an ArchitectureError)
│   ├── ArchitectureImportError    (also an ArchitectureError)
│   └── TaskConfigError            (also a TaskError)
├── CheckpointError
│   ├── CheckpointNotFoundError
│   ├── CheckpointUnreadableError
│   ├── CheckpointUnsafeError
│   ├── CheckpointContentError
│   ├── PretrainedError
│   └── TrainingStateError
│       ├── ResumeError
│       └── KeeperError
├── ArchitectureError
│   ├── ArchitectureRegistrationError
│   ├── UnknownArchitectureError
│   ├── ArchitectureConfigError
│   ├── ArchitectureImportError
│   ├── ModuleNotThereError
│   ├── SnapshotError
│   ├── LibraryMissingError
│   └── LibraryBrokenError
├── StateDictError                 (.report: every key that does not match)
└── TaskError
    ├── UnknownTaskError
    ├── KindRegistrationError
    ├── PreparationError           (also a ProblemsError)
    └── TaskConfigError
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


class StatehouseError(Exception):
    """Something that the person who uses Statehouse can put right; the text says how."""


def listed(header: str, problems: Iterable[str], mark: str = "  ") -> str:
    """Return a header line, then one line per problem: what is in a problem, a name say, ends no line."""
    return f"\n{mark}".join(part.replace("\n", "\\n") for part in (header, *problems))


class ProblemsError(StatehouseError):
    """One header line, then one indented line per problem."""

    def __init__(self, header: str, problems: Sequence[str]) -> None:
        self.header = header
        self.problems = list(problems)
        super().__init__(listed(header, self.problems))


class CheckpointError(StatehouseError):
    """A checkpoint file could not be used or written."""


class CheckpointNotFoundError(CheckpointError):
    """There is no file at this path."""


class CheckpointUnreadableError(CheckpointError):
    """The file is empty, cut short, damaged, or no checkpoint at all."""


class CheckpointUnsafeError(CheckpointError):
    """The file is a program, as a TorchScript archive is; what a file names is never run."""


class CheckpointContentError(ProblemsError, CheckpointError):
    """The file was read, and what it says is wrong or incomplete."""


class TrainingStateError(CheckpointError):
    """Training state that cannot be saved here, or is not there to be restored."""


class ResumeError(ProblemsError, TrainingStateError):
    """A training checkpoint does not fit the model, optimizer, scheduler, scaler or order that were given."""


class KeeperError(TrainingStateError):
    """A CheckpointKeeper cannot work in its folder as it was asked to."""


class PretrainedError(ProblemsError, CheckpointError):
    """Nothing, or not what was meant, would be loaded from a pretrained checkpoint."""


class ArchitectureError(StatehouseError):
    """An architecture could not be registered, found or built."""


class ArchitectureRegistrationError(ArchitectureError):
    """A class cannot be registered as an architecture."""


class UnknownArchitectureError(ArchitectureError):
    """No architecture is registered under this name."""


class ArchitectureConfigError(ProblemsError, ArchitectureError):
    """A config does not fit its architecture."""


class ArchitectureImportError(ProblemsError, ArchitectureError):
    """Modules that should register architectures were not found, or are broken inside."""


class ModuleNotThereError(ArchitectureError):
    """No module that registers architectures is found under this name."""


class SnapshotError(ArchitectureError):
    """The kept code of an architecture module is not there, or not what its digest says."""


class LibraryMissingError(ArchitectureError):
    """The library that an architecture comes from is not installed here."""


class LibraryBrokenError(ArchitectureError):
    """The library that an architecture comes from is installed, and cannot be imported."""


class KeyReport(Protocol):
    """What a StateDictError carries: `models.tensors.state_dict.StateDictReport`."""

    def lines(self) -> list[str]:
        """One line per key that does not match."""


class StateDictError(StatehouseError):
    """A state_dict does not fit its module; `report` has every key."""

    def __init__(self, header: str, report: KeyReport) -> None:
        self.report = report
        super().__init__(listed(header, report.lines()))


class TaskError(StatehouseError):
    """A task is unknown or wrongly configured."""


class UnknownTaskError(TaskError):
    """No task has this name."""


class KindRegistrationError(TaskError):
    """A class cannot be registered as a kind of input or output."""


class PreparationError(ProblemsError, TaskError):
    """Preprocessing of another library does what a task's config cannot say."""


class TaskConfigError(ProblemsError, TaskError):
    """A task config has wrong, missing or unknown fields."""
