"""Reads files one by one under an audit hook, and says what they made the interpreter do.

    python -m tests.support.checkpoint_corpus.audited < PATHS        # one a line; answers in JSON

It is a process of its own, as a hook is never taken away again. What this reader itself needs is imported first, by
reading plain files of each container; what happens afterwards was caused by a file.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

WATCHED = (
    "import",
    "exec",
    "compile",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "pickle.",
    "marshal.",
    "shutil.",
)
IGNORED = ("os.listdir", "os.scandir", "os.fspath")
PLAIN = (
    "bare_state_dict",
    "legacy_views",
    "safetensors",
    "sparse_coo",
    "nested_jagged",
    "quantised_tensors",
    "numpy_arrays",
)
ROOT = Path(__file__).resolve().parents[3]


def caused_by(paths: Iterable[Path], folder: Path) -> dict[str, list[str]]:
    """Return what files caused, each by its path, read in a process of its own that runs in `folder`."""
    told = "\n".join(map(str, paths))
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.checkpoint_corpus.audited"]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, input=told, capture_output=True, text=True, check=True, cwd=folder, env=environment
    )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Read what standard input names."""
    from tests.support.checkpoint_corpus.registry import make_all

    from statehouse.models.errors import CheckpointError
    from statehouse.models.storage.containers import read_container

    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        for path in make_all(Path(folder), PLAIN).values():
            with contextlib.suppress(CheckpointError):
                read_container(path, "cpu")
    caused: dict[str, list[str]] = {}
    reading: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not reading or not event.startswith(WATCHED) or event in IGNORED:
            return
        if event == "open" and str(arguments[0]) == reading[0]:
            return
        caused.setdefault(reading[0], []).append(f"{event} {arguments!r}"[:120])

    sys.addaudithook(hook)
    for path in paths:
        known = set(sys.modules)
        reading[:] = [str(path)]
        with contextlib.suppress(CheckpointError):
            read_container(path, "cpu")
        reading.clear()
        for name in set(sys.modules) - known:
            caused.setdefault(str(path), []).append(f"imported {name}")
    print(json.dumps(caused))


if __name__ == "__main__":
    main()
