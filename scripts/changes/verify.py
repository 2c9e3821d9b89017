"""Golden requests to a running version's own URL, through the front: the whole way that clients go."""

from __future__ import annotations

import httpx

from statehouse.handlers.golden import compare, read_golden
from statehouse.handlers.request import UNCOUNTED_HEADER
from statehouse.models.errors import listed
from statehouse.scripts.errors import GoldenRequestError
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.supervisor.loaded_version import LoadedVersion

TIMEOUT_SECONDS = 60
DEFAULT_TOLERANCE = 1e-4


async def send_golden_requests(front: Front, loaded: LoadedVersion) -> int:
    """Send every golden example to ``NAME/VERSION`` and compare; return how many there are.

    No metric counts them. Raises GoldenRequestError with every difference.
    """
    if loaded.published is None:
        raise GoldenRequestError(f"{loaded.name} {loaded.version} is not loaded.")
    golden = read_golden(loaded.published.golden_path)
    in_bfloat16 = "bfloat16" in loaded.settings.optimizations
    dtypes = ["bfloat16"] if in_bfloat16 else loaded.published.manifest.dtypes
    tolerance = _tolerance(golden.tolerances, loaded.device, dtypes)
    url = f"/predictions/{loaded.name}/{loaded.version}"
    problems: list[str] = []
    async with front.own_client(timeout_seconds=TIMEOUT_SECONDS) as client:
        for index, example in enumerate(golden.examples):
            headers = {
                "content-type": example.content_type,
                UNCOUNTED_HEADER: front.uncounted_secret,
            }
            try:
                answer = await client.post(url, content=example.body, headers=headers)
                told = f"example {index}: $"
                problems += _differences(example.response, answer, loaded.version, tolerance, told)
            except httpx.HTTPError as error:
                problems.append(f"example {index}: no answer, {error!r}")
    if problems:
        header = f"{loaded.name} {loaded.version} answers otherwise by its URL:"
        raise GoldenRequestError(listed(header, problems, "  - "))
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
