"""By which door a command comes to the front, and which key it shows there."""

import ssl
from pathlib import Path

import pytest
from tests.certificates import make_certificate

from statehouse.scripts.access.front_door import KEY_VARIABLE, FrontDoor, key_from
from statehouse.scripts.errors import ArgumentError

STATUS = {"own_socket": None, "certificate": None, "front": "http://127.0.0.1:8080"}
WITH_KEYS = STATUS | {"own_socket": "/run/own.sock"}


def test_the_public_door_where_no_keys_are_asked_for() -> None:
    door = FrontDoor.of(STATUS, None)
    assert door == FrontDoor("http://127.0.0.1:8080")
    assert (door.headers, door.tls()) == ({}, None)


def test_the_private_door_where_keys_are_asked_for_and_none_is_given() -> None:
    assert FrontDoor.of(WITH_KEYS, None) == FrontDoor("http://front", socket=Path("/run/own.sock"))


def test_who_gives_a_key_comes_in_as_clients_do() -> None:
    door = FrontDoor.of(WITH_KEYS | {"certificate": "/run/copy.pem"}, "sth_abc")
    assert (door.url, door.socket, door.certificate) == (STATUS["front"], None, Path("/run/copy.pem"))
    assert door.headers == {"authorization": "Bearer sth_abc"}
    assert "sth_abc" not in repr(door)


def test_only_the_front_s_own_certificate_is_trusted(tmp_path: Path) -> None:
    make_certificate(tmp_path / "one.pem", names=("elsewhere.example",))
    make_certificate(tmp_path / "other.pem")
    context = FrontDoor("https://127.0.0.1", certificate=tmp_path / "one.pem").tls()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert (_shakes_hands(context, tmp_path / "one.pem"), _shakes_hands(context, tmp_path / "other.pem")) == (
        True,
        False,
    )


def _shakes_hands(client: ssl.SSLContext, certificate: Path) -> bool:
    """Whether a client takes a server of this certificate; in memory, without a socket."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


def test_a_key_is_read_from_its_file_else_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert key_from(None) is None
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert key_from(None) is None
    monkeypatch.setenv(KEY_VARIABLE, "sth_environment")
    assert key_from(None) == "sth_environment"
    (tmp_path / "key").write_text(" sth_file\n\n")
    assert key_from(tmp_path / "key") == "sth_file"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", b"\x01"])
def test_a_file_without_a_key_says_what_one_has(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(
        ArgumentError, match="holds no key; expected one line, as `statehouse key add` prints it"
    ):
        key_from(tmp_path / "key")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes("schlüssel".encode())
    for file in (tmp_path / "key", tmp_path / "absent", tmp_path):
        with pytest.raises(ArgumentError, match=f"--key-file '{file}' cannot be read: "):
            key_from(file)
