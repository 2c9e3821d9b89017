"""A clean environment, made in a second: links to what a wheel declares that it needs, from the one that runs tests.

What is not declared is not there, as on a machine where pip has fetched it all; nothing is fetched, though.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

WATCH = Path(__file__).with_name("watch_imports.py")
LONGEST_SECONDS = 300


class CleanEnvironment:
    """A virtual environment in ``folder`` with nothing in it, at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        [self.packages] = folder.glob("lib/python3*/site-packages")

    @property
    def statehouse(self) -> str:
        """The command, as its console script."""
        return str(self.folder / "bin" / "statehouse")

    def link(self, requirements: Sequence[str]) -> None:
        """Put what is required there, and what that requires, as links."""
        for found in needed_by(requirements):
            for name in {entry for file in found.files or () if (entry := entry_of(found, file.parts))}:
                target = self.packages / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.is_symlink():
                    target.symlink_to(Path(str(found.locate_file(name))))

    def install(self, wheel: Path) -> None:
        """Install a wheel and nothing else, as pip does it."""
        done = self._pip("install", "--quiet", "--no-deps", "--no-index", str(wheel))
        assert done.returncode == 0, done.stderr

    def watch_imports(self, log: Path) -> None:
        """Have every process of this environment write down who imports `models`, `handlers` or `scripts`."""
        (self.packages / "watch_imports.py").write_text(WATCH.read_text().replace("LOG_FILE", repr(str(log))))
        (self.packages / "watch_imports.pth").write_text("import watch_imports\n")

    def check(self) -> str:
        """Return pip's word on whether every requirement of all that is installed is met."""
        done = self._pip("check")
        return done.stdout + done.stderr

    def _pip(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the pip of the tests' environment for this one, which has none."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_SECONDS, env=self.variables()
        )

    def run(self, *arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=cwd, capture_output=True, text=True, timeout=LONGEST_SECONDS, env=self.variables(),
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{done.stdout}\n{done.stderr}"
        return done

    def variables(self) -> dict[str, str]:
        """Return the variables of a shell in which this environment is active."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        return kept | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def needed_by(requirements: Sequence[str]) -> Iterator[Distribution]:
    """Yield each distribution once that the requirements name, with what those require in turn."""
    waiting = [(Requirement(each), "") for each in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, of_extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": of_extra}):
            continue
        for extra in ("", *requirement.extras):
            key = canonicalize_name(requirement.name), extra
            if key in seen:
                continue
            seen.add(key)
            try:
                found = distribution(requirement.name)
            except PackageNotFoundError:
                raise AssertionError(
                    f"{requirement} is required and not installed where the tests run"
                ) from None
            waiting += [(Requirement(each), extra) for each in found.requires or ()]
            yield found


def entry_of(found: Distribution, parts: Sequence[str]) -> str | None:
    """Return what is linked for one file: its top folder, or of a namespace that others share the one below."""
    if parts[0] in ("..", "__pycache__") or parts[-1].endswith(".pth"):
        return None
    top = Path(str(found.locate_file(parts[0])))
    shared = len(parts) > 2 and top.suffix != ".dist-info" and not (top / "__init__.py").exists()
    return "/".join(parts[:2]) if shared else parts[0]
