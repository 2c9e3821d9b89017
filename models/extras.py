"""Packages that are imported only when asked for, because only an extra installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from models.errors import LibraryBrokenError, LibraryMissingError


def import_extra(module: str, extra: str, *, needed_for: str) -> ModuleType:
    """Import `module`, which needs what the extra installs; what was installed a moment ago is found as well.

    Raises:
        LibraryMissingError: it, or something that it needs, is not installed; the text says what to install.
        LibraryBrokenError: it is installed, and importing it fails.
    """
    library = module.rpartition(".")[2]
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise LibraryMissingError(
            f"{needed_for} need {error.name}, which is not installed here; "
            f"install it with: pip install -e '.[{extra}]'"
        ) from error
    except Exception as error:  # importing somebody's library may raise anything
        raise LibraryBrokenError(
            f"{library} is installed, but importing it raised {type(error).__name__}: {error}; "
            f"install it anew with: pip install --force-reinstall --no-deps {library}"
        ) from error
