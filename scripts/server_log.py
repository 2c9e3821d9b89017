"""TorchServe's and HAProxy's log lines: all to a bounded file, the few that matter as short ones of ours."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_FILE_BYTES = 8 << 20
TAIL_LINES = 80

# As scripts/log4j2.xml writes them: LEVEL|thread|logger|message.
_TORCHSERVE_LINE = re.compile(
    r"(?P<level>[A-Z]+)\|(?P<thread>[^|]*)\|(?P<logger>[^|]*)\|(?P<message>.*)", re.DOTALL
)
# A worker's threads are W-<port>-<name>_<version>, with -stdout or -stderr behind it for what it prints.
_WORKER_THREAD = re.compile(r"W-\d+-(?P<lane>.+?)(-stdout|-stderr)?")
# Its warnings are about connections to workers, and do not say which.
_WORKER_LOGGER = "WorkerThread"
# What every worker says before `initialize` quiets it.
_START_CHATTER = re.compile(
    r"s_name_part0=|Listening on |Successfully loaded .*metrics\.yaml|\[PID\]\d|Torch worker started|"
    r"Python runtime: |Connection accepted: |model_name: |Frontend disconnected"
)
# Where an exception came from (what it is, is said) is for the file.
_JAVA_CHATTER = re.compile(r"WARNING: |nvidia-smi |Model server started|\s+at [\w.$]+[./]|\s+\.\.\. \d+ more")
# That TorchServe is not there (yet), the supervisor knows and says itself.
_FRONT_CHATTER = re.compile(r"\[(NOTICE|WARNING)\]|.*has no server available")
_DEATHS = ("Backend worker process died", "Load model failed:", "Auto recovery failed again")


class WorkerLog:
    """The last lines of one lane's workers, and whether one of them died."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.deaths = 0

    def add(self, message: str) -> None:
        """Take one line."""
        self.tail.append(message)
        self.deaths += message.startswith(_DEATHS)

    def reason(self) -> str:
        """Return the error that ended a worker, as well as its lines tell."""
        errors = [line for line in self.tail if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
        # TorchServe tries ts.torch_handler.<name> after any ImportError: the first error is the real one.
        real = [line for line in errors if "ts.torch_handler" not in line and "Unknown exception" not in line]
        if real:
            return real[0]
        return "the worker process ended without a word (killed, or out of memory?)"


class ServerLog:
    """Takes every line of the child processes; says the few that a person needs."""

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self._workers: dict[str, WorkerLog] = {}
        # Set whenever a worker may have died; who waits for that clears it.
        self.trouble = asyncio.Event()
        handler = RotatingFileHandler(file, maxBytes=MAX_FILE_BYTES, backupCount=1)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._file = logging.Logger("statehouse.servers")
        self._file.addHandler(handler)

    def worker(self, name: str, torchserve_version: str) -> WorkerLog:
        """Return the log of one lane's workers; from now on their lines are kept."""
        return self._workers.setdefault(f"{name}_{torchserve_version}", WorkerLog())

    def forget(self, name: str, torchserve_version: str) -> None:
        """Drop a lane's lines, before it starts anew or after it has gone."""
        self._workers.pop(f"{name}_{torchserve_version}", None)

    def torchserve_line(self, line: str) -> None:
        """Take a line of Java's."""
        self._file.info("torchserve %s", line)
        parsed = _TORCHSERVE_LINE.fullmatch(line)
        if parsed is None:
            if line and not _JAVA_CHATTER.match(line):
                self._say(f"torchserve: {line}")
            return
        if parsed["logger"] == _WORKER_LOGGER:
            self.trouble.set()
        worker = _WORKER_THREAD.fullmatch(parsed["thread"])
        if worker is not None:
            self._worker_line(worker["lane"], parsed["logger"], parsed["message"])
        else:
            self._say(f"torchserve: {parsed['message']}")

    def _worker_line(self, lane: str, logger: str, message: str) -> None:
        if _START_CHATTER.match(message):
            return
        log = self._workers.get(lane)
        if log is not None:  # some lines come when their lane is gone
            log.add(message)
        # Tracebacks stay in the file and the tail; whoever waits for a worker tells why it died.
        if logger == "MODEL_LOG" and message.startswith("statehouse: "):
            self._say(f"{lane.rpartition('_')[0]}: {message.removeprefix('statehouse: ')}")

    def front_line(self, line: str) -> None:
        """Take a line of HAProxy's."""
        self._file.info("front %s", line)
        if line and not _FRONT_CHATTER.match(line):
            self._say(f"front: {line}")

    def close(self) -> None:
        """Close the file."""
        for handler in self._file.handlers:
            handler.close()
