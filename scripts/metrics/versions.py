"""What the supervisor knows of the server, its versions and the changes to them, as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from scripts import __version__
from scripts.change_counts import OUTCOMES
from scripts.loaded_version import LoadedVersion, VersionState
from scripts.supervisor import Supervisor

LABELS = ["model", "version"]
# What an operator is to hear of, even before the first of them.
EXPECTED_CHANGES = ("swap", "rollback", "retire")


def server_metrics(supervisor: Supervisor, *, ready: bool) -> Iterator[Metric]:
    """The server as a whole."""
    yield InfoMetricFamily("statehouse", "This server.", {"version": __version__})
    yield GaugeMetricFamily("statehouse_ready", "Whether every version has proved itself.", int(ready))
    up = GaugeMetricFamily("statehouse_process_up", "Whether the process runs.", labels=["process"])
    up.add_metric(["front"], int(supervisor.front.process.running))
    up.add_metric(["torchserve"], int(supervisor.torchserve.process.running))
    yield up


def version_metrics(supervisor: Supervisor) -> Iterator[Metric]:
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
    for key, loaded in supervisor.versions.items():
        info.add_metric(key, _info(loaded))
        for name, value in _values(supervisor, loaded).items():
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


def _values(supervisor: Supervisor, loaded: LoadedVersion) -> dict[str, float]:
    return {
        "version_ready": loaded.state is VersionState.READY,
        "default": supervisor.front.default_of(loaded.name) == loaded.version,
        "workers_ready": loaded.ready_workers,
        "workers_desired": loaded.settings.total_workers,
        "version_load_seconds": loaded.load_seconds or 0.0,
    }


def change_metrics(supervisor: Supervisor) -> Iterator[Metric]:
    """The changes since this server started, by how they ended."""
    family = CounterMetricFamily(
        "statehouse_changes", "Changes to what is served, by outcome.", labels=["model", "kind", "outcome"]
    )
    names = {name for name, _ in supervisor.versions}
    for key, count in supervisor.change_counts.counts(names, EXPECTED_CHANGES, OUTCOMES).items():
        family.add_metric(key, count)
    yield family
