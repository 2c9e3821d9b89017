import io

import numpy as np
import pytest
from PIL import Image

from statehouse.handlers.images.decode import PixelBudget, decode_image
from statehouse.handlers.images.decode import read_plain_jpeg as read_jpeg
from statehouse.models import ImageClassificationTask

SIZES = [(128, 128), (1, 1), (7, 5), (33, 17), (640, 427)]


def picture(width, height, mode="RGB"):
    """Smooth colours with noise: every frequency that a JPEG has."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([rows * 2, columns * 3, rows + columns], axis=-1)
    noise = np.random.default_rng(0).integers(0, 60, smooth.shape)
    return Image.fromarray(((smooth + noise) % 256).astype(np.uint8)).convert(mode)


def saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def read_plain_jpeg(body, most_pixels, *, may_be_turned=True):
    return read_jpeg(body, most_pixels, may_be_turned=may_be_turned)


def read_by_pillow(body):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 1}]
)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", SIZES)
def test_it_reads_the_very_pixels_that_pillow_reads(size, subsampling, options):
    for quality in (30, 75, 95):
        body = saved(picture(*size), subsampling=subsampling, quality=quality, **options)
        plain = read_plain_jpeg(body, 10**6)
        assert plain is not None
        assert np.array_equal(plain, read_by_pillow(body))
        assert np.array_equal(read_plain_jpeg(bytearray(body), 10**6), plain)
        assert np.array_equal(read_plain_jpeg(memoryview(body), 10**6), plain)


def upright_by_exif(image):
    exif = image.getexif()
    exif[0x0112] = 6
    return saved(image, exif=exif)


@pytest.mark.parametrize(
    "body",
    [
        saved(picture(32, 32, "L")),
        saved(picture(32, 32, "CMYK")),
        saved(picture(32, 32), keep_rgb=True),
        upright_by_exif(picture(32, 16)),
        saved(picture(32, 32), xmp=b"<x tiff:Orientation='6'/>"),
        saved(picture(32, 32))[:-200],
        saved(picture(32, 32))[:-2],
        saved(picture(32, 32))[:40],
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"",
    ],
    ids=["grey", "cmyk", "rgb", "exif", "xmp", "cut", "no_end", "header_cut", "start", "png", "empty"],
)
def test_what_is_out_of_the_ordinary_is_left_to_pillow(body):
    assert read_plain_jpeg(body, 10**6) is None


@pytest.mark.parametrize("kind", ["exif", "xmp"])
def test_what_a_camera_notes_does_not_matter_where_it_is_ignored(kind):
    image = picture(32, 16)
    body = saved(image, xmp=b"<x tiff:Orientation='6'/>") if kind == "xmp" else upright_by_exif(image)
    assert read_plain_jpeg(body, 10**6) is None
    assert np.array_equal(read_plain_jpeg(body, 10**6, may_be_turned=False), read_by_pillow(body))


def test_of_several_pictures_pillow_takes_the_first():
    buffer = io.BytesIO()
    picture(32, 16).save(buffer, "MPO", save_all=True, append_images=[picture(32, 16, "L").convert("RGB")])
    assert read_plain_jpeg(buffer.getvalue(), 10**6, may_be_turned=False) is None


def test_what_is_damaged_inside_is_left_to_pillow_or_read_as_it_does():
    body = saved(picture(64, 64))
    left = 0
    for place in range(200, len(body) - 2, 7):
        damaged = bytearray(body)
        damaged[place] ^= 0xFF
        plain = read_plain_jpeg(damaged, 10**6)
        if plain is None:
            left += 1
        else:
            assert np.array_equal(plain, read_by_pillow(damaged))
    assert left > 0


def test_it_decodes_nothing_beyond_the_pixels_it_is_given():
    body = saved(picture(20, 10))
    assert read_plain_jpeg(body, 199) is None
    assert read_plain_jpeg(body, 200) is not None


def test_the_budget_of_a_request_counts_it_once():
    task = ImageClassificationTask(
        labels=["a", "b"], height=8, width=8, mode="rgb", mean=[0.5] * 3, std=[0.5] * 3
    )
    budget = PixelBudget()
    before = budget.left
    decode_image(saved(picture(20, 10)), task, budget)
    assert before - budget.left == 200
