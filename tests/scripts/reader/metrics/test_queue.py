"""Who waits, as metrics."""

from statehouse.scripts.reader.metrics.queue import queue_metrics
from statehouse.scripts.servers.torchserve import queue_limit
from statehouse.scripts.servers.torchserve_metrics import Measured
from statehouse.scripts.traffic.counts import Traffic

LABELS = '{model="net",version="1.0"}'


def test_who_waits_and_how_long_torchserve_took(versions, lines):
    traffic = Traffic()
    traffic.take_torchserve(
        {
            Measured(figure, "net", "1.0", generation): value
            for generation in (0, 1)
            for figure, value in (("requests", 3.0), ("served", 0.5))
        }
    )
    found = lines(queue_metrics(versions, traffic))
    assert found[f"statehouse_queue_requests{LABELS}"] == 5  # gRPC's
    assert found[f"statehouse_queue_fill_ratio{LABELS}"] == 5 / queue_limit()
    assert found[f"statehouse_torchserve_seconds_count{LABELS}"] == 6
    assert found[f"statehouse_torchserve_seconds_sum{LABELS}"] == 1.0


def test_who_waits_in_the_slot_counts_too_and_by_what_it_bears(versions, lines):
    loaded = versions["net", "1.0"]
    loaded.waiting_requests, loaded.most_waiting = 30, 40
    found = lines(queue_metrics(versions, Traffic()))
    assert found[f"statehouse_queue_requests{LABELS}"] == 35
    assert found[f"statehouse_queue_fill_ratio{LABELS}"] == 0.75


def test_a_version_without_workers_has_an_empty_queue(versions, lines):
    found = lines(queue_metrics(versions, Traffic()))
    assert found['statehouse_queue_fill_ratio{model="net",version="1.1"}'] == 0


def test_how_long_each_request_waited_is_left_to_the_workers(versions, lines):
    assert not any("queue_seconds" in name for name in lines(queue_metrics(versions, Traffic())))
