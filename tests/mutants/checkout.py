"""A copy of the checkout with an environment of its own, in which a test runs as it does here."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def copied_checkout() -> Iterator[Path]:
    """Copy what git tracks, or would; what is left of it at the end, processes too, goes."""
    copy = Path(tempfile.mkdtemp(prefix="m-"))
    copy.chmod(0o755)  # what keeps others out has to be the server's own
    try:
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
        for name in filter(None, map(os.fsdecode, names)):
            source, target = ROOT / name, copy / name
            if source.is_symlink() or source.is_file():  # not one that was deleted
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        _make_environment(copy)
        yield copy
    finally:
        _kill_all_of(copy)
        shutil.rmtree(copy, ignore_errors=True)


def _make_environment(copy: Path) -> None:
    """Make `.venv`: this one's packages, but the copy's own sources.

    A path in the environment would not do: the server hands none on to TorchServe and the workers.
    """
    here, there = Path(sys.prefix), copy / ".venv"
    packages = Path(sysconfig.get_path("purelib"))
    copied_packages = there / packages.relative_to(here)
    copied_packages.mkdir(parents=True)
    for entry in packages.iterdir():
        if not entry.name.startswith("__editable__"):
            (copied_packages / entry.name).symlink_to(entry)
    (copied_packages / "checkout.pth").write_text(f"{copy / 'src'}\n")
    shutil.copy(here / "pyvenv.cfg", there)
    (there / "bin").mkdir()
    for entry in (here / "bin").iterdir():
        if entry.name.startswith("python"):
            (there / "bin" / entry.name).symlink_to(entry.resolve())
        elif entry.is_file():
            content = entry.read_bytes()
            (there / "bin" / entry.name).write_bytes(
                content.replace(f"#!{here}/bin/".encode(), f"#!{there}/bin/".encode(), 1)
            )
            shutil.copymode(entry, there / "bin" / entry.name)


def _kill_all_of(copy: Path) -> None:
    """SIGKILL each process that has the copy in its command line: a server that a failed test has left."""
    told = os.fsencode(copy) + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if told in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
