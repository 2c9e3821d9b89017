"""The server makes no connection to anywhere and asks for no name: its whole life in a network that leads nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.conftest import FaultyServer

ROOT = Path(__file__).resolve().parents[2]
# Who is not root may have a namespace in which they are; some systems do not let them.
UNSHARE = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--map-root-user"]


@pytest.mark.skipif(
    subprocess.run([*UNSHARE, "true"], capture_output=True).returncode != 0,
    reason="this user may have no network namespace of its own: run as root to see that nothing goes out",
)
def test_nothing_goes_out(tmp_path: Path) -> None:
    server = FaultyServer(tmp_path)
    for version in ("1.0", "1.1"):
        server.publish(version)
    server.deploy("1.0")
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.faults.quiet_network", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"server": [], "attempts": ["tcp 192.0.2.1:80", "udp 127.0.0.1:53"], "missed": 0}
