"""Whole pickled modules, as `torch.save(model)` writes them: a tree of state, read without the classes it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from torch import Tensor

from statehouse.models.plain import MAX_DEPTH
from statehouse.models.storage.inert.record import Record, printable

MAX_SHOWN = 12  # attributes of one module
MAX_ROW = 4  # numbers of one attribute: a kernel's sides, its padding
MAX_LINES = 1000  # modules of one tree that are shown
MAX_BESIDE = 1000  # entries of a dict that is looked into
MAX_DEPTH_OF_MODULES = 4  # of what is looked into
MAX_MODULES = 100_000  # a tree whose branches are shared unfolds without end
_TREE = ("_modules", "_parameters", "_buffers")


@dataclass
class MinedModule:
    """What a pickled module is made of: its state_dict by the names that torch would give, and what shaped it."""

    class_name: str
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    tree: dict[str, str] = field(default_factory=dict)  # what each module in it is, by its name: "Linear(…)"

    def note(self, where: str) -> str:
        """Say what it is and how it is read; `where` it is in the file, "" for the file itself."""
        what = f"{printable(where)} is" if where else "is"
        return f"{what} a pickled {self.class_name}: its tensors are read, its class is not"


def mine_modules(held: object, where: str = "", depth: int = 0) -> tuple[object, dict[str, MinedModule]]:
    """Return what a file held with each pickled module that has tensors as its state_dict, and those by their paths."""
    if is_module(held):
        mined = mine_module(held)
        return (mined.state_dict, {where: mined}) if mined.state_dict else (held, {})
    if depth >= MAX_DEPTH_OF_MODULES or not isinstance(held, dict | list | tuple):
        return held, {}
    keys = list(held) if isinstance(held, dict) else list(range(len(held)))
    if len(keys) > MAX_BESIDE:
        return held, {}
    found: dict[str, MinedModule] = {}
    replaced: dict[Any, Any] = {}
    for key in keys:
        path = f"{where}.{key}" if where else str(key)
        replaced[key], inside = mine_modules(held[key], path, depth + 1)
        found |= inside
    if not found:
        return held, {}
    return (replaced if isinstance(held, dict) else list(replaced.values())), found


def is_module(value: object) -> TypeGuard[Record]:
    """Whether a record is that of a pickled `nn.Module`."""
    return isinstance(value, Record) and all(
        isinstance(value.attributes().get(name), Mapping) for name in _TREE
    )


def mine_module(record: Record) -> MinedModule:
    """Return the state_dict of a pickled module: its parameters and persistent buffers, in torch's own order."""
    mined = MinedModule(record.name)
    for count, (prefix, module) in enumerate(_modules(record, "", 0)):
        if count >= MAX_MODULES:
            break
        if count < MAX_LINES:
            mined.tree[printable(prefix.removesuffix("."))] = _shown(module)
        mined.state_dict |= {prefix + name: tensor for name, tensor in _own_tensors(module)}
    return mined


def _modules(record: Record, prefix: str, depth: int) -> Iterator[tuple[str, Record]]:
    yield prefix, record
    children = record.attributes().get("_modules")
    if depth >= MAX_DEPTH or not isinstance(children, Mapping):
        return
    for name in children:
        child = children[name]
        if isinstance(name, str) and isinstance(child, Record):
            yield from _modules(child, f"{prefix}{name}.", depth + 1)


def _own_tensors(module: Record) -> Iterator[tuple[str, Tensor]]:
    attributes = module.attributes()
    passing = attributes.get("_non_persistent_buffers_set")
    for kind in ("_parameters", "_buffers"):
        tensors = attributes.get(kind)
        if not isinstance(tensors, Mapping):
            continue
        for name in tensors:
            is_kept = kind == "_parameters" or not isinstance(passing, set | frozenset) or name not in passing
            if isinstance(name, str) and isinstance(tensors[name], Tensor) and is_kept:
                yield name, tensors[name]


def _shown(record: Record) -> str:
    """Return a module as its constructor's call would read: its class, and what is plain of its attributes."""
    attributes = list(_plain_attributes(record).items())[:MAX_SHOWN]
    told = ", ".join(f"{printable(name)}={printable(repr(value))}" for name, value in attributes)
    return f"{printable(record.name)}({told})"


def _plain_attributes(record: Record) -> dict[str, object]:
    """Return the numbers, the texts and the short rows of numbers among a module's attributes: kernel_size=(3, 3)."""
    return {
        name: value
        for name, value in record.attributes().items()
        if isinstance(name, str) and not name.startswith("_") and name != "training" and _is_short(value)
    }


def _is_short(value: object) -> bool:
    if isinstance(value, tuple) and len(value) <= MAX_ROW:
        return all(isinstance(each, int | float) for each in value)
    return isinstance(value, bool | int | float | str)
