"""The most anonymous memory that a Python program takes while it does something: sampled from /proc."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MEASURED = """
import json, sys, threading
from pathlib import Path

def anonymous_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

peak, done = 0, threading.Event()

def sample():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous_bytes())

threading.Thread(target=sample, daemon=True).start()
{program}
done.set()
print(json.dumps({{"peak_bytes": max(peak, anonymous_bytes())}}))
"""


def peak_of(program: str, *arguments: object) -> int:
    """Run `program`, which finds the arguments in `sys.argv[1:]`, by itself; return its peak in bytes."""
    code = _MEASURED.format(program=re.sub(r"^\s*\n", "", program))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["peak_bytes"]
