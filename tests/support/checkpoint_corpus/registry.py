"""The kinds of checkpoint by their names, and how each is made."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from statehouse.models.libraries.torchvision_operators import import_torchvision

Write = Callable[[Path], object]
MODULES = ("forms", "tensors", "values", "formats", "wrappers", "trainers", "folders", "hostile")


@dataclass(frozen=True)
class Kind:
    """One kind of checkpoint.

    `needs` are packages without which it cannot be made. `refused` is a word of the refusal, for what holds no weights
    that could be read and is named for what it is. `folder` says that it is several files. `like` names the kind that
    holds the same, where torch cannot read the file that it wrote, or would run code.
    """

    name: str
    write: Write
    suffix: str = ".pt"
    needs: tuple[str, ...] = ()
    refused: str | None = None
    folder: bool = False
    like: str | None = None

    @property
    def can_be_made(self) -> bool:
        """Whether the packages that it needs are installed."""
        return all(importlib.util.find_spec(each) for each in self.needs)

    def make(self, folder: Path) -> Path:
        """Write it into `folder` and return where it is."""
        path = folder / f"{self.name}{self.suffix}"
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.write(path)
        return path


_KINDS: dict[str, Kind] = {}


def kind(name: str, **about: Any) -> Callable[[Write], Write]:
    """Register the function that writes a kind."""

    def register(write: Write) -> Write:
        _KINDS[name] = Kind(name, write, **about)
        return write

    return register


def saved(
    name: str, held: Callable[[], object], *, legacy: bool = False, protocol: int = 2, **about: Any
) -> None:
    """Register a kind that `torch.save` writes, with its defaults or in its old form or in another pickle protocol."""

    @kind(name, **about)
    def write(path: Path) -> None:
        torch.save(held(), path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    if importlib.util.find_spec("torchvision"):  # before any library that would import it half
        import_torchvision()
    for module in MODULES:
        importlib.import_module(f"tests.support.checkpoint_corpus.{module}")
    return dict(_KINDS)


def make_all(folder: Path, names: Iterable[str] | None = None) -> dict[str, Path]:
    """Write the named kinds, or each that can be made here, and return where they are."""
    kinds = all_kinds()
    chosen = kinds if names is None else {name: kinds[name] for name in names}
    return {name: each.make(folder) for name, each in chosen.items() if each.can_be_made}
