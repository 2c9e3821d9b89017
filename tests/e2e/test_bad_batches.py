"""Good and bad requests at once, in the same batches: each gets its own answer, and the worker stays."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch
from examples import train_digits
from tests.e2e.server import Server

from statehouse.models.checkpoint import load_checkpoint

CONNECTIONS = 16
REQUESTS_EACH = 60
BAD_NET: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 422),
    (b"[" * 100_000, 400),
    (b'{"inputs": [1]}', 422),
    (b'{"inputs": ["1", 2, 3, 4, 5, 6]}', 422),
    (json.dumps({"instances": [[0.0] * 6, [0.0] * 5]}).encode(), 422),
    (json.dumps({"instances": [[0.0] * 6] * 10_001}).encode(), 413),
    (bytes(23), 422),
    (b"\x89PNG\r\n\x1a\n", 415),
]


@dataclass(frozen=True)
class Exchange:
    """One request and what its answer must be."""

    body: bytes
    status: int
    check: Callable[[httpx.Response], None] = lambda answer: None


def batches(server: Server, name: str) -> tuple[float, float]:
    """Batches and requests that the workers of version 1.0 have answered."""
    lines = server.reader.get("/metrics").text.splitlines()

    def count(figure: str) -> float:
        start = f'statehouse_batch_requests_{figure}{{model="{name}",version="1.0"}} '
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    return count("count"), count("sum")


def send_all(server: Server, path: str, exchanges: list[Exchange]) -> None:
    """Send every exchange over 16 connections; each answer must be its own."""

    def talk(mine: list[Exchange]) -> None:
        with httpx.Client(base_url=server.announced["front"], timeout=60) as client:
            for exchange in mine:
                answer = client.post(path, content=exchange.body)
                assert answer.status_code == exchange.status, (exchange.body[:80], answer.text[:300])
                assert answer.headers["x-model-version"] == "1.0"
                assert len(answer.headers["x-model-digest"]) == 64
                if exchange.status != 200:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.json()["status"] == exchange.status
                exchange.check(answer)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(talk, exchanges[n::CONNECTIONS]) for n in range(CONNECTIONS)]:
            done.result()


def answers_outputs(expected: torch.Tensor) -> Callable[[httpx.Response], None]:
    def check(answer: httpx.Response) -> None:
        assert torch.allclose(torch.tensor(answer.json()["outputs"]), expected, atol=1e-5)

    return check


def answers_label(label: object) -> Callable[[httpx.Response], None]:
    def check(answer: httpx.Response) -> None:
        assert answer.json()["label"] == str(label)

    return check


@pytest.fixture
def mixed() -> random.Random:
    return random.Random(0)


def test_bad_requests_harm_no_other_of_their_batch(
    server: Server, architecture_files: dict[str, dict[str, Path]], mixed: random.Random
) -> None:
    module = load_checkpoint(architecture_files["simple_net"]["1.0"]).build()
    rows = torch.randn(CONNECTIONS * REQUESTS_EACH, 6, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        outputs = module(rows)
    exchanges = [
        Exchange(json.dumps({"inputs": row.tolist()}).encode(), 200, answers_outputs(expected))
        if mixed.random() < 0.6
        else Exchange(*mixed.choice(BAD_NET))
        for row, expected in zip(rows, outputs, strict=True)
    ]
    before, pids = batches(server, "simple_net"), server.model("simple_net", "1.0")["workers"]["pids"]
    send_all(server, "/predictions/simple_net", exchanges)
    count, requests = (after - was for after, was in zip(batches(server, "simple_net"), before, strict=True))
    assert requests == len(exchanges)
    assert count < requests  # there were real batches
    assert server.model("simple_net", "1.0")["workers"]["pids"] == pids


def test_bad_images_harm_no_other_of_their_batch(server: Server, mixed: random.Random) -> None:
    split = train_digits.load_split()
    pngs = [train_digits.to_png(pixels) for pixels in split.test_pixels[:200]]
    labels = [server.client.post("/predictions/digits", content=png).json()["label"] for png in pngs]
    bad = [(pngs[0][:-9], 422), (b"GIF89a", 415), (b"", 400), (b"{}", 400), (pngs[0][:30], 422)]
    exchanges = [Exchange(png, 200, answers_label(label)) for png, label in zip(pngs, labels, strict=True)]
    exchanges += [Exchange(*mixed.choice(bad)) for _ in range(150)]
    mixed.shuffle(exchanges)
    pids = server.model("digits", "1.0")["workers"]["pids"]
    send_all(server, "/predictions/digits", exchanges)
    assert server.model("digits", "1.0")["workers"]["pids"] == pids
