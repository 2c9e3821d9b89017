"""What HAProxy says of its counts, read; a real one says it in test_haproxy.py."""

from statehouse.scripts.servers.haproxy_statistics import (
    CLASSES,
    ClientRequests,
    DoorLoad,
    Tracked,
    read_slot,
    read_statistics,
)

COLUMNS = [
    *("pxname", "svname", "stot", "dcon", "bin", "bout", "wretr", "econ", "eresp", "cli_abrt", "req_tot"),
    *("scur", "slim", "qcur", "status", *(f"hrsp_{name}" for name in CLASSES), ""),
]


def row(name, server, **values):
    told = {"pxname": name, "svname": server} | {key: str(value) for key, value in values.items()}
    return ",".join(told.get(column, "") for column in COLUMNS)


def answer(*rows):
    return "\n".join(["# " + ",".join(COLUMNS), *rows, "", ""])


STAT = (
    answer(
        row("clients", "FRONTEND", stot=7, dcon=1, bin=100, bout=200, scur=3, slim=2000,
            **{f"hrsp_{name}": index for index, name in enumerate(CLASSES)})
    )
    + answer(row("again", "FRONTEND", scur=1))
    + answer(row("s0", "BACKEND", wretr=2, econ=3, eresp=4, cli_abrt=5, qcur=6))
    + answer(row("s0-large", "BACKEND", wretr=10, econ=20, eresp=30, cli_abrt=40, qcur=50))
)  # fmt: skip
TABLE = """\
# table: inflight, type: string, size:1048576, used:3
0x7f: key=digits/1.10-g2/default use=4 exp=0 shard=0 http_req_cnt=10 http_req_rate(10000)=1
0x7f: key=digits/1.10-g2/explicit use=0 exp=9 shard=0 http_req_cnt=3 http_req_rate(10000)=0
0x7f: key=digits/1.10-g2/uncounted use=1 exp=9 shard=0 http_req_cnt=77 http_req_rate(10000)=0
"""
CLIENTS = """\
# table: clients, type: string, size:1048576, used:2
0x7f: key=shop use=2 exp=0 shard=0 gpc0=40 gpc1=5 http_req_rate(1000)=0
0x7f: key=other.one use=0 exp=0 shard=0 gpc0=0 gpc1=1 http_req_rate(1000)=0
"""


def test_what_clients_and_the_slots_cost():
    found = read_statistics(STAT, TABLE, CLIENTS)
    assert found.totals == {
        "connections": 7,
        "connections_refused": 1,
        "received_bytes": 100,
        "sent_bytes": 200,
        "retries": 12,
        "connection_errors": 23,
        "answer_errors": 34,
        "client_aborts": 45,
    }
    assert found.responses == {name: index for index, name in enumerate(CLASSES)}
    assert (found.connections, found.connection_limit, found.queued) == (3, 2000, 57)


def test_requests_of_clients_by_version_and_of_nobody_else():
    found = read_statistics(STAT, TABLE, CLIENTS)
    default, explicit = (Tracked("digits", "1.10", 2, how) for how in ("default", "explicit"))
    assert found.requests == {default: 10, explicit: 3}
    assert found.in_flight == {default: 4, explicit: 0}


def test_requests_by_client():
    assert read_statistics(STAT, TABLE, CLIENTS).clients == {
        "shop": ClientRequests(accepted=40, refused=5, in_flight=2),
        "other.one": ClientRequests(0, 1, 0),
    }


def test_tables_may_be_empty():
    found = read_statistics(STAT, "", "\n")
    assert (found.requests, found.in_flight, found.clients) == ({}, {}, {})


def test_a_slot_s_doors_and_who_waits():
    shown = answer(
        row("s7", "again", scur=1, qcur=0, status="no check"),
        row("s7", "w1", scur=2, qcur=0, status="UP"),
        row("s7", "w2", scur=0, qcur=0, status="DOWN"),
        row("s7", "BACKEND", scur=6, qcur=3, status="UP"),
    ) + answer(
        row("s7-large", "again", scur=0, qcur=0, status="no check"),
        row("s7-large", "w1", scur=5, qcur=0, status="DOWN"),
        row("s7-large", "BACKEND", scur=5, qcur=10, status="UP"),
    )
    found = read_slot(shown)
    assert found.doors == {"w1": DoorLoad(up=True, in_flight=7), "w2": DoorLoad(up=False, in_flight=0)}
    assert found.waiting == 14


def test_a_slot_may_have_no_door():
    found = read_slot(answer(row("s7", "BACKEND", scur=0, qcur=0, status="UP")))
    assert (found.doors, found.waiting) == ({}, 0)
