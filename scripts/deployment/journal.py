"""What was changed, by whom and how it went: one JSON line per change, and what is being changed now.

Before a step runs, the change so far is written to ``deployment.pending.json``, with what an interruption is to
lead to from then on; when it ends, one line goes to ``deployment.history.jsonl``. A pending change that is found at
a start was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from statehouse.scripts.deployment.file import not_written
from statehouse.scripts.durable import write_durably

Entry = dict[str, Any]
TRIAL = "trial"  # a change that the deployment file says nothing of: other settings, to be measured


def now_text() -> str:
    """Return the time, UTC, as the journal has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """The two files beside a deployment file."""

    def __init__(self, deployment_file: Path) -> None:
        self.deployment_file = deployment_file
        self.history_file = deployment_file.with_suffix(".history.jsonl")
        self.pending_file = deployment_file.with_suffix(".pending.json")
        self._unwritten: list[Entry] = []
        self._noted: Entry | None = None

    def note(self, entry: Entry, deployment_content: bytes | None) -> None:
        """Write down what is about to happen, and what the deployment file says before it.

        Raises DeploymentWriteError when it cannot be written; then it must not happen.
        """
        self._note(entry | {"files": [fingerprint(deployment_content)]})

    def expect(self, deployment_content: bytes) -> None:
        """Write down what a change that was noted is about to write into the deployment file: no edit is that.

        Raises DeploymentWriteError when it cannot be written; then the file must not be.
        """
        if self._noted is not None:
            files = [*self._noted["files"], fingerprint(deployment_content)]
            self._note(self._noted | {"files": files})

    def _note(self, entry: Entry) -> None:
        try:
            write_durably(self.pending_file, json.dumps(entry).encode())
        except OSError as error:
            raise not_written(self.pending_file, error) from error
        self._noted = entry

    def close(self, entry: Entry) -> None:
        """Append a change that has ended, and forget that it was pending.

        Raises DeploymentWriteError when the line cannot be written; then it is with the next one that can.
        """
        self._unwritten.append(entry)
        try:
            self._append_unwritten()
        finally:
            # Last: whoever is killed between the two has written the line, and `pending` knows it.
            self._noted = None
            self.pending_file.unlink(missing_ok=True)

    def append(self, entry: Entry) -> None:
        """Append what was never pending: it was done immediately.

        Raises DeploymentWriteError when it cannot be written; then it is with the next line that can.
        """
        self._unwritten.append(entry)
        self._append_unwritten()

    def _append_unwritten(self) -> None:
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in self._unwritten)
        try:
            self._append(lines.encode())
        except OSError as error:
            raise not_written(self.history_file, error) from error
        self._unwritten.clear()

    def _append(self, lines: bytes) -> None:
        with self.history_file.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            # A line cut short by a crash must not swallow this one.
            if size and not _ends_with_newline(file.fileno(), size):
                lines = b"\n" + lines
            try:
                _write_all(file.fileno(), lines)
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    def pending(self) -> Entry | None:
        """Return the change that was interrupted, if there is one; it goes on being noted until it is closed."""
        try:
            entry = json.loads(self.pending_file.read_text())
        except FileNotFoundError:
            return None
        if any(all(each.get(key) == entry[key] for key in ("when", "kind", "name")) for each in self.read()):
            self.pending_file.unlink()
            return None
        self._noted = entry
        return self._noted

    def read(self) -> Iterator[Entry]:
        """Yield every change, oldest first; a line that is not one says so."""
        try:
            text = self.history_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                if line:
                    yield json.loads(line)
            except ValueError:
                yield {"outcome": "unreadable", "line": number, "text": line[:200]}


def fingerprint(content: bytes | None) -> str | None:
    """Return what a file's content is known by; None for no file."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _ends_with_newline(descriptor: int, size: int) -> bool:
    return os.pread(descriptor, 1, size - 1) == b"\n"
