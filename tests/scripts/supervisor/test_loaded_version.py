"""What is known of one version that is loaded."""

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import StoreAwayError, VersionNotFoundError, VersionStartError
from statehouse.scripts.servers.torchserve import WorkersStatus, WorkerStatus
from statehouse.scripts.supervisor.loaded_version import (
    LoadedVersion,
    VersionState,
    in_order,
    why_for_clients,
)

FOUR = VersionSettings(workers=4, batch_size=8)


def status(*states, queued=0, on_gpu=False):
    workers = tuple(WorkerStatus(str(n), state, n, on_gpu=on_gpu) for n, state in enumerate(states))
    return WorkersStatus(workers, queued)


@pytest.fixture
def loaded():
    return LoadedVersion("net", "1.0", FOUR)


def opened(loaded, count):
    """Let it have so many doors."""
    loaded.doors = set(range(count))
    loaded.count_doors()


def test_torchserve_is_told_what_its_settings_say(loaded):
    told = loaded.registration
    assert (told.name, told.torchserve_version, told.batch_size, told.worker_count) == ("net", "1.0-g0", 8, 4)
    assert loaded.load_id == "1.0-g0"
    assert loaded.metrics_folder == "net-1.0/1.0-g0"


def test_a_later_loading_has_names_of_its_own():
    again = LoadedVersion("net", "1.0", FOUR, generation=2)
    assert again.load_id == again.registration.torchserve_version == "1.0-g2"
    assert again.metrics_folder == "net-1.0/1.0-g2"


def test_before_the_first_look_it_has_no_workers(loaded):
    assert (loaded.workers, loaded.ready_workers, loaded.queued_requests) == ([], 0, 0)
    assert loaded.device == "cpu"
    assert not loaded.works


def test_who_takes_requests_is_known_by_the_doors_and_the_rest_from_torchserve(loaded):
    loaded.observe(status("READY", "READY", "LOADING", queued=2))
    assert (len(loaded.workers), loaded.ready_workers, loaded.queued_requests) == (3, 0, 2)
    opened(loaded, 1)
    assert loaded.ready_workers == 1


def test_a_gpu_of_one_worker_is_the_version_s(loaded):
    loaded.observe(status("READY"))
    assert loaded.device == "cpu"
    loaded.observe(status("READY", on_gpu=True))
    assert loaded.device == "cuda"


def test_with_fewer_doors_than_it_should_have_it_is_degraded_until_they_are_back(loaded):
    loaded.state = VersionState.READY
    seen = []
    for count in (4, 3, 0, 4):
        opened(loaded, count)
        loaded.observe(status(*["READY"] * 4))  # which may know less, or be late
        seen.append(loaded.state)
    assert seen == [VersionState.READY, VersionState.DEGRADED, VersionState.DEGRADED, VersionState.READY]
    assert loaded.works


@pytest.mark.parametrize("state", [VersionState.LOADING, VersionState.FAILED, VersionState.STOPPED])
def test_only_what_has_proved_itself_becomes_ready_by_its_doors(loaded, state):
    loaded.state = state
    opened(loaded, 4)
    assert loaded.state is state
    assert not loaded.works
    assert not loaded.answers


def test_what_it_lacks_is_told_until_it_lacks_nothing(loaded):
    assert loaded.why_not_ready == "0 of 4 workers are ready"
    loaded.state = VersionState.READY
    assert (loaded.why_not_ready, loaded.answers) == (None, False)
    opened(loaded, 1)
    assert (loaded.why_not_ready, loaded.answers) == ("1 of 4 workers are ready", True)
    opened(loaded, 0)
    ended = "0 of 4 workers are ready: they ended without a word (killed, or out of memory?) and are started again"
    assert (loaded.why_not_ready, loaded.answers) == (ended, False)
    loaded.reason = "no way"
    assert loaded.why_not_ready == "0 of 4 workers are ready: no way"
    opened(loaded, 4)
    assert (loaded.why_not_ready, loaded.reason, loaded.answers) == (None, None, True)


@pytest.mark.parametrize(("reason", "told"), [("no way", "no way"), (None, "failed")])
def test_one_that_failed_answers_nothing_and_says_why(loaded, reason, told):
    loaded.state, loaded.reason = VersionState.FAILED, reason
    assert (loaded.why_not_ready, loaded.answers) == (told, False)


def test_clients_are_told_what_it_was_and_nothing_of_this_machine():
    errors = [StoreAwayError("s3://secret"), VersionNotFoundError("/srv/x"), VersionStartError("/srv/x.py")]
    told = [why_for_clients(error) for error in errors]
    assert [each.partition(".")[0] for each in told] == [
        "the model store does not answer",
        "its files are not as they were published, or cannot be read",
        "its workers cannot be started",
    ]
    assert not any("/srv" in each or "secret" in each for each in told)


def test_they_are_in_the_order_in_which_people_count():
    keys = [("net", "1.10"), ("net", "1.9"), ("anet", "2.0"), ("net", "1.10rc1")]
    versions = {key: LoadedVersion(*key, FOUR) for key in keys}
    ordered = [(each.name, each.version) for each in in_order(versions)]
    assert ordered == [("anet", "2.0"), ("net", "1.9"), ("net", "1.10rc1"), ("net", "1.10")]
