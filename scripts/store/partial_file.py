"""One file on its way into the cache."""

from __future__ import annotations

import os
from pathlib import Path

from statehouse.scripts.durable import sync
from statehouse.scripts.store.draft import PUBLISHED_FILE_MODE


class Part:
    """What has come of one file so far; nobody else writes to it."""

    def __init__(self, path: Path, descriptor: int, complete: Path) -> None:
        self.path = path
        self._descriptor = descriptor
        self._complete = complete
        self.size_bytes = os.fstat(descriptor).st_size

    def append(self, content: bytes) -> None:
        """Write more of it."""
        view = memoryview(content)
        while view:
            written = os.pwrite(self._descriptor, view, self.size_bytes)
            self.size_bytes += written
            view = view[written:]

    def empty(self) -> None:
        """Begin again."""
        os.ftruncate(self._descriptor, 0)
        self.size_bytes = 0

    def keep(self) -> None:
        """Make it the file itself: it is complete, and what it should be."""
        os.fchmod(self._descriptor, PUBLISHED_FILE_MODE)
        os.fsync(self._descriptor)
        self.path.rename(self._complete)
        sync(self._complete.parent)
