import json
from dataclasses import replace

import numpy as np
import pytest

from statehouse.handlers.bodies.payload import collect_rows, decode, encode_answers
from statehouse.handlers.errors import (
    EmptyBodyError,
    InvalidInputError,
    MalformedRequestError,
    RowsRefusedError,
    UnsupportedMediaError,
)
from statehouse.handlers.request import Part, Request
from statehouse.models import TensorTask


@pytest.fixture
def reader(make_handler):
    return make_handler("fragile_net", {}, TensorTask())


@pytest.mark.parametrize(
    ("request_", "answer", "count"),
    [
        (Request(b'{"inputs": [1, 2]}', "application/json"), "one", 1),
        (Request(b'{"instances": [[1, 2]]}', "application/json"), "many", 1),
        (Request(b'{"instances": [[1, 2], [3, 4]]}', "application/ld+json"), "many", 2),
        (Request(b'{"instances": [[1, 2]]}', "text/plain", "v1"), "many", 1),
        (Request(np.zeros(2, "<f4").tobytes()), "one", 1),
    ],
)
def test_each_form_says_how_it_wants_to_be_answered(reader, request_, answer, count):
    decoded = decode(request_, reader)
    assert (decoded.answer, decoded.rows.shape) == (answer, (count, 2))


def test_v1_takes_instances_only(reader):
    with pytest.raises(MalformedRequestError, match=r"'inputs'; expected {'instances': \[row, …\]}"):
        decode(Request(b'{"inputs": [1, 2]}', "application/json", "v1"), reader)


@pytest.mark.parametrize("form", ["v1", "v2"])
def test_the_protocols_know_no_parts(reader, form):
    with pytest.raises(UnsupportedMediaError, match="parts"):
        decode(Request(b"", form=form, parts={"a": Part(b""), "b": Part(b"")}), reader)


def multipart(*names):
    parts = (f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{{}}\r\n' for name in names)
    return Request("".join([*parts, "--x--"]).encode(), multipart_type="multipart/form-data; boundary=x")


def test_a_multipart_body_is_taken_apart(reader):
    row = multipart("a").body.replace(b"{}", b'{"inputs": [1, 2]}')
    assert decode(replace(multipart(), body=row), reader).rows.tolist() == [[1, 2]]
    with pytest.raises(EmptyBodyError):
        decode(multipart(), reader)
    with pytest.raises(UnsupportedMediaError, match="2 parts"):
        decode(multipart("a", "b"), reader)
    with pytest.raises(MalformedRequestError, match="more than once"):
        decode(multipart("a", "a"), reader)


def test_a_compressed_body_is_refused_by_name(reader):
    with pytest.raises(UnsupportedMediaError, match="'gzip'"):
        decode(Request(b"\x1f\x8b", content_encoding="gzip"), reader)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "image/gif"])
def test_other_types_are_refused_by_name(reader, content_type):
    with pytest.raises(UnsupportedMediaError, match=content_type):
        decode(Request(b'{"inputs": [1, 2]}', content_type), reader)


def test_every_bad_row_is_collected():
    def odd(value):
        if value % 2 == 0:
            raise InvalidInputError(f"{value} is even")
        return np.array([value])

    np.testing.assert_array_equal(collect_rows([1, 3], odd), [[1], [3]])
    with pytest.raises(RowsRefusedError) as caught:
        collect_rows([1, 2, 3, 4], odd)
    assert caught.value.rows == [1, 3]
    assert "Of 4 rows 2 cannot be taken; the first is row 1: 2 is even" in str(caught.value)


def test_numbers_are_written_as_short_as_they_are_exact():
    answers = [{"outputs": np.array([0.1, 1 / 3], "f4")}]
    assert encode_answers("one", answers).body == b'{"outputs":[0.1,0.33333334]}'
    assert json.loads(encode_answers("many", answers).body) == {
        "predictions": [{"outputs": [0.1, 0.33333334]}]
    }
