import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from statehouse.handlers.errors import (
    BrokenImageError,
    EmptyBodyError,
    InvalidInputError,
    TooLargeError,
    UnsupportedMediaError,
)
from statehouse.handlers.images.decode import PixelBudget, decode_base64, decode_image, make_png
from statehouse.models import ImageClassificationTask


def task(mode="greyscale", height=4, width=6, resize=None, **more):
    channels = 1 if mode == "greyscale" else 3
    return ImageClassificationTask(
        labels=["a"],
        height=height,
        width=width,
        mode=mode,
        resize=resize,
        mean=[0.5] * channels,
        std=[0.5] * channels,
        **more,
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


@pytest.mark.parametrize(
    ("max_value", "pixels"), [(65535, [0, 0x12, 0xFF]), (0x1FFF, [0, 0x91, 0xFF]), (5000, [0, 238, 255])]
)
def test_sixteen_bits_are_scaled_to_what_is_white(max_value, pixels):
    deep = np.array([[0, 0x1234, max_value]], dtype=np.uint16)
    wanted = {"height": 1, "width": 3, "max_value": max_value}
    assert decoded(encoded(Image.fromarray(deep)), task(**wanted)).tolist() == [[pixels]]
    rgb = decoded(encoded(Image.fromarray(deep)), task("rgb", **wanted))
    assert rgb.tolist() == [[pixels]] * 3
    if max_value < 65535:
        deep[0, 0] = max_value + 1
        with pytest.raises(InvalidInputError, match=f"value of {max_value + 1}; the task's max_value"):
            decoded(encoded(Image.fromarray(deep)), task(**wanted))


def test_what_is_white_in_eight_bits_is_known():
    body = encoded(Image.fromarray(gradient()))
    np.testing.assert_array_equal(decoded(body, task(max_value=4095)), decoded(body))


def test_sixteen_bits_of_colour_cannot_be_scaled():
    body = deep_png([65535, 32768, 0])
    assert decoded(body, task("rgb", height=1, width=1)).ravel().tolist() == [255, 128, 0]
    with pytest.raises(InvalidInputError, match="max_value of 4095 is for greyscale alone"):
        decoded(body, task("rgb", height=1, width=1, max_value=4095))


def deep_png(colours):
    """A PNG of one pixel with 16 bits for each of three channels."""
    row = b"\0" + struct.pack(">HHH", *colours)
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(row)) + png_chunk(b"IEND", b"")


def png_chunk(name, data):
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_camera_s_orientation_is_ignored_as_training_code_does(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    body = encoded(Image.fromarray(gradient(5, 5)).convert("RGB"), kind, exif=exif)
    # As torchvision's pil_loader and timm's ImageDataset do.
    expected = np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))
    np.testing.assert_array_equal(decoded(body, task("rgb", 5, 5)), expected.transpose(2, 0, 1))
    turned = decoded(body, task("rgb", 5, 5, exif_orientation="apply"))
    np.testing.assert_array_equal(turned, np.rot90(expected, -1).transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", range(10))
def test_the_camera_s_orientation_is_applied_where_the_task_says_so(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = encoded(Image.fromarray(gradient(5, 5)), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(body))))
    turned = decoded(body, task(height=5, width=5, exif_orientation="apply"))[0]
    np.testing.assert_array_equal(turned, expected)
    if orientation == 6:  # rotate by 90° clockwise to see it upright
        np.testing.assert_array_equal(expected, np.rot90(gradient(5, 5), -1))


def test_odd_notes_of_a_camera_do_not_make_an_image_unreadable():
    width_as_text = struct.pack("<HHI4s", 0x0100, 2, 4, b"odd")
    rotated = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    notes = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + width_as_text + rotated + b"\0\0\0\0"
    body = encoded(Image.fromarray(gradient(5, 5)), exif=notes)
    with pytest.raises(struct.error):
        ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    turned = decoded(body, task(height=5, width=5, exif_orientation="apply"))[0]
    np.testing.assert_array_equal(turned, np.rot90(gradient(5, 5), -1))


def test_of_a_camera_s_several_pictures_the_first_is_taken():
    pictures = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    body = encoded(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert Image.open(io.BytesIO(body)).n_frames == 2
    pixels = decoded(body, task("rgb"))
    np.testing.assert_array_equal(pixels, decoded(encoded(pictures[0], "JPEG"), task("rgb")))
    assert pixels[0].min() > 250
    assert pixels[2].max() < 5


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

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0"))
        + png_chunk(b"IEND", b"")
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
    ("body", "found"),
    [
        (b"GIF89a\x01\x00\x01\x00", "is GIF, which"),
        (b"BM" + bytes(8), "is BMP, which"),
        (b"II*\x00....", "is TIFF, which"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is HEIC, which"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "is AVIF, which"),
        (b"\0\0\0\x20ftypisom", "begins with b'"),
        (b"\xff\x0a\0", "is JPEG XL, which"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000, which"),
        (b"%PDF-1.4", "is PDF, which"),
        (b"\n<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG, which"),
        (b"<?xml version='1.0'?><!-- x --><svg/>", "is SVG, which"),
        (b"hello", "begins with b'hello'"),
    ],
)
def test_other_formats_are_named_and_unsupported(body, found):
    with pytest.raises(UnsupportedMediaError, match="image/png, image/jpeg, image/webp") as refused:
        decoded(body)
    assert f"The image {found}" in str(refused.value)


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
