"""What all servers say: every line to a bounded file, the few that matter as short ones of ours."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

from statehouse.scripts.progress import Report, Step
from statehouse.scripts.servers.log_file import LogFile

TAIL_LINES = 80

# As scripts/servers/log4j2.xml writes them: LEVEL|thread|logger|message.
_TORCHSERVE_LINE = re.compile(
    r"(?P<level>[A-Z]+)\|(?P<thread>[^|]*)\|(?P<logger>[^|]*)\|(?P<message>.*)", re.DOTALL
)
# A worker's threads are W-<port>-<name>_<version>, with -stdout or -stderr behind it for what it prints.
_WORKER_THREAD = re.compile(r"W-\d+-(?P<worker>.+?)(-stdout|-stderr)?")
# What every worker says before `initialize` quiets it.
_START_CHATTER = re.compile(
    r"s_name_part0=|Listening on |Successfully loaded .*metrics\.yaml|\[PID\]\d|Torch worker started|"
    r"Python runtime: |Connection accepted: |model_name: |Frontend disconnected"
)
# Where an exception came from (what it is, is said) is for the file.
_JAVA_CHATTER = re.compile(r"WARNING: |nvidia-smi |Model server started|\s+at [\w.$]+[./]|\s+\.\.\. \d+ more")
# That TorchServe is not there (yet), the supervisor knows and says itself.
_FRONT_CHATTER = re.compile(r"\[(NOTICE|WARNING)\]|.*has no server available")
# How it says that it ended a worker itself. Its limits for a start are its own, and no settings.
_ENDED_BY_TORCHSERVE = {
    "Backend worker startup time out.": "TorchServe ended the worker, which had not started after 120 s",
    "Worker failed to initialize within 2 mins": "TorchServe ended the worker, which could not be reached for 120 s",
    "Backend worker did not respond in given time": "TorchServe ended the worker, which did not answer in time",
}
# HAProxy tells of each of thousands of slots that it ends.
_OF_A_SLOT_S_END = re.compile(r": Proxy s\d+(-large)? stopped ")
_DEATHS = ("Backend worker process died", "Load model failed:", "Auto recovery failed again")


class WorkerLog:
    """The last lines of one version's workers, and whether one of them died."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.deaths = 0

    def add(self, message: str) -> None:
        """Take one line."""
        self.tail.append(message)
        self.deaths += message.startswith(_DEATHS) or message.endswith(tuple(_ENDED_BY_TORCHSERVE))

    def reason(self) -> str:
        """Return the error that ended a worker, as well as its lines tell."""
        # TorchServe tries ts.torch_handler.<name> after any ImportError: the first error is the real one.
        if errors := self._errors():
            return errors[0]
        return "the worker process ended without a word (killed, or out of memory?)"

    @property
    def last_error(self) -> str | None:
        """The error that was told of last, whether or not it ended a worker."""
        return next(reversed(self._errors()), None)

    def _errors(self) -> list[str]:
        errors = [
            line
            for line in map(_told, self.tail)
            if re.match(r"[\w.]*(Error|Exception|Interrupt)\b|TorchServe ended ", line)
        ]
        return [line for line in errors if "ts.torch_handler" not in line and "Unknown exception" not in line]


def _told(line: str) -> str:
    return next((told for words, told in _ENDED_BY_TORCHSERVE.items() if line.endswith(words)), line)


class ServerLog:
    """Takes every line of the child processes; says the few that a person needs."""

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self._worker_logs: dict[str, WorkerLog] = {}
        self._file = LogFile(file)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self._file.path

    def say(self, text: str) -> None:
        """Take something of the supervisor's own, and say it."""
        self._file.write("supervisor", text)
        self._say(text)

    def step(self, step: Step, of: str = "") -> None:
        """Take a step of the supervisor's, or of the change that it is ``of``; what only begins is not written."""
        if step.state != "begun":
            failed = "failed: " if step.state == "failed" else ""
            took = f" ({step.seconds:.1f} s)" if step.seconds >= 0.05 else ""
            self._file.write("supervisor", f"{f'{of}: ' if of else ''}{failed}{step.text}{took}")

    def written_too(self, report: Report) -> Report:
        """Return a report that takes each step as well."""

        def both(step: Step) -> None:
            self.step(step)
            report(step)

        return both

    def worker_log(self, name: str, torchserve_version: str) -> WorkerLog:
        """Return the log of the workers of one loading of a version; from now on their lines are kept."""
        return self._worker_logs.setdefault(f"{name}_{torchserve_version}", WorkerLog())

    def forget(self, name: str, torchserve_version: str) -> None:
        """Drop its lines, before it starts anew or after it has gone."""
        self._worker_logs.pop(f"{name}_{torchserve_version}", None)

    def torchserve_line(self, line: str) -> None:
        """Take a line of TorchServe's."""
        parsed = _TORCHSERVE_LINE.fullmatch(line)
        worker = _WORKER_THREAD.fullmatch(parsed["thread"]) if parsed is not None else None
        self._file.write("torchserve" if worker is None else "worker", line)
        if parsed is None:
            if line and not _JAVA_CHATTER.match(line):
                self._say(f"torchserve: {line}")
            return
        if worker is not None:
            self._worker_line(worker["worker"], parsed["logger"], parsed["message"])
        elif parsed["message"]:  # of a connection that broke it says nothing
            self._say(f"torchserve: {parsed['message']}")

    def _worker_line(self, workers: str, logger: str, message: str) -> None:
        if _START_CHATTER.match(message):
            return
        log = self._worker_logs.get(workers)
        if log is not None:  # some lines come when their version is gone
            log.add(message)
        # Tracebacks stay in the file and the tail; whoever waits for a worker tells why it died.
        if logger == "MODEL_LOG" and message.startswith("statehouse: "):
            self._say(f"{workers.rpartition('_')[0]}: {message.removeprefix('statehouse: ')}")

    def front_line(self, line: str) -> None:
        """Take a line of HAProxy's."""
        if _OF_A_SLOT_S_END.search(line):
            return
        self._file.write("front", line)
        if line and not _FRONT_CHATTER.match(line):
            self._say(f"front: {line}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
