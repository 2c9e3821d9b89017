"""What the front has counted, as metrics."""

from types import SimpleNamespace

from statehouse.scripts.reader.metrics.front import _TOTALS, client_metrics, front_metrics
from statehouse.scripts.servers.haproxy_statistics import CLASSES, ClientRequests, FrontStatistics, Tracked
from statehouse.scripts.traffic.counts import Traffic
from statehouse.scripts.traffic.problem_log import Problem

STATISTICS = FrontStatistics(
    totals={name: number for number, name in enumerate(_TOTALS, start=1)},
    responses={name: number for number, name in enumerate(CLASSES)},
    connections=3,
    connection_limit=2000,
    queued=6,
    requests={Tracked("net", "1.0", 0, "default"): 10, Tracked("net", "1.0", 1, "explicit"): 2},
    in_flight={Tracked("net", "1.0", 1, "explicit"): 1},
    clients={"shop": ClientRequests(40, 5, 2), "gone": ClientRequests(1, 1, 1)},
)
TOLD = SimpleNamespace(
    counts=lambda versions: {
        Problem("", "", "404", "no-such-model"): 4,
        **{Problem(*key, "422", "wrong-shape"): 2 for key in versions},
    }
)


def look() -> Traffic:
    traffic = Traffic()
    traffic.take_front(STATISTICS)
    return traffic


def test_before_the_first_look_all_is_zero(versions, lines):
    found = lines(front_metrics(versions, Traffic(), SimpleNamespace(counts=lambda versions: {})))
    assert set(found.values()) == {0.0}
    assert 'statehouse_front_requests_total{model="net",version="1.1"}' in found


def test_totals_and_what_is_so_now(versions, lines):
    found = lines(front_metrics(versions, look(), TOLD))
    for number, name in enumerate(_TOTALS, start=1):
        assert found[f"statehouse_front_{name}_total"] == number
    assert found['statehouse_front_responses_total{class="5xx"}'] == CLASSES.index("5xx")
    assert found["statehouse_front_connections_open"] == 3
    assert found["statehouse_front_connections_limit"] == 2000
    assert found["statehouse_front_queued_requests"] == 6


def test_requests_by_version_of_all_its_loadings(versions, lines):
    found = lines(front_metrics(versions, look(), TOLD))
    assert found['statehouse_front_requests_total{model="net",version="1.0"}'] == 12
    assert found['statehouse_front_in_flight{model="net",version="1.0"}'] == 1
    assert found['statehouse_front_requests_total{model="net",version="1.1"}'] == 0


def test_problems_have_a_version_only_where_one_of_ours_was_asked_for(versions, lines):
    found = lines(front_metrics(versions, look(), TOLD))
    name = 'statehouse_front_problems_total{{model="{}",problem="{}",status="{}",version="{}"}}'
    assert found[name.format("", "no-such-model", "404", "")] == 4
    assert found[name.format("net", "wrong-shape", "422", "1.0")] == 2


def test_clients_that_have_keys_and_no_others(lines):
    gate = SimpleNamespace(asks_for_keys=True, keys=SimpleNamespace(clients=["shop", "new"]))
    assert lines(client_metrics(gate, look())) == {
        'statehouse_front_client_requests_total{client="shop",outcome="accepted"}': 40,
        'statehouse_front_client_requests_total{client="shop",outcome="refused"}': 5,
        'statehouse_front_client_requests_total{client="new",outcome="accepted"}': 0,
        'statehouse_front_client_requests_total{client="new",outcome="refused"}': 0,
    }
    assert list(client_metrics(SimpleNamespace(asks_for_keys=False), look())) == []
