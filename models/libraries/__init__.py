"""Architectures of other people's libraries, by `library:name`: `torchvision:mobilenet_v2`.

A library is imported when one of its architectures is first asked for, never before. For each there is a module
here, called like it, with `find(name) -> Architecture`. Nothing is ever downloaded, and no code comes from a config.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from statehouse.models.architecture import Architecture
from statehouse.models.errors import UnknownArchitectureError
from statehouse.models.extras import import_extra
from statehouse.models.plain import suggestion


@dataclass(frozen=True)
class Library:
    """One library; `name` is the prefix, its module here, and what is imported and installed."""

    name: str
    extra: str  # of pyproject.toml: what to install

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported, which is found out without importing it."""
        return importlib.util.find_spec(self.name) is not None


LIBRARIES = {
    library.name: library
    for library in (
        Library("torchvision", extra="vision"),
        Library("timm", extra="vision"),
        Library("transformers", extra="text"),
    )
}


@cache
def find(name: str) -> Architecture:
    """Return the architecture that a library has under `name`, which is `library:name`.

    Raises:
        UnknownArchitectureError: there is no such library, or it has nothing of this name.
        LibraryMissingError: it is not installed; the text says what to install.
        LibraryBrokenError: it is installed, and importing it fails.
    """
    prefix, _, own_name = name.partition(":")
    if prefix not in LIBRARIES:
        raise UnknownArchitectureError(
            f"unknown library {prefix!r} in architecture {name!r}{suggestion(prefix, LIBRARIES)}"
        )
    found: Architecture = _module_of(LIBRARIES[prefix]).find(own_name)
    return found


def _module_of(library: Library) -> ModuleType:
    return import_extra(
        f"{__name__}.{library.name}", library.extra, needed_for=f"architectures {library.name}:…"
    )
