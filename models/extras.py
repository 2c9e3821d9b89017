"""Packages that are imported only when asked for, because only an extra installs them."""

from __future__ import annotations

import importlib
from importlib.metadata import MetadataPathFinder, PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import statehouse
from statehouse import DISTRIBUTION
from statehouse.models.errors import LibraryBrokenError, LibraryMissingError

_PACKAGE = Path(statehouse.__file__).parent
_OF_ONE_TORCH = ("vision",)  # pip would take the newest torchvision, and the torch that it is made for


def how_to_install(extra: str) -> str:
    """Return the command that adds an extra to what runs here: a checkout, or a wheel.

    Never by a name alone: pip would ask the index, where others give out names.
    """
    is_checkout = _PACKAGE.parent.name == "src" and (_PACKAGE.parents[1] / "pyproject.toml").is_file()
    what = f"-e '.[{extra}]'" if is_checkout else f"'{_wheel()}[{extra}]'"
    return f"pip install {what}{_the_torch_that_is_here() if extra in _OF_ONE_TORCH else ''}"


def how_to_install_all() -> str:
    """Return the command that brings what `pip install --no-deps` left out."""
    return f"pip install '{_wheel()}'"


def import_extra(module: str, extra: str, *, needed_for: str) -> ModuleType:
    """Import `module`, which needs what the extra installs; what was installed a moment ago is found as well.

    Raises:
        LibraryMissingError: it, or something that it needs, is not installed; the text says what to install.
        LibraryBrokenError: it is installed, and importing it fails.
    """
    library = module.rpartition(".")[2]
    importlib.invalidate_caches()
    MetadataPathFinder().invalidate_caches()  # before Python 3.12 the line above leaves out which versions are there
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise LibraryMissingError(
            f"{needed_for} need {error.name}, which is not installed here; "
            f"install it with: {how_to_install(extra)}"
        ) from error
    except Exception as error:  # importing somebody's library may raise anything
        raise LibraryBrokenError(
            f"{library} is installed, but importing it raised {type(error).__name__}: {error}; "
            f"install it anew with: pip install --force-reinstall --no-deps {library}"
        ) from error


def _the_torch_that_is_here() -> str:
    try:
        return f" torch=={distribution('torch').version.partition('+')[0]}"
    except PackageNotFoundError:
        return ""


def _wheel() -> str:
    try:
        version = distribution(DISTRIBUTION).version
    except PackageNotFoundError:
        version = "VERSION"
    return f"{DISTRIBUTION.replace('-', '_')}-{version}-py3-none-any.whl"
