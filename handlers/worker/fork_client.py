"""What TorchServe starts as a worker: asks the fork server for one, and lives as long as that.

Run by path with `python -IS`, so that it costs milliseconds: `fork_client.py SOCKET SCRIPT ARGUMENT …`.
"""

import json
import os
import socket
import sys

STREAMS = (0, 1, 2)
# It may be importing what all workers import, which takes seconds where the machine is busy.
TAKEN_TIMEOUT_SECONDS = 30


def main(socket_path: str, arguments: list[str]) -> None:
    """Return when the worker has ended; where nobody forks, become an ordinary worker."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TAKEN_TIMEOUT_SECONDS)
    try:
        connection.connect(socket_path)
        send_order(connection, arguments)
        if not connection.recv(1):
            raise ConnectionError("it ended")
    except OSError as error:
        # If it goes on some time, it finds this connection closed, and forks nothing for it.
        print(f"no fork server ({error}): starting a worker the long way", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - what TorchServe asked for
    connection.settimeout(None)
    connection.recv(1)


def send_order(connection: socket.socket, arguments: list[str]) -> None:
    """Tell the fork server what a worker needs, with this process's own streams."""
    order = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib costs this process a tenth of its start
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }
    text = json.dumps(order).encode()
    socket.send_fds(connection, [len(text).to_bytes(4, "big")], STREAMS)
    connection.sendall(text)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
    sys.exit(1)  # TorchServe's own script ends so, whatever the reason
