"""A steady load whose every answer is compared with what its version must give; one request in a hundred is bad."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

BAD_EVERY = 100
TIMEOUT_SECONDS = 100
CLOSE_ENOUGH = {"rtol": 1e-4, "atol": 1e-5}  # batches of other sizes add up in another order
BAD_BODIES = (b'{"inputs": [1, 2', b'{"inputs": [1, 2, 3]}', b'{"inputs": "four"}', b"\xff\xfe", b"")


@dataclass(frozen=True)
class Failure:
    """A request that was not answered as it must be; times are of time.monotonic."""

    sent: float
    ended: float
    status: int | None  # None: no answer
    what: str

    @property
    def is_of_the_server(self) -> bool:
        """Whether it is what a process that ends may cause: an answer that says so."""
        return self.status is not None and self.status >= 500


class SteadyLoad(threading.Thread):
    """Runs from ``with`` to its end; whatever it has sent is waited for.

    ``expected`` has for each version the outputs (bodies, classes) of ``inputs`` (bodies, features).
    """

    def __init__(
        self,
        url: str,
        inputs: Sequence[Sequence[float]],
        expected: Mapping[str, NDArray[Any]],
        *,
        rate: float,
    ) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._bodies = [json.dumps({"inputs": list(each)}).encode() for each in inputs]
        self._expected = expected
        self._rate = rate
        self._over = threading.Event()
        self.answers: Counter[tuple[int, str | None]] = Counter()
        self.failures: list[Failure] = []
        self.sent_count = 0

    def run(self) -> None:
        asyncio.run(self._run())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        began = time.monotonic()
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits) as client,
            asyncio.TaskGroup() as requests,
        ):
            for number in itertools.count():
                await asyncio.sleep(began + number / self._rate - time.monotonic())
                if self._over.is_set():
                    return
                self.sent_count += 1
                requests.create_task(self._ask(client, number))

    async def _ask(self, client: httpx.AsyncClient, number: int) -> None:
        bad = number % BAD_EVERY == BAD_EVERY - 1
        index = number % len(self._bodies)
        body = BAD_BODIES[number // BAD_EVERY % len(BAD_BODIES)] if bad else self._bodies[index]
        sent = time.monotonic()
        try:
            answer = await client.post(self._url, content=body, headers={"content-type": "application/json"})
        except httpx.HTTPError as error:
            self.failures.append(Failure(sent, time.monotonic(), None, f"no answer: {error!r}"))
            return
        self.answers[answer.status_code, answer.headers.get("x-model-version")] += 1
        wrong = _wrong_refusal(answer) if bad else self._wrong_answer(answer, index)
        if wrong:
            self.failures.append(Failure(sent, time.monotonic(), answer.status_code, wrong))

    def _wrong_answer(self, answer: httpx.Response, index: int) -> str | None:
        if answer.status_code != 200:
            return f"{answer.status_code}: {answer.text[:300]}"
        version = answer.headers["x-model-version"]
        must = self._expected[version][index]
        given = answer.json()["outputs"]
        if np.shape(given) == must.shape and np.allclose(given, must, **CLOSE_ENOUGH):
            return None
        return f"version {version} answered {given} to body {index}; it must answer {must.tolist()}"


def _wrong_refusal(answer: httpx.Response) -> str | None:
    problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    if 400 <= answer.status_code < 500 and problem:
        return None
    return f"a bad request was answered {answer.status_code}: {answer.text[:300]}"
