"""What became of a promise's test: it passed, or failed at an assertion, or could not be judged."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

TIMEOUT_SECONDS = 600


class Outcome(StrEnum):
    """Of a test: without its mutant it is to pass, with it to fail."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"  # it says nothing: skipped, not found, or its server does not even start


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    seconds: float
    said: str = ""


def run_test(checkout: Path, node: str) -> Verdict:
    """Run one test, or all its cases until one fails, in a checkout."""
    report = checkout / ".mutant-report.xml"
    folder = checkout / ".t"  # a short name, because sockets lie below it
    folder.mkdir(exist_ok=True)
    command = [checkout / ".venv/bin/python", "-m", "pytest", "-x", "-q", "--timeout", str(TIMEOUT_SECONDS)]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", f"--basetemp={folder / 'p'}", node]
    environment = os.environ | {"TMPDIR": str(folder), "XDG_RUNTIME_DIR": ""}
    began = time.monotonic()
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if not report.exists():
        return Verdict(Outcome.BROKEN, seconds, f"pytest ended with {done.returncode}: {done.stderr.strip()}")
    cases = list(ElementTree.parse(report).iter("testcase"))
    told = next((each for case in cases for each in _told(case)), None)
    if told is not None:
        return Verdict(told[0], seconds, told[1])
    if not cases:
        return Verdict(Outcome.BROKEN, seconds, f"pytest ended with {done.returncode} and ran no test")
    return Verdict(Outcome.PASSED, seconds)


def _told(case: ElementTree.Element) -> Iterator[tuple[Outcome, str]]:
    for kind in ("failure", "error", "skipped"):
        for each in case.findall(kind):
            said = " ".join((each.get("message") or "").split())
            # What a fixture sees when the test is over is an error to pytest, and an assertion to us.
            fails = kind == "failure" or said.startswith("failed on teardown")
            yield (Outcome.FAILED if fails else Outcome.BROKEN), said
