"""Where a worker's door is; apart from the door itself, so that who only watches doors needs no torch."""

from pathlib import Path
from typing import NamedTuple


class DoorFiles(NamedTuple):
    """Where a worker's door is: paths of its own, as connections to a replaced socket would go to the old process."""

    socket: Path
    large_socket: Path
    pulse: Path  # made last: where it is, the door is open

    @classmethod
    def of(cls, prefix: str, pid: int) -> "DoorFiles":
        """The files of the worker `pid` among those whose door begins with `prefix`."""
        return cls(*(Path(f"{prefix}.{pid}.{kind}") for kind in ("small", "large", "pulse")))
