"""The server, its versions and the changes to them, as metrics."""

from types import SimpleNamespace

from statehouse import __version__
from statehouse.scripts.reader.metrics.versions import (
    EXPECTED_CHANGES,
    change_metrics,
    server_metrics,
    version_metrics,
)
from statehouse.scripts.supervisor.change_counts import OUTCOMES, ChangeCounts
from statehouse.scripts.supervisor.loaded_version import VersionState


def server(why_not_up):
    return SimpleNamespace(process=SimpleNamespace(why_not_up=why_not_up))


def test_the_server_as_a_whole(lines):
    assert lines(server_metrics(server(None), server("has not answered for 3 s"), ready=False)) == {
        f'statehouse_info{{version="{__version__}"}}': 1,
        "statehouse_ready": 0,
        'statehouse_process_up{process="front"}': 1,
        'statehouse_process_up{process="torchserve"}': 0,
    }


def test_how_a_version_stands(versions, loaded, lines):
    found = lines(version_metrics(versions, {"net": "1.0"}.get))
    labels = '{model="net",version="1.0"}'
    assert {name: found[f"statehouse_{name}{labels}"] for name in (
        "version_ready", "default", "workers_ready", "workers_desired", "version_load_seconds", "model_parameters",
    )} == {
        "version_ready": 0, "default": 1, "workers_ready": 3, "workers_desired": 4, "version_load_seconds": 1.5,
        "model_parameters": 20,
    }  # fmt: skip
    loaded.state = VersionState.READY
    assert lines(version_metrics(versions, {}.get))[f"statehouse_version_ready{labels}"] == 1


def test_what_a_version_is(versions, lines):
    found = lines(version_metrics(versions, {}.get))
    [info] = [name for name in found if name.startswith("statehouse_model_info") and 'version="1.0"' in name]
    for label in (
        'state="degraded"',
        f'digest="{"d" * 64}"',
        'task="tensor"',
        'device="cpu"',
        'parameters="20"',
    ):
        assert label in info


def test_one_that_could_not_be_read_is_told_without_what_is_not_known(versions, lines):
    found = lines(version_metrics(versions, {}.get))
    assert found['statehouse_model_info{model="net",state="failed",version="1.1"}'] == 1
    assert 'statehouse_model_parameters{model="net",version="1.1"}' not in found
    assert found['statehouse_version_load_seconds{model="net",version="1.1"}'] == 0


def test_changes_are_told_before_the_first_of_them(versions, lines):
    counts = ChangeCounts()
    counts.add("net", "scale", "done")
    found = lines(change_metrics(versions, counts))
    name = 'statehouse_changes_total{{kind="{}",model="net",outcome="{}"}}'
    for kind in EXPECTED_CHANGES:
        for outcome in OUTCOMES:
            assert found[name.format(kind, outcome)] == 0
    assert found[name.format("scale", "done")] == 1
