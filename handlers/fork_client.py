"""What TorchServe starts as a worker: asks the fork server for one, and lives as long as that.

Run by path with `python -IS`, so that it costs milliseconds: `fork_client.py SOCKET SCRIPT ARGUMENT …`.
"""

import json
import os
import socket
import sys

STREAMS = (0, 1, 2)


def main(socket_path: str, arguments: list[str]) -> None:
    """Return when the worker has ended; where nobody forks, become an ordinary worker."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(socket_path)
    except OSError as error:
        print(f"no fork server ({error}): starting a worker the long way", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - what TorchServe asked for
    order = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib costs this process a tenth of its start
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }
    text = json.dumps(order).encode()
    socket.send_fds(connection, [len(text).to_bytes(4, "big")], STREAMS)
    connection.sendall(text)
    connection.recv(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
    sys.exit(1)  # TorchServe's own script ends so, whatever the reason
