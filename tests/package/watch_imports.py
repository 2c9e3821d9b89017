"""Put into a clean environment: every process of it writes down who asks for a top-level name that was once ours."""

import os
import sys
import traceback
from importlib.abc import MetaPathFinder
from pathlib import Path

NAMES = {"models", "handlers", "scripts"}


class Watch(MetaPathFinder):
    """Finds nothing."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname in NAMES:
            frames = [frame.filename for frame in traceback.extract_stack()[:-1]]
            asking = next(file for file in reversed(frames) if "importlib" not in file)
            say(f"{fullname} {Path(asking).name}")


def say(what):
    with Path(LOG_FILE).open("a") as log:  # noqa: F821 - put in when this file is copied
        log.write(f"{os.getpid()} {what}\n")


sys.meta_path.insert(0, Watch())
say("watches itself")
