"""What a deployment file says to commands that need no running server: its store and its architectures."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.deployment import Deployment, read_deployment
from scripts.errors import ArgumentError, DeploymentNotFoundError
from scripts.store import ModelStore, open_store


@dataclass(frozen=True)
class Project:
    """The folder of a deployment file, which need not exist yet."""

    store: ModelStore
    architectures: tuple[str, ...]
    max_cache_bytes: int

    @classmethod
    def of_deployment(cls, file: Path, store: str | None = None) -> Project:
        """Read what ``file`` says, or take the defaults; modules beside it become importable.

        ``store`` is another model store's address. Raises StoreAddressError.
        """
        try:
            deployment = read_deployment(file)
        except DeploymentNotFoundError:
            deployment = Deployment()
        folder = str(file.resolve().parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        address = store or deployment.store_address(file)
        opened = open_store(address, max_cache_bytes=deployment.limits.max_cache_bytes)
        return cls(opened, tuple(deployment.architectures), deployment.limits.max_cache_bytes)

    def modules_to_name(self, given: Sequence[str], architecture: str) -> list[str]:
        """Return what ``architectures`` of the deployment must say before its server can build this one.

        ``given`` are modules from the command line. Empty where nothing need be changed. Imports torch.
        """
        from models.architecture import get_architecture

        found = get_architecture(architecture)
        home = found.builder.__module__
        unnamed = [module for module in given if module not in self.architectures]
        if not unnamed or found.library or _is_in(home, ("models.architectures", *self.architectures)):
            return []
        needed = [module for module in unnamed if _is_in(home, (module,))]
        return [*self.architectures, *(needed or unnamed)]  # an entry point is not called like its module


def _is_in(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def read_mapping(option: str, given: str | None) -> dict[str, Any] | None:
    """Return what ``--config`` and the like mean: JSON as given, or a JSON or YAML file's content.

    Raises ArgumentError when it is neither, or not a mapping.
    """
    if given is None:
        return None
    path = Path(given)
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(
                f"{option} {given!r} is neither JSON nor a file that can be read ({error}). "
                """Give JSON such as '{"input_size": 4}', or a .json or .yaml file."""
            ) from error
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ArgumentError(f"{option} {given[:100]!r} cannot be read as JSON or YAML: {error}") from error
    if not isinstance(value, dict):
        raise ArgumentError(f"{option} is a {type(value).__name__}; expected names and values, a mapping.")
    return value
