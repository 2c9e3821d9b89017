"""What a pickle says of classes and functions that are neither imported nor called."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_NAME = 200  # characters


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """What a pickle makes by a class or function: its qualified name as the file writes it, and its state.

    `name` is printable and bounded. `arguments` are those of the call, keyword arguments among the `pairs`; `state` is
    what the object would have been given; `items` and `pairs` are what a list, set or dict of that class holds.
    """

    name: str
    arguments: tuple[object, ...] = ()
    state: object = None
    items: list[object] = field(default_factory=list)
    pairs: dict[object, object] = field(default_factory=dict)

    def attributes(self) -> dict[str, object]:
        """Return the attributes by name: of `__dict__`, and of slots; {} where the state is something else."""
        parts = self.state if isinstance(self.state, tuple) and len(self.state) == 2 else (self.state,)
        if not all(part is None or isinstance(part, dict) for part in parts):
            return {}
        dicts = [part for part in parts if isinstance(part, dict)]
        return {key: part[key] for part in dicts for key in part if isinstance(key, str)}

    def __repr__(self) -> str:  # never its content, which may refer to itself
        return f"Record({self.name!r})"


@dataclass(frozen=True, slots=True)
class Named:
    """A class or function that a pickle refers to: its qualified name, printable and bounded."""

    name: str


def printable(name: str) -> str:
    """Return a name of a file as it may be shown: escaped where it is not printable, at most 200 characters."""
    shown = name[: MAX_NAME + 1]
    if not shown.isprintable():
        shown = ascii(shown)[1:-1]
    return shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 1]}…"
