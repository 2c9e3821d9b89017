"""Ready-made requests for a person to try: curl lines made from the golden examples of what is served."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from statehouse.scripts.store import PublishedVersion
from statehouse.scripts.supervisor.loaded_version import LoadedVersion

MAX_INLINE_CHARACTERS = 160
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "application/json": ".json"}


def curl_lines(
    versions: Iterable[LoadedVersion],
    default_of: Callable[[str], str | None],
    *,
    front_url: str,
    folder: Path,
    asks_for_keys: bool = False,
) -> list[str]:
    """Return a curl line for each name whose default works."""
    key = ' -H "Authorization: Bearer $STATEHOUSE_KEY"' if asks_for_keys else ""
    return [
        curl_line(loaded.published, front_url=front_url, folder=folder) + key
        for loaded in versions
        if loaded.works and loaded.published is not None and default_of(loaded.name) == loaded.version
    ]


def curl_line(version: PublishedVersion, *, front_url: str, folder: Path) -> str:
    """Return a curl line that sends the version's first golden example to its name.

    A body too long to read in a terminal is written below ``folder``.
    """
    example = json.loads(version.golden_path.read_text())["examples"][0]
    body = base64.b64decode(example["body_base64"])
    content_type = example["content_type"]  # curl need not say it: handlers look at the bytes
    url = f"{front_url}/predictions/{version.name}"
    if content_type == "application/json" and len(body) <= MAX_INLINE_CHARACTERS:
        data = ["--data", body.decode()]
    else:
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{version.name}{_SUFFIXES.get(content_type, '.bin')}"
        file.write_bytes(body)
        data = ["--data-binary", f"@{file}"]
    return shlex.join(["curl", "-s", *data, url])
