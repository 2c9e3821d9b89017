import numpy as np
import pytest

from statehouse.handlers.bodies.content import guess_content_type


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"inputs": 1}', "application/json"),
        (b"  \n [1]", "application/json"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_first_bytes_tell(body, expected):
    assert guess_content_type(bytearray(body), None) == expected


def test_a_raw_row_that_begins_like_json_is_raw():
    row = np.frombuffer(b"{\x00\x80?" + b"\x00" * 12, "<f4").tobytes()
    assert guess_content_type(row, 16) == "application/octet-stream"
    assert guess_content_type(row, 20) == "application/json"
    assert guess_content_type(b'{"inputs": [1] }', 16) == "application/json"
