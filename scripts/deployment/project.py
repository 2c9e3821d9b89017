"""What a deployment file says to commands that need no running server: its store and its architectures."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from statehouse.scripts.deployment.file import Deployment, read_deployment
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.errors import DeploymentNotFoundError
from statehouse.scripts.store import ModelStore, open_store


@dataclass(frozen=True)
class Project:
    """The folder of a deployment file, which need not exist yet."""

    store: ModelStore
    architectures: tuple[str, ...]
    snapshots: Snapshots
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
        snapshots = Snapshots.of_deployment(file)
        return cls(opened, tuple(deployment.architectures), snapshots, deployment.limits.max_cache_bytes)
