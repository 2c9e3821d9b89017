import io

import pytest
from PIL import Image

from statehouse.handlers.images.decode import find_damage


@pytest.fixture(scope="module")
def png():
    buffer = io.BytesIO()
    Image.effect_noise((16, 16), 50).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_whole_file_has_no_damage_whatever_follows_it(png):
    assert find_damage(png) is None
    assert find_damage(bytearray(png) + b"and more") is None


def test_every_flipped_bit_behind_the_signature_is_found(png):
    for position in range(8, len(png)):
        damaged = bytearray(png)
        damaged[position] ^= 0x10
        assert find_damage(damaged), position


def test_every_cut_is_found(png):
    for length in range(8, len(png)):
        assert "cut short" in find_damage(png[:length])


def test_the_damaged_chunk_is_named(png):
    damaged = bytearray(png)
    damaged[-20] ^= 1
    assert find_damage(damaged).startswith("the chunk 'IDAT' at byte 33")
