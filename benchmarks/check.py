"""Before a server is measured: does it answer what the module answers?"""

from __future__ import annotations

import httpx
import numpy as np

from benchmarks.peers.peer import Peer
from benchmarks.workloads import Form, Workload

TOLERANCE = 1e-3


class WrongAnswerError(Exception):
    """A server's answer is not the module's."""


def check_answers(peer: Peer, form: Form, workload: Workload) -> None:
    """Ask for every row once; raises WrongAnswerError at the first that is refused or differs."""
    target = peer.target(form)
    if target is None:
        raise WrongAnswerError(f"{peer.name} takes no {form}")
    with httpx.Client(timeout=60) as client:
        for body, expected in zip(target.bodies, workload.expected, strict=True):
            answer = client.post(target.url, content=body, headers=dict(target.headers))
            if answer.status_code // 100 != 2:
                raise WrongAnswerError(f"{peer.name}, {form}: {answer.status_code} {answer.text[:500]}")
            found = peer.read(form, answer.content, dict(answer.headers))
            if not _same(found, expected):
                raise WrongAnswerError(f"{peer.name}, {form}: answered {found}; expected {expected}")


def _same(found: np.ndarray | str, expected: np.ndarray) -> bool:
    if isinstance(found, str):
        return found == str(int(expected.argmax()))
    return found.shape == expected.shape and bool(np.allclose(found, expected, atol=TOLERANCE))
