"""What the supervisor knows of the server, its versions and the changes to them, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from statehouse import __version__
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.torchserve import TorchServe
from statehouse.scripts.supervisor.change_counts import OUTCOMES, ChangeCounts
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, Versions, VersionState

LABELS = ["model", "version"]
# What an operator is to hear of, even before the first of them.
EXPECTED_CHANGES = ("swap", "rollback", "retire")


def server_metrics(front: Front, torchserve: TorchServe, *, ready: bool) -> Iterator[Metric]:
    """The server as a whole."""
    yield InfoMetricFamily("statehouse", "This server.", {"version": __version__})
    yield GaugeMetricFamily("statehouse_ready", "Whether every version has proved itself.", int(ready))
    up = GaugeMetricFamily(
        "statehouse_process_up", "Whether the process runs and answers.", labels=["process"]
    )
    up.add_metric(["front"], int(not front.process.why_not_up))
    up.add_metric(["torchserve"], int(not torchserve.process.why_not_up))
    yield up


def version_metrics(versions: Versions, default_of: Callable[[str], str | None]) -> Iterator[Metric]:
    """Every version: what it is, and how it stands."""
    info = InfoMetricFamily("statehouse_model", "What a version is.", labels=LABELS)
    parameters = GaugeMetricFamily("statehouse_model_parameters", "Parameters of the module.", labels=LABELS)
    gauges = {
        "version_ready": "Whether the version has all its workers, and they have proved themselves.",
        "default": "Whether requests that name no version go to this one.",
        "workers_ready": "Workers that have proved themselves.",
        "workers_desired": "Workers that there should be.",
        "version_load_seconds": "From the order to load the version until it had proved itself.",
    }
    families = {
        name: GaugeMetricFamily(f"statehouse_{name}", help_text, labels=LABELS)
        for name, help_text in gauges.items()
    }
    for key, loaded in versions.items():
        info.add_metric(key, _info(loaded))
        for name, value in _values(loaded, default_of(loaded.name)).items():
            families[name].add_metric(key, value)
        if loaded.published is not None:
            parameters.add_metric(key, loaded.published.manifest.parameter_count)
    yield from (info, parameters, *families.values())


def _info(loaded: LoadedVersion) -> dict[str, str]:
    if loaded.published is None:
        return {"state": loaded.state.lower()}
    manifest = loaded.published.manifest
    return {
        "state": loaded.state.lower(),
        "digest": manifest.digest,
        "architecture": manifest.architecture,
        "task": manifest.task,
        "device": loaded.device,
        "parameters": str(manifest.parameter_count),
    }


def _values(loaded: LoadedVersion, default: str | None) -> dict[str, float]:
    return {
        "version_ready": loaded.state is VersionState.READY,
        "default": default == loaded.version,
        "workers_ready": loaded.ready_workers,
        "workers_desired": loaded.settings.workers,
        "version_load_seconds": loaded.load_seconds or 0.0,
    }


def change_metrics(versions: Versions, counts: ChangeCounts) -> Iterator[Metric]:
    """The changes since this server started, by how they ended."""
    family = CounterMetricFamily(
        "statehouse_changes", "Changes to what is served, by outcome.", labels=["model", "kind", "outcome"]
    )
    names = {name for name, _ in versions}
    for key, count in counts.counts(names, EXPECTED_CHANGES, OUTCOMES).items():
        family.add_metric(key, count)
    yield family
