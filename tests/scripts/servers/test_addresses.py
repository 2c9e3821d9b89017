import socket

import pytest

from statehouse.scripts.errors import ServerStartError
from statehouse.scripts.servers.addresses import Addresses, address_of, concrete, listener


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_port_0_is_any_that_is_free(address: str) -> None:
    with listener("front", address) as listening:
        assert address_of(listening)[1] > 0
    host, port = concrete("grpc", address)
    assert (host in ("127.0.0.1", "::1"), port > 0) == (True, True)


@pytest.mark.parametrize("what", ["front", "grpc"])
def test_a_port_that_is_taken_is_told_with_where_to_change_it(what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerStartError, match=f"{what} cannot listen on {address}.*listen.{what}"):
            (listener if what == "front" else concrete)(what, address)


def test_urls() -> None:
    addresses = Addresses(front=("127.0.0.1", 80), reader=("::1", 81), grpc=("127.0.0.1", 82))
    assert addresses.url("front") == "http://127.0.0.1:80"
    assert addresses.url("reader") == "http://[::1]:81"
