"""TorchServe ends workers by the command ``kill``, and fails to unload a version where there is none.

Slim images have none; but every shell has one built in.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def path_with_kill(path: str, folder: Path) -> str:
    """Return a search path like ``path`` on which there is a ``kill``: one in ``folder``, where there is no other."""
    if shutil.which("kill", path=path):
        return path
    folder.mkdir(mode=0o700, exist_ok=True)
    command = folder / "kill"
    command.write_text('#!/bin/sh\nkill "$@"\n')
    command.chmod(0o700)
    return f"{path}{os.pathsep}{folder}"
