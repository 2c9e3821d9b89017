"""Which names and addresses lead to this machine alone."""

import pytest

from statehouse.scripts.machine import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "example.org", "0", "127.1", "127.0.0.1.example.org", ""],
)
def test_what_others_may_reach_or_is_not_known(host: str) -> None:
    assert not is_loopback(host)
