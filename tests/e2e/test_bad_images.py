"""Broken, huge, animated and foreign images, however they are sent: each gets one clear problem of ours."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from typing import Any

import pytest
from examples import train_digits
from PIL import Image
from tests.e2e.problems import (
    CANCER,
    DIGITS,
    DIGITS_V2,
    FORM,
    NET_V1,
    NET_V2,
    RAW_TYPE,
    assert_problem,
    refuse,
    same_workers,  # noqa: F401 - a fixture
)  # fmt: skip
from tests.e2e.server import Server


def image(mode: str, size: tuple[int, int] = (8, 8), kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def declared_png(width: int, height: int) -> bytes:
    """A PNG that says it is large, and holds nothing."""
    chunks = (
        b"IHDR" + struct.pack(">II5B", width, height, 8, 0, 0, 0, 0),
        b"IDAT" + zlib.compress(b""),
        b"IEND",
    )
    made = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def flipped(body: bytes, position: int) -> bytes:
    return body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        pytest.param(image("L", (64, 64))[:1000], 422, "broken-image", id="PNG cut short"),
        pytest.param(image("L")[:-1], 422, "broken-image", id="PNG without its last byte"),
        pytest.param(image("L")[:20], 422, "broken-image", id="PNG header cut short"),
        pytest.param(flipped(image("L"), 60), 422, "broken-image", id="PNG with a flipped bit"),
        pytest.param(image("L", (64, 64), "JPEG")[:700], 422, "broken-image", id="JPEG cut short"),
        pytest.param(b"\xff\xd8\xff", 422, "broken-image", id="JPEG signature"),
        pytest.param(image("RGB", (64, 64), "WEBP")[:500], 422, "broken-image", id="WebP cut short"),
        pytest.param(declared_png(0, 5), 422, "broken-image", id="no width"),
        pytest.param(declared_png(30_000, 30_000), 413, "too-large", id="30,000 x 30,000"),
        pytest.param(declared_png(2**31 - 1, 2**31 - 1), 413, "too-large", id="as large as can be said"),
        pytest.param(animation("PNG"), 422, "invalid-input", id="animated PNG"),
        pytest.param(animation("WEBP"), 422, "invalid-input", id="animated WebP"),
        pytest.param(image("L", kind="GIF"), 415, "unsupported-media-type", id="GIF"),
        pytest.param(image("L", kind="TIFF"), 415, "unsupported-media-type", id="TIFF"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", 415, "unsupported-media-type", id="PDF"),
        pytest.param(b"<svg/>", 415, "unsupported-media-type", id="SVG"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["image/png", RAW_TYPE, None])
def test_images_that_are_not_answered(
    server: Server, body: bytes, status: int, slug: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content_type": content_type}
    problem = refuse(server, DIGITS, body, status, slug, **headers)
    assert "0x7f" not in problem["detail"]


@pytest.mark.parametrize(
    ("mode", "kind"), [("CMYK", "JPEG"), ("I;16", "PNG"), ("P", "PNG"), ("1", "PNG"), ("RGBA", "WEBP"), ("LA", "PNG")]
)  # fmt: skip
def test_unusual_images_are_answered(server: Server, mode: str, kind: str) -> None:
    made = Image.new(mode, (8, 8))
    buffer = io.BytesIO()
    made.save(buffer, kind)
    assert server.client.post(DIGITS, content=buffer.getvalue()).json()["label"]


@pytest.mark.parametrize(
    ("value", "status", "slug"),
    [
        ({"b64": "!!!"}, 422, "invalid-input"),
        ({"b64": ""}, 400, "empty-body"),
        ({"b64": None}, 422, "invalid-input"),
        ({"b64": base64.b64encode(b"hello").decode()}, 415, "unsupported-media-type"),
        ({"b64": "", "size": 8}, 422, "invalid-input"),
        ("aGVsbG8=", 422, "invalid-input"),
        ([0.0] * 64, 422, "invalid-input"),
    ],
)
def test_images_in_json(server: Server, value: object, status: int, slug: str) -> None:
    refuse(server, DIGITS, json.dumps({"inputs": value}).encode(), status, slug)
    good = {"b64": base64.b64encode(image("L")).decode()}
    body = json.dumps({"instances": [good, value, good]}).encode()
    assert refuse(server, DIGITS, body, 422, "rows-refused")["rows"] == [1]


class TestMultipart:
    def test_several_parts_where_one_was_expected(self, server: Server) -> None:
        files = {name: (f"{name}.png", image("L"), "image/png") for name in "ab"}
        assert_problem(
            server.client.post(DIGITS, files=files), 415, "unsupported-media-type", "The body has 2 parts"
        )

    def test_no_part(self, server: Server) -> None:
        refuse(server, DIGITS, b"--x--\r\n", 400, "empty-body", content_type=FORM)
        refuse(server, DIGITS, b"", 400, "empty-body", content_type=FORM)

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/form-data", b"--x--"),
            ("multipart/form-data; boundary=", b"--x--"),
            ('multipart/form-data; boundary="', b"--x--"),
            (FORM, b"--x\r\n\r\nhello\r\n--x--"),
            (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\nhello\r\n--x--"),
            (FORM, b'--x\r\nContent-Disposition: form-data; name=""\r\n\r\nhello\r\n--x--'),
            (FORM, b"--x\r\nContent-Disposition: ;;;=\r\n\r\nhello\r\n--x--"),
            (FORM, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello'),
            (FORM, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n' * 2 + b"--x--"),
        ],
    )
    def test_a_broken_form(self, server: Server, content_type: str, body: bytes) -> None:
        refuse(server, DIGITS, body, 400, "malformed-request", content_type=content_type)

    def test_a_part_that_is_no_image(self, server: Server) -> None:
        for name, content, kind in (("a.gif", b"GIF89a", "image/gif"), ("a.txt", b"7", "text/plain")):
            answer = server.client.post(DIGITS, files={"image": (name, content, kind)})
            assert_problem(answer, 415, "unsupported-media-type")

    def test_fields_that_are_no_features(self, server: Server) -> None:
        answer = server.client.post(CANCER, files={"mean_radius": (None, "17.9"), "colour": (None, b"\xff")})
        assert_problem(answer, 400, "not-utf-8")
        answer = server.client.post(CANCER, files={"mean_radius": (None, "wide"), "colour": (None, "red")})
        problem = assert_problem(answer, 422, "invalid-input")
        details = [error["detail"] for error in problem["errors"]]
        assert "'colour' is unknown" in details
        assert "'mean_radius' is 'wide' (text); expected a number" in details
        assert len(details) == 31

    def test_where_it_is_not_read(self, server: Server) -> None:
        for path in (NET_V1, NET_V2):
            answer = server.client.post(path, files={"a": (None, "1"), "b": (None, "2")})
            assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("tail", [b"\xff\xff\xff\xff", b"\x01\x00\x00", b"", struct.pack("<I", 9) + b"short"])
def test_binary_elements_whose_lengths_are_wrong(server: Server, tail: bytes) -> None:
    given = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(tail)},
    }
    document = json.dumps({"inputs": [given]}).encode()
    header = {"inference_header_content_length": str(len(document))}
    refuse(server, DIGITS_V2, document + tail, 422, "invalid-input", **header)


def test_a_digit_is_answered_as_before(server: Server) -> None:
    split = train_digits.load_split()
    answer = server.client.post(DIGITS, content=train_digits.to_png(split.test_pixels[0]))
    assert answer.json()["label"] == str(split.test_labels[0])
