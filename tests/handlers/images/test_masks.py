"""Masks as text and back."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from statehouse.handlers.images.masks import read_mask, write_mask

MASK = np.array([[0, 0, 1], [1, 1, 255]], np.uint8)


def test_runs_go_from_row_to_row():
    assert write_mask(MASK, "run_length") == "[[0,2],[1,3],[255,1]]"
    assert write_mask(np.full((3, 4), 7, np.uint8), "run_length") == "[[7,12]]"
    assert write_mask(np.array([[9]], np.uint8), "run_length") == "[[9,1]]"


def test_a_png_is_grey_and_its_pixels_are_class_numbers():
    image = Image.open(io.BytesIO(base64.b64decode(write_mask(MASK, "png"))))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), MASK)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (50, 40)])
def test_both_are_read_as_they_were_written(shape):
    mask = np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)
    size = {"height": shape[0], "width": shape[1]}
    for answer in (
        {"png_b64": write_mask(mask, "png")},
        {"runs": json.loads(write_mask(mask, "run_length"))},
    ):
        read = read_mask(size | {"mask": answer})
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, mask)


def test_a_mask_that_is_a_part_of_another_is_read_row_by_row_too():
    wide = np.zeros((4, 6), np.uint8)
    wide[:, 3:] = 1
    assert write_mask(wide[:2, 2:4], "run_length") == "[[0,1],[1,1],[0,1],[1,1]]"
