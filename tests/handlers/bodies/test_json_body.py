import pytest

from statehouse.handlers.bodies.json_body import parse_json
from statehouse.handlers.errors import BrokenJsonError, BrokenTextError, EmptyBodyError


def test_a_document_is_parsed():
    assert parse_json(bytearray(b'{"a": [1, {"b": "x:y"}]}')) == {"a": [1, {"b": "x:y"}]}


@pytest.mark.parametrize("body", [b"", b" \n\t "])
def test_nothing_is_an_empty_body(body):
    with pytest.raises(EmptyBodyError, match="empty"):
        parse_json(body)


def test_broken_json_says_where():
    with pytest.raises(BrokenJsonError, match=r"line 2, column 8 \(character 9\)"):
        parse_json(b'{\n  "a": ,}')


@pytest.mark.parametrize(
    "body", [b"NaN", b'{"a": Infinity}', b'\xef\xbb\xbf{"a": 1}', b'"\\ud800"', b"[1e999]"]
)
def test_what_strict_json_does_not_have_is_refused(body):
    with pytest.raises(BrokenJsonError):
        parse_json(body)


def test_text_that_is_not_utf_8_says_which_byte():
    with pytest.raises(BrokenTextError, match=r"Byte 6 \(0xe9\)"):
        parse_json(b'{"a":"\xe9"}')


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1, "a": 2}', b'{"inputs": [[1], {"a": 1, "a": 1}]}', b'{"b": [{"a": 1}, {"a": 1, "a": 1}]}'],
)
def test_members_given_twice_are_named(body):
    with pytest.raises(BrokenJsonError, match="'a'"):
        parse_json(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_broken_json_and_not_a_crash(opening):
    depth = 1000
    closing = (b"]" if opening == b"[" else b"}") * depth
    for body in (opening * depth + b"1" + closing, opening * 100_000):
        with pytest.raises(BrokenJsonError, match="too deeply"):
            parse_json(body)
