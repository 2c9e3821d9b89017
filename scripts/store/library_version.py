"""Whether the library that a version's architecture comes from is still the one that it was published with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from statehouse.scripts.store.manifest import VersionManifest


def changed_library(manifest: VersionManifest) -> str | None:
    """Say which version of the library is installed instead, None where nothing has changed; imports nothing."""
    published_with = manifest.architecture_library
    if published_with is None:
        return None
    library = published_with.partition(" ")[0]
    try:
        installed = f"{library} {version(library)}"
    except PackageNotFoundError:
        installed = "none"
    if installed == published_with:
        return None
    return f"published with {published_with}, installed is {installed}; the golden examples decide whether it matters"
