from pathlib import Path

import pytest
from tests.certificates import make_certificate

from statehouse.scripts.access.certificate import Certificate
from statehouse.scripts.errors import CertificateError


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    make_certificate(tmp_path / "server.pem")
    return tmp_path / "server.pem"


def test_the_copy_is_private_and_whole(pem: Path, tmp_path: Path) -> None:
    taken = Certificate([pem], tmp_path / "copy.pem").take()
    assert taken == pem.read_text() == (tmp_path / "copy.pem").read_text()
    assert (tmp_path / "copy.pem").stat().st_mode & 0o777 == 0o600


def test_the_private_key_may_have_a_file_of_its_own(pem: Path, tmp_path: Path) -> None:
    key, _, chain = pem.read_text().partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "chain.pem").write_text(f"-----BEGIN CERTIFICATE-----{chain}")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "key.pem").chmod(0o600)
    Certificate([tmp_path / "chain.pem", tmp_path / "key.pem"], tmp_path / "copy.pem").take()


def without_a_key(pem: Path) -> None:
    pem.write_text(pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :])


def with_another_key(pem: Path) -> None:
    chain = pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :]
    make_certificate(pem)
    pem.write_text(pem.read_text()[: pem.read_text().index("-----BEGIN CERTIFICATE")] + chain)


def cut_short(pem: Path) -> None:
    pem.write_text(pem.read_text()[:300])


def absent(pem: Path) -> None:
    pem.unlink()


def not_text(pem: Path) -> None:
    pem.write_bytes(b"\xff\xfe")


def open_to_all(pem: Path) -> None:
    pem.chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_a_key, "private key"),
        (with_another_key, "private key"),
        (cut_short, "PEM"),
        (absent, "cannot be read"),
        (not_text, "cannot be read"),
        (open_to_all, "chmod 600"),
    ],
)
def test_one_that_no_server_could_use_is_refused_and_the_copy_stays(
    pem: Path, tmp_path: Path, spoil, said
) -> None:
    certificate = Certificate([pem], tmp_path / "copy.pem")
    before = certificate.take()
    spoil(pem)
    with pytest.raises(CertificateError, match=said):
        certificate.take()
    assert (tmp_path / "copy.pem").read_text() == before
    assert not (tmp_path / "copy.new").exists()


def test_a_renewal_is_seen_once(pem: Path, tmp_path: Path) -> None:
    certificate = Certificate([pem], tmp_path / "copy.pem")
    certificate.take()
    assert not certificate.has_changed()
    make_certificate(pem)
    assert certificate.has_changed()
    certificate.take()
    assert not certificate.has_changed()
    pem.unlink()  # between two names, as some renew
    assert not certificate.has_changed()
