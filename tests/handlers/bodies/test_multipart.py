import httpx
import pytest

from statehouse.handlers.bodies.multipart import MAX_PARTS, read_parts
from statehouse.handlers.errors import MalformedRequestError
from statehouse.handlers.request import Part

FORM = "multipart/form-data; boundary=x"


def part(head='Content-Disposition: form-data; name="a"', content=b"1", start="--x\r\n"):
    return start.encode() + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def test_what_an_http_library_sends():
    files = {
        "image": ("digit.png", bytes(range(256)) + b"\r\n--almost", "image/png"),
        'é "日"': (None, b""),
    }
    request = httpx.Request("POST", "http://x", files=files)
    parts = read_parts(request.read(), request.headers["content-type"])
    assert parts["image"] == Part(files["image"][1], "image/png")
    assert len(parts) == 2
    assert list(parts.values())[1].body == b""


def test_a_preamble_an_epilogue_a_quoted_boundary_and_padding_are_allowed():
    body = b"before\r\n" + part(start="--a b \t\r\n") + b"--a b--\r\nafter"
    assert read_parts(body, 'Multipart/Form-Data; charset=utf-8; boundary="a b"') == {"a": Part(b"1")}


def test_a_name_without_quotes_and_a_file_that_says_a_path():
    head = 'content-disposition: form-data; filename="../../x"; name=a\r\nContent-Type: IMAGE/PNG; q=1'
    assert read_parts(part(head) + b"--x--", FORM) == {"a": Part(b"1", "image/png")}


def test_as_many_parts_as_there_may_be():
    body = b"".join(part(f'Content-Disposition: form-data; name="{number}"') for number in range(MAX_PARTS))
    assert len(read_parts(body + b"--x--", FORM)) == MAX_PARTS


@pytest.mark.parametrize("body", [b"", b"\r\n", b"--x--", b"--x--\r\n"])
def test_no_part(body):
    assert read_parts(body, FORM) == {}


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (part(), "multipart/form-data", "no boundary"),
        (part(), "multipart/form-data; boundary=", "no boundary"),
        (part(), 'multipart/form-data; boundary="', "no boundary|no end"),
        (part(), FORM, "no end: expected the line '--x--'"),
        (b"\0\1\2", FORM, "no end"),
        (part() + b"--y--", FORM, "no end"),
        (b"--x\r\n\r\nhello\r\n--x--", FORM, "Part 0 of the body has no name"),
        (part() + part("Content-Disposition: form-data") + b"--x--", FORM, "Part 1 of the body has no name"),
        (part('Content-Disposition: form-data; name=""') + b"--x--", FORM, "no name"),
        (part("no colon") + b"--x--", FORM, "no name"),
        (part(";;;=") + b"--x--", FORM, "no name"),
        (part("Content-Disposition: form-data; name*=nope'en'%zz") + b"--x--", FORM, "no name"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n--x--', FORM, "no blank line"),
        (b"--xhello\r\n--x--", FORM, "no blank line"),
        (part() * 2 + b"--x--", FORM, "'a' is given more than once"),
        (part() * (MAX_PARTS + 1) + b"--x--", FORM, "more than 1000 parts"),
    ],
)
def test_what_is_broken_is_said(body, content_type, message):
    with pytest.raises(MalformedRequestError, match=message):
        read_parts(body, content_type)
