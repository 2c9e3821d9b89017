"""The command as a person runs it, in a folder of the test's."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

COMMAND = Path(sysconfig.get_path("scripts")) / "statehouse"


def run_statehouse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `statehouse` in a pipe; its output is text."""
    return subprocess.run([COMMAND, *arguments], cwd=folder, capture_output=True, text=True)
