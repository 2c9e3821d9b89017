from pathlib import Path

import pytest

from statehouse.scripts.access.client_keys import PREFIX, ClientKeys, ClientLimits, sha256_of
from statehouse.scripts.errors import ClientKeysError
from statehouse.scripts.servers.haproxy import CONCURRENCY, KEYS, RATES, READERS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployment.keys.json"


def test_a_key_is_256_random_bits_and_kept_nowhere(file: Path) -> None:
    keys = ClientKeys(file)
    made = {keys.add(f"client-{number}", ClientLimits()) for number in range(50)}
    assert len(made) == 50
    for key in made:
        assert key.startswith(PREFIX)
        assert len(key) == len(PREFIX) + 43
        assert key not in file.read_text()
        assert sha256_of(key) in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_was_written_is_read_again(file: Path) -> None:
    keys = ClientKeys(file)
    keys.add("shop", ClientLimits(requests_per_second=7, concurrent_requests=3, metrics=True))
    keys.rotate("shop", keep_seconds=60)
    assert ClientKeys(file).clients == keys.clients
    assert ClientKeys(file).maps() == keys.maps()


def test_the_maps_of_the_front(file: Path) -> None:
    keys = ClientKeys(file)
    first = keys.add("shop", ClientLimits(requests_per_second=7, metrics=True))
    second = keys.rotate("shop", keep_seconds=60)
    maps = keys.maps()
    assert maps[KEYS][sha256_of(second)] == "shop"
    name, until = maps[KEYS][sha256_of(first)].split("|")
    assert (name, int(until) > 0) == ("shop", True)
    assert (maps[RATES], maps[CONCURRENCY], maps[READERS]) == ({"shop": "7"}, {"shop": "32"}, {"shop": "yes"})


def test_rotating_again_gives_an_old_key_no_longer_life(file: Path) -> None:
    keys = ClientKeys(file)
    first = keys.add("shop", ClientLimits())
    keys.rotate("shop", keep_seconds=60)
    until = keys.maps()[KEYS][sha256_of(first)]
    keys.rotate("shop", keep_seconds=6000)
    assert keys.maps()[KEYS][sha256_of(first)] == until
    keys.rotate("shop", keep_seconds=-1)
    assert len(keys.maps()[KEYS]) == 1


def test_limits_change_and_keys_stay(file: Path) -> None:
    keys = ClientKeys(file)
    keys.add("shop", ClientLimits(requests_per_second=7))
    before = keys.maps()[KEYS]
    keys.limit("shop", {"concurrent_requests": 2})
    assert keys.maps()[KEYS] == before
    assert keys.clients["shop"].limits == ClientLimits(requests_per_second=7, concurrent_requests=2)


def test_who_is_revoked_is_gone(file: Path) -> None:
    keys = ClientKeys(file)
    keys.add("shop", ClientLimits())
    keys.revoke("shop")
    assert not any(ClientKeys(file).maps().values())


def test_mistakes_are_told(file: Path) -> None:
    keys = ClientKeys(file)
    keys.add("shop", ClientLimits())
    with pytest.raises(ClientKeysError, match="statehouse key rotate shop"):
        keys.add("shop", ClientLimits())
    for change in (
        keys.revoke,
        lambda name: keys.rotate(name, keep_seconds=1),
        lambda name: keys.limit(name, {}),
    ):
        with pytest.raises(ClientKeysError, match="no client 'shope'; there are: shop"):
            change("shope")


def test_a_file_that_others_may_read_or_that_is_broken_is_refused(file: Path) -> None:
    ClientKeys(file).add("shop", ClientLimits())
    file.chmod(0o640)
    with pytest.raises(ClientKeysError, match="chmod 600"):
        ClientKeys(file)
    file.chmod(0o600)
    file.write_text('{"clients": {"shop": {"keys": [{"sha256": "x", "added": ""}]}}}')
    with pytest.raises(ClientKeysError, match="sha256"):
        ClientKeys(file)


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    keys = ClientKeys(tmp_path / "gone" / "deployment.keys.json")
    with pytest.raises(ClientKeysError, match="Nothing was changed"):
        keys.add("shop", ClientLimits())
    assert not keys.clients
