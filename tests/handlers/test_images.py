import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from handlers.errors import (
    BrokenImageError,
    EmptyBodyError,
    InvalidInputError,
    TooLargeError,
    UnsupportedMediaError,
)
from handlers.images import PixelBudget, decode_base64, decode_image, make_png
from models import ImageClassificationTask


def task(mode="greyscale", height=4, width=6, resize=None):
    channels = 1 if mode == "greyscale" else 3
    return ImageClassificationTask(
        labels=["a"],
        height=height,
        width=width,
        mode=mode,
        resize=resize,
        mean=[0.5] * channels,
        std=[0.5] * channels,
    )


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(body, wanted=None):
    return decode_image(body, wanted or task(), PixelBudget())


def gradient(height=4, width=6):
    return np.arange(height * width, dtype=np.uint8).reshape(height, width) * 10


def test_a_greyscale_png_is_exact():
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(gradient()))), gradient()[np.newaxis])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["greyscale", "rgb"])
@pytest.mark.parametrize("pillow_mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK"])
def test_every_mode_becomes_the_task_s_mode(kind, mode, pillow_mode):
    image = Image.new("RGB", (9, 7), (204, 204, 204)).convert(pillow_mode)
    if kind != "PNG":
        image = image.convert("CMYK" if pillow_mode == "CMYK" and kind == "JPEG" else "RGB")
    elif pillow_mode == "CMYK":
        image = image.convert("RGB")
    pixels = decoded(encoded(image, kind), task(mode))
    assert pixels.shape == (1 if mode == "greyscale" else 3, 4, 6)
    assert pixels.dtype == np.uint8
    if pillow_mode != "1":
        np.testing.assert_allclose(pixels, 204, atol=8)


def test_sixteen_bits_keep_the_high_byte():
    deep = np.array([[0, 0x1234, 0xFFFF]], dtype=np.uint16)
    pixels = decoded(encoded(Image.fromarray(deep)), task(height=1, width=3))
    assert pixels.tolist() == [[[0, 0x12, 0xFF]]]


@pytest.mark.parametrize("orientation", range(10))
def test_the_camera_s_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = encoded(Image.fromarray(gradient(5, 5)), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(body))))
    np.testing.assert_array_equal(decoded(body, task(height=5, width=5))[0], expected)
    if orientation == 6:  # rotate by 90° clockwise to see it upright
        np.testing.assert_array_equal(expected, np.rot90(gradient(5, 5), -1))


def test_odd_notes_of_a_camera_do_not_make_an_image_unreadable():
    width_as_text = struct.pack("<HHI4s", 0x0100, 2, 4, b"odd")
    rotated = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    notes = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + width_as_text + rotated + b"\0\0\0\0"
    body = encoded(Image.fromarray(gradient(5, 5)), exif=notes)
    with pytest.raises(struct.error):
        ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    np.testing.assert_array_equal(decoded(body, task(height=5, width=5))[0], np.rot90(gradient(5, 5), -1))


def test_resize_takes_the_shortest_side_then_cuts_out_the_centre():
    image = Image.new("L", (40, 20))
    image.paste(255, (10, 0, 30, 20))  # the centre square is white
    pixels = decoded(encoded(image), task(height=8, width=8, resize=10))
    assert pixels.shape == (1, 8, 8)
    assert pixels.min() == 255


def test_without_resize_the_whole_image_is_squeezed():
    image = Image.new("L", (40, 20))
    image.paste(255, (20, 0, 40, 20))
    pixels = decoded(encoded(image), task(height=4, width=4))
    assert pixels[0, :, 0].max() == 0
    assert pixels[0, :, 3].min() == 255


def png_header(width, height):
    """A valid beginning of a PNG that declares more pixels than it has."""

    def chunk(name, data):
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)])
def test_a_huge_image_is_refused_before_it_is_decoded(width, height):
    with pytest.raises(TooLargeError, match=f"{width} x {height}"):
        decoded(png_header(width, height))


def test_a_thin_image_may_not_grow_huge_by_resizing():
    with pytest.raises(TooLargeError, match="3000000 x 300"):
        decoded(encoded(Image.new("L", (30_000, 3))), task(height=200, width=200, resize=300))


def test_many_images_share_one_budget():
    budget = PixelBudget()
    budget.left = 100
    body = encoded(Image.new("L", (8, 8)))
    decode_image(body, task(), budget)
    with pytest.raises(TooLargeError, match="8 x 8"):
        decode_image(body, task(), budget)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_cut_short_is_broken_wherever_it_is_cut(kind):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    body = encoded(Image.fromarray(noise), kind)
    for length in (*range(13, len(body) - 20, max(1, len(body) // 25)), *([len(body) - 1] * (kind == "PNG"))):
        with pytest.raises(BrokenImageError, match="cannot be decoded") as caught:
            decoded(body[:length])
        assert "0x" not in str(caught.value)  # no address in memory, which tells nothing


def test_a_flipped_bit_of_a_png_is_never_answered():
    body = encoded(Image.fromarray(gradient()))
    for position in range(8, len(body)):
        damaged = bytearray(body)
        damaged[position] ^= 1
        with pytest.raises(BrokenImageError):
            decoded(damaged)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damage_anywhere_is_an_error_of_ours_or_an_image(kind):
    random = np.random.default_rng(0)
    body = encoded(Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)), kind)
    for _ in range(200):
        damaged = bytearray(body)
        damaged[random.integers(12, len(body))] ^= 1 << int(random.integers(8))
        try:
            assert decoded(damaged).shape == (1, 4, 6)
        except (BrokenImageError, TooLargeError, InvalidInputError):
            continue


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    body = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidInputError, match="animation of 3 frames"):
        decoded(body)


@pytest.mark.parametrize(
    "body", [b"GIF89a\x01\x00\x01\x00", b"%PDF-1.4", b"BM......", b"II*\x00....", b"hello"]
)
def test_other_formats_are_unsupported(body):
    with pytest.raises(UnsupportedMediaError, match="image/png, image/jpeg, image/webp"):
        decoded(body)


def test_no_bytes_are_an_empty_body():
    with pytest.raises(EmptyBodyError):
        decoded(b"")


def test_base64_in_an_object():
    assert decode_base64({"b64": base64.b64encode(b"png").decode()}) == b"png"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "is text"),
        ({}, "an empty object"),
        ({"b64": "aGk=", "more": 1}, "more"),
        ({"b64": 3}, "is a number"),
        ({"b64": "a b"}, "no standard base64"),
        ({"b64": "é"}, "no standard base64"),
        ({"b64": "abc"}, "no standard base64"),
        ([1], "is a list"),
    ],
)
def test_other_values_say_what_was_expected(value, message):
    with pytest.raises(InvalidInputError, match=message):
        decode_base64(value)


def test_made_images_are_the_same_for_the_same_seed():
    assert make_png(0, task("rgb")) == make_png(0, task("rgb")) != make_png(1, task("rgb"))
    assert decoded(make_png(0, task("rgb")), task("rgb")).shape == (3, 4, 6)
