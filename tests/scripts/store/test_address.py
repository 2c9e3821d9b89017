import pytest

from statehouse.scripts.errors import StoreAddressError
from statehouse.scripts.store import LocalStore, open_store
from statehouse.scripts.store.address import check_address, without_credentials


@pytest.mark.parametrize(
    "address",
    ["model_store", "/a/b c", "s3://bucket", "s3://bucket/a/b", "gs://b/p", "https://host:8443/models"],
)
def test_an_address_without_secrets_is_taken(address):
    assert check_address(address) == address


def test_a_slash_at_the_end_makes_no_other_store():
    assert check_address("s3://bucket/a/") == "s3://bucket/a"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "[::1]:9000"])
def test_http_without_encryption_is_for_this_machine(host):
    assert check_address(f"http://{host}/models")
    with pytest.raises(ValueError, match="use https://"):
        check_address("http://example.org/models")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://AKIA:SECRET@bucket/models", "credentials come from the environment"),
        ("https://user:SECRET@host/models", "credentials come from the environment"),
        ("https://host/models?X-Amz-Signature=SECRET", "credentials come from the environment"),
        ("https://host/models#SECRET", "credentials come from the environment"),
        ("simplecache::s3://bucket/models", "expected PROTOCOL://PLACE"),
        ("file:///models", "give a folder by its path"),
        ("memory://models", "give a folder by its path"),
        ("s3:///models", "expected a bucket or a host"),
        ("s3://bucket/../other", "may not lead upwards"),
    ],
)
def test_what_cannot_be_a_store_is_refused_without_its_secrets(address, problem):
    with pytest.raises(StoreAddressError, match=problem) as refused:
        open_store(address, max_cache_bytes=1)
    assert "SECRET" not in str(refused.value)


def test_a_path_is_a_folder(tmp_path):
    assert isinstance(open_store(str(tmp_path), max_cache_bytes=1), LocalStore)


def test_a_protocol_that_nothing_installed_reads_is_told():
    with pytest.raises(StoreAddressError, match="nosuchprotocol"):
        open_store("nosuchprotocol://bucket/models", max_cache_bytes=1).obtain("digits", "1.0")


def test_texts_of_others_lose_the_credentials_in_their_addresses():
    told = 'could not connect to "http://user:SECRET@host:9000/bucket"'
    assert without_credentials(told) == 'could not connect to "http://host:9000/bucket"'
