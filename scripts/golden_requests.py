"""Golden requests to a running version's own URL, through the front: the whole way that clients go."""

from __future__ import annotations

import httpx

from handlers.golden import compare, read_golden
from handlers.request import UNCOUNTED_HEADER
from scripts.errors import GoldenRequestError
from scripts.loaded_version import LoadedVersion
from scripts.supervisor import Supervisor

TIMEOUT_SECONDS = 60
DEFAULT_TOLERANCE = 1e-4


async def send_golden_requests(supervisor: Supervisor, loaded: LoadedVersion) -> int:
    """Send every golden example to ``NAME/VERSION`` and compare; return how many there are.

    No metric counts them. Raises GoldenRequestError with every difference.
    """
    if loaded.published is None:
        raise GoldenRequestError(f"{loaded.name} {loaded.version} is not loaded.")
    golden = read_golden(loaded.published.golden_path)
    dtypes = [*loaded.published.manifest.dtypes, *loaded.settings.optimizations]  # one of which is bfloat16
    tolerance = _tolerance(golden.tolerances, loaded.device, dtypes)
    url = f"/predictions/{loaded.name}/{loaded.version}"
    problems: list[str] = []
    async with supervisor.front.own_client(timeout_seconds=TIMEOUT_SECONDS) as client:
        for index, example in enumerate(golden.examples):
            headers = {
                "content-type": example.content_type,
                UNCOUNTED_HEADER: supervisor.front.uncounted_secret,
            }
            try:
                answer = await client.post(url, content=example.body, headers=headers)
                told = f"example {index}: $"
                problems += _differences(example.response, answer, loaded.version, tolerance, told)
            except httpx.HTTPError as error:
                problems.append(f"example {index}: no answer, {error!r}")
    if problems:
        listed = "\n  - ".join(problems)
        raise GoldenRequestError(
            f"{loaded.name} {loaded.version} answers otherwise by its URL:\n  - {listed}"
        )
    return len(golden.examples)


def _differences(
    expected: object, answer: httpx.Response, version: str, tolerance: float, told: str
) -> list[str]:
    if answer.is_error:
        return [f"{told}: status {answer.status_code}, {answer.text[:200]}"]
    served_by = answer.headers.get("x-model-version")
    if served_by != version:
        return [f"{told}: answered by version {served_by}"]
    try:
        return compare(expected, answer.json(), tolerance, told)
    except ValueError:
        return [f"{told}: no JSON, {answer.text[:200]!r}"]


def _tolerance(tolerances: dict[str, float], device: str, dtypes: list[str]) -> float:
    known = [tolerances[key] for dtype in dtypes if (key := f"{device}/{dtype}") in tolerances]
    return max(known, default=DEFAULT_TOLERANCE)
