"""The front's certificate and keys while it serves: what it is told, and when."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import make_certificate

from statehouse.scripts.access.client_keys import ClientLimits
from statehouse.scripts.access.gate import Gate
from statehouse.scripts.deployment.listen import Access
from statehouse.scripts.errors import CertificateError, ClientKeysError, FrontError
from statehouse.scripts.servers.haproxy import RATES
from statehouse.scripts.servers.private_folder import RuntimeFolder


class Front:
    """What it was told."""

    def __init__(self) -> None:
        self.maps: list[dict[str, dict[str, str]]] = []
        self.certificates: list[str] = []
        self.fails = False

    def know_clients(self, maps: Any) -> None:
        self.maps.append(maps)

    async def set_clients(self, maps: Any) -> None:
        self.maps.append(maps)

    async def set_certificate(self, pem: str) -> None:
        if self.fails:
            raise FrontError("it refuses")
        self.certificates.append(pem)


@pytest.fixture
def front() -> Any:
    return Front()


@pytest.fixture
def make_gate(tmp_path: Path) -> Any:
    """Return a function that makes the gate of a deployment with this `access`."""

    def make(**access: Any) -> Gate:
        runtime = tmp_path / "runtime"
        runtime.mkdir(exist_ok=True)
        return Gate(tmp_path / "deployment.yaml", Access.model_validate(access), RuntimeFolder(runtime))

    return make


def test_without_either_nothing_is_asked_for_and_nothing_told(make_gate: Any, front: Any) -> None:
    gate = make_gate()
    assert (gate.has_certificate, gate.asks_for_keys, gate.connections_per_address) == (False, False, None)
    gate.tell_before_its_start(front)
    assert not asyncio.run(gate.renew_the_certificate(front))
    assert front.maps == front.certificates == []
    with pytest.raises(ClientKeysError, match="access:\n  keys: true"):
        _ = gate.keys


def test_the_front_knows_the_clients_before_it_starts_and_after_each_change(
    make_gate: Any, front: Any, tmp_path: Path
) -> None:
    gate = make_gate(keys=True, connections_per_address=7)
    assert (gate.asks_for_keys, gate.connections_per_address) == (True, 7)
    gate.tell_before_its_start(front)
    gate.keys.add("shop", ClientLimits(requests_per_second=5))
    asyncio.run(gate.tell(front))
    assert [maps[RATES] for maps in front.maps] == [{}, {"shop": "5"}]
    assert (tmp_path / "deployment.keys.json").exists()


def test_a_certificate_is_taken_at_once_beside_the_deployment(make_gate: Any, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"server\.pem"):
        make_gate(certificate="server.pem")
    make_certificate(tmp_path / "server.pem")
    gate = make_gate(certificate="server.pem")
    assert gate.has_certificate
    assert (tmp_path / "runtime" / "certificate.pem").read_text() == (tmp_path / "server.pem").read_text()


def test_a_renewed_certificate_is_shown_once(make_gate: Any, front: Any, tmp_path: Path) -> None:
    make_certificate(tmp_path / "server.pem")
    gate = make_gate(certificate="server.pem")
    assert not asyncio.run(gate.renew_the_certificate(front))
    make_certificate(tmp_path / "server.pem")
    assert asyncio.run(gate.renew_the_certificate(front))
    assert not asyncio.run(gate.renew_the_certificate(front))
    assert front.certificates == [(tmp_path / "server.pem").read_text()]


def test_one_that_cannot_be_used_is_told_once_and_the_one_before_still_shown(
    make_gate: Any, front: Any, tmp_path: Path
) -> None:
    make_certificate(tmp_path / "server.pem")
    gate = make_gate(certificate="server.pem")
    (tmp_path / "server.pem").write_text("no certificate")
    with pytest.raises(CertificateError, match="was not renewed, the one before is still shown: "):
        asyncio.run(gate.renew_the_certificate(front))
    assert not asyncio.run(gate.renew_the_certificate(front))
    make_certificate(tmp_path / "server.pem")
    front.fails = True
    with pytest.raises(CertificateError, match="still shown: it refuses"):
        asyncio.run(gate.renew_the_certificate(front))
    assert front.certificates == []
