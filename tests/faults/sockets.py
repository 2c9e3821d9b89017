"""What the processes of a server listen on, as the kernel says it: nobody keeps a list."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LISTEN = "0A"


@dataclass
class Listening:
    """Where processes can be reached. A path that begins with @ is of no folder: anybody may connect."""

    tcp: set[tuple[str, int]] = field(default_factory=set)
    udp: set[tuple[str, int]] = field(default_factory=set)
    unix: set[str] = field(default_factory=set)


def family_of(pid: int) -> list[int]:
    """A process with all that it has started, however far down."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def listening(pids: list[int]) -> Listening:
    """Everything on which one of these processes listens."""
    own = {inode for pid in pids for inode in _socket_inodes(pid)}
    found = Listening()
    for pid in pids[:1]:
        net = Path(f"/proc/{pid}/net")
        for protocol in ("tcp", "tcp6"):
            found.tcp |= {
                where for where, state, inode in _internet(net / protocol) if inode in own and state == LISTEN
            }
        for protocol in ("udp", "udp6"):
            found.udp |= {where for where, _, inode in _internet(net / protocol) if inode in own}
        found.unix |= set(_unix(net / "unix", own))
    # The kernel knows a socket by the name that it was bound to, also when that was changed.
    folders = {Path(path).parent for path in found.unix if path.startswith("/")}
    found.unix |= {str(file) for folder in folders for file in folder.iterdir() if file.is_socket()}
    return found


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _internet(table: Path) -> Iterator[tuple[tuple[str, int], str, str]]:
    for line in table.read_text().splitlines()[1:]:
        words = line.split()
        address, _, port = words[1].partition(":")
        yield (_readable(address), int(port, 16)), words[3], words[9]


def _readable(address: str) -> str:
    words = [address[at : at + 8] for at in range(0, len(address), 8)]
    packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    host = socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)
    return host.removeprefix("::ffff:")  # IPv4, on a socket that takes both


def _unix(table: Path, own: set[str]) -> Iterator[str]:
    accepts = 0x10000
    for line in table.read_text().splitlines()[1:]:
        words = line.split(maxsplit=7)
        if words[6] in own and len(words) == 8 and int(words[3], 16) & accepts:
            yield words[7]
