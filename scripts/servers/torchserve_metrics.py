"""What TorchServe measures that workers cannot: how long requests wait in its queues, by version."""

from __future__ import annotations

import re
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

# As Registration.torchserve_version writes it.
_REGISTERED = re.compile(r"(?P<version>.+)-g(?P<generation>\d+)")
_READ = {
    "ts_inference_requests": "requests",
    "ts_queue_latency_microseconds": "queued",
    "ts_inference_latency_microseconds": "served",
}


class Measured(NamedTuple):
    """One figure of gRPC requests to one version, as it was loaded one time.

    `requests`, or seconds `queued` or `served` (from arrival to answer).
    """

    figure: str
    name: str
    version: str
    generation: int


def read_measured(text: str) -> dict[Measured, float]:
    """Read TorchServe's metrics; times are in seconds.

    gRPC requests that name no version are left out: TorchServe books them under "default", whichever that was.
    """
    found: dict[Measured, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            figure = _READ.get(sample.name.removesuffix("_total"))  # which the parser adds where it is absent
            parsed = _REGISTERED.fullmatch(sample.labels.get("model_version", ""))
            if figure is None or parsed is None:
                continue
            generation = int(parsed["generation"])
            key = Measured(figure, sample.labels["model_name"], parsed["version"], generation)
            found[key] = sample.value if figure == "requests" else sample.value / 1e6
    return found
