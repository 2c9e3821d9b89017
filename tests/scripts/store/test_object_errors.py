"""What stores raise, in our words: what may come right when asked again is told from what will not."""

import pytest

from statehouse.scripts.errors import ChangedObjectError, StoreAwayError, StoreRefusedError
from statehouse.scripts.store.object_errors import NOT_NOW, SPOILT, code_of, our_error, status_of


class AnsweredError(Exception):
    """As botocore raises it."""

    def __init__(self, said="no", *, status=None, code=None):
        super().__init__(said)
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


def behind(error, cause):
    error.__cause__ = cause
    return error


def named(name, said=""):
    return type(name, (Exception,), {})(said)


def aiohttp_error(status):
    error = Exception("no")
    error.status = status
    return error


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (named("FileExpired"), ChangedObjectError, "what was being read was replaced meanwhile (read x)"),
        (
            PermissionError("denied"),
            StoreRefusedError,
            "refuses to let us read x: denied. Credentials come from",
        ),
        (named("NoCredentialsError"), StoreRefusedError, "refuses to let us read x: NoCredentialsError."),
        (AnsweredError(status=403), StoreRefusedError, "refuses to let us read x: no."),
        (aiohttp_error(401), StoreRefusedError, "refuses to let us"),
        (NotImplementedError(), StoreRefusedError, "has no way to read x: NotImplementedError."),
        (ValueError("bad"), StoreRefusedError, "has no way to read x: bad."),
        (AnsweredError(status=404), StoreRefusedError, "refuses to read x: no."),
        (AnsweredError(status=400), StoreRefusedError, "refuses to read x: no."),
        (AnsweredError(status=409), StoreAwayError, "does not answer (to read x): no."),
        (OSError("lost"), StoreAwayError, "does not answer (to read x): lost."),
        (TimeoutError(), StoreAwayError, "does not answer (to read x): TimeoutError."),
    ],
)
def test_each_kind_is_told(error, kind, told):
    found = our_error("s3://bucket", "read x", error)
    assert type(found) is kind
    assert str(found).startswith("s3://bucket")
    assert told in str(found)


@pytest.mark.parametrize("status", NOT_NOW)
def test_what_says_not_now_may_come_right(status):
    for error in (AnsweredError(status=status), aiohttp_error(status)):
        assert isinstance(our_error("s3://b", "read", error), StoreAwayError)


@pytest.mark.parametrize("code", SPOILT)
def test_what_a_connection_spoilt_may_come_right_whatever_its_status(code):
    found = our_error("s3://b", "write", AnsweredError(status=400, code=code))
    assert isinstance(found, StoreAwayError)
    assert "did not get what was sent (to write)" in str(found)


def test_what_s3_answered_is_found_behind_what_fsspec_raised():
    answered = AnsweredError(status=404, code="NoSuchBucket")
    for error in (answered, behind(OSError("no"), answered), behind(OSError(), behind(OSError(), answered))):
        assert (status_of(error), code_of(error)) == (404, "NoSuchBucket")
    assert (status_of(OSError()), code_of(OSError())) == (None, None)


def test_a_spoken_secret_is_not_said_again():
    found = our_error("https://host", "read", OSError("cannot reach https://me:secret@host/x."))
    assert "secret" not in str(found)
    assert str(found) == "https://host does not answer (to read): cannot reach https://host/x."
