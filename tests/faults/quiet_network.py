"""A program for a network namespace of its own: a server lives its life there, and what it sends out is counted.

Everything that is for other machines leads to a device that swallows it. It prints what it saw: of the server's life,
and of two attempts of its own after it, which show that it does see.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from ipaddress import ip_address
from pathlib import Path

from tests.faults.conftest import FaultyServer

from statehouse.scripts.control.client import ControlClient

ELSEWHERE = "192.0.2.1"
SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 33, 263, 6  # Linux's; socket has no names for them
TCP, UDP, IPV4, IPV6, DNS_PORT, ETHERNET_BYTES = 6, 17, 0x0800, 0x86DD, 53, 14


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Sink(threading.Thread):
    """Counts what is sent to other machines, and what asks this one for a name."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        ip("link", "set", "lo", "up")
        ip("address", "add", "198.51.100.2/32", "dev", "lo")
        ip("route", "add", "default", "dev", "lo")
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.seen: list[str] = []

    def run(self) -> None:
        while True:
            frame, (_, kind, *_) = self._socket.recvfrom(128)
            told = self._told(frame[ETHERNET_BYTES:], kind)
            if told:
                self.seen.append(told)

    def missed(self) -> int:
        """How many there were that could not be looked at."""
        return struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    @staticmethod
    def _told(packet: bytes, kind: int) -> str | None:
        if kind == IPV4:
            protocol, offset = packet[9], (packet[0] & 15) * 4
            where = socket.inet_ntop(socket.AF_INET, packet[16:20])
        elif kind == IPV6:
            protocol, offset = packet[6], 40
            where = socket.inet_ntop(socket.AF_INET6, packet[24:40])
        else:
            return None
        if protocol not in (TCP, UDP):  # the kernel's own talk about neighbours
            return None
        [port] = struct.unpack_from("!H", packet, offset + 2)
        if ip_address(where).is_loopback and port != DNS_PORT:
            return None
        return f"{'tcp' if protocol == TCP else 'udp'} {where}:{port}"


def workers_of(server: FaultyServer) -> list[int]:
    status = ControlClient(server.deployment_file).status()
    return next(row["workers"]["pids"] for row in status["models"] if row["version"] == "1.1")


def life_of(server: FaultyServer) -> None:
    """Start, answer, swap, lose a worker, tell of metrics, stop."""
    server.start()
    assert server.serving() == "1.0"
    ControlClient(server.deployment_file).change("swap", lambda step: None, name="moody", version="1.1")
    [pid] = workers_of(server)
    subprocess.run(["kill", "-9", str(pid)], check=True)
    server.wait_until(lambda: workers_of(server) not in ([pid], []))
    server.wait_until(server.is_ready)
    assert server.serving() == "1.1"
    assert server.reader.get("/metrics").status_code == 200
    server.stop()


def connect_elsewhere() -> None:
    with socket.socket() as attempt:
        attempt.settimeout(0.2)
        attempt.connect_ex((ELSEWHERE, 80))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.sendto(b"where is it?", ("127.0.0.1", DNS_PORT))


def main() -> None:
    sink = Sink()
    sink.start()
    server = FaultyServer(Path(sys.argv[1]))
    try:
        life_of(server)
    finally:
        server.kill_if_running()
    of_the_server = list(sink.seen)
    connect_elsewhere()
    deadline = time.monotonic() + 30
    while len(set(sink.seen[len(of_the_server) :])) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    attempts = sorted(set(sink.seen[len(of_the_server) :]))
    print(json.dumps({"server": of_the_server, "attempts": attempts, "missed": sink.missed()}))


if __name__ == "__main__":
    main()
