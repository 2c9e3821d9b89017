"""Where the servers of one run listen: sockets that the supervisor keeps, ports that were any until now."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from statehouse.scripts.deployment.listen import split_address
from statehouse.scripts.errors import ServerStartError


@dataclass(frozen=True)
class Addresses:
    """Where the servers of this run listen; ports that were 0 are known by now."""

    front: tuple[str, int]
    reader: tuple[str, int]
    grpc: tuple[str, int]
    front_has_tls: bool = False

    def url(self, which: str) -> str:
        """Return ``http://host:port`` of ``front`` or ``reader``; ``https://`` where it speaks TLS."""
        host, port = getattr(self, which)
        scheme = "https" if which == "front" and self.front_has_tls else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def listener(what: str, address: str) -> socket.socket:
    """Return a socket that listens on ``address``; ServerStartError, which names ``what``, when it cannot."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ServerStartError(
            f"The {what} cannot listen on {address}: {error.strerror}. Stop what listens there, "
            f"or give another address under listen.{what} in the deployment (port 0: any that is free)."
        ) from error


def address_of(listening: socket.socket) -> tuple[str, int]:
    """Return host and port of a socket."""
    host, port = listening.getsockname()[:2]
    return host, port


def concrete(what: str, address: str) -> tuple[str, int]:
    """Return where TorchServe may listen, which takes no socket of ours: a free port where ``address`` says 0.

    Raises ServerStartError when something else listens there: TorchServe would go on without.
    """
    with listener(what, address) as probe:
        return address_of(probe)
