"""`models`, the name that this package had at first, for architecture modules that were written then.

They say `from models import register_architecture`. While such a module is imported the name leads here, unless a
package of the user's own is called so.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

OLD_NAME = "models"
_SOURCE = Path(__file__).with_name("__init__.py")
_NOT_IN_IT = re.compile(r"cannot import name '(\w+)' from 'models'")


class _Lender(MetaPathFinder, Loader):
    """Finds `models.X` as `statehouse.models.X`, the very same module."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != OLD_NAME:
            return None
        try:
            found = importlib.import_module(f"statehouse.{fullname}")
        except ModuleNotFoundError:
            return None
        return ModuleSpec(fullname, self, loader_state=found, is_package=hasattr(found, "__path__"))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module: ModuleType = spec.loader_state
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just put the lent spec in its place.
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


@contextmanager
def old_names() -> Iterator[None]:
    """Let `import models` mean this package, where nothing else is called so.

    A checkout of Statehouse on the path holds this package's own folder. Imported from there it would be a second
    copy, with a registry of its own.
    """
    if OLD_NAME in sys.modules or not _is_free():
        yield
        return
    lender = _Lender()
    sys.meta_path.insert(
        0, lender
    )  # before Python finds the files below `models` by their path, and runs them again
    try:
        yield
    finally:
        sys.meta_path.remove(lender)
        for name in [each for each in sys.modules if each.partition(".")[0] == OLD_NAME]:
            del sys.modules[name]


def _is_free() -> bool:
    found = find_spec(OLD_NAME)
    return found is None or (found.origin is not None and _SOURCE.samefile(found.origin))


def what_to_write(error: Exception) -> str | None:
    """Return the import that a module means which asked another package called `models` for a name of ours."""
    if not isinstance(error, ImportError) or error.name is None:
        return None
    if error.name.startswith(f"{OLD_NAME}.") and _is_ours(f"statehouse.{error.name}"):
        return f"from statehouse.{error.name} import …"
    asked = _NOT_IN_IT.match(str(error))
    if asked is not None and asked[1] in importlib.import_module("statehouse.models").__all__:
        return f"from statehouse import {asked[1]}"
    return None


def _is_ours(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent is
        return False
