"""Image bytes to pixels: PNG, JPEG and WebP, each told by its first bytes, bounded before it is decoded.

The orientation that a camera notes in EXIF is applied where the task says so. Animations are refused; of the several
pictures that a camera's JPEG may hold the first is taken, as Pillow takes it. Greyscale of sixteen bits is scaled by
the task's `max_value`; CMYK, palettes and transparency are converted as Pillow's `convert` does, which is what
training code calls.
"""

import base64
import binascii
import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from statehouse.handlers.bodies.content import IMAGE_TYPES, image_type, unread_image
from statehouse.handlers.bodies.numbers import shorten, type_name
from statehouse.handlers.errors import (
    BrokenImageError,
    EmptyBodyError,
    InvalidInputError,
    RequestError,
    TooLargeError,
    UnsupportedMediaError,
)
from statehouse.handlers.request import Body
from statehouse.models.tasks.input_kinds import ImageInput
from statehouse.models.tasks.registry import ImageClassificationTask
from statehouse.models.tasks.vision import ImageTask

MAX_PIXELS = 50_000_000
# The bound above, checked before decoding, replaces Pillow's own, which only warns up to twice its value.
Image.MAX_IMAGE_PIXELS = None
EXIF_ORIENTATION = 0x0112
BIT_DEPTH_OFFSET = 24  # of a PNG
DEEP_WHITE = 65535
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PixelBudget:
    """What may be decoded for one request: 50 megapixels, in one image or in many."""

    def __init__(self) -> None:
        self.left = MAX_PIXELS

    def spend(self, width: int, height: int) -> None:
        """Take an image's pixels from what is left; raises TooLargeError where it is not enough."""
        if width * height > self.left:
            raise TooLargeError(
                f"The image has {width} x {height} pixels; of the {MAX_PIXELS // 10**6} megapixels that one "
                f"request may have, {self.left / 1e6:.1f} are left. Send it smaller, or by itself."
            )
        self.left -= width * height


def decode_image(
    body: Body | memoryview, task: ImageClassificationTask | ImageInput, budget: PixelBudget
) -> NDArray[np.uint8]:
    """The image as the task wants it, (channels, height, width); raises as `decode_pixels` does."""
    decoded = decode_pixels(body, task, task.mode, budget)
    if isinstance(decoded, np.ndarray):
        fits = task.resize is None and decoded.shape[:2] == (task.height, task.width)
        return _channels_first(decoded if fits else _fit(Image.fromarray(decoded), task))
    return _channels_first(_fit(decoded, task))


def decode_pixels(
    body: Body | memoryview, task: ImageTask | ImageInput, mode: str, budget: PixelBudget
) -> Image.Image | NDArray[np.uint8]:
    """The image in its own size and in `mode`; an array (height, width, 3) where that was quicker.

    Raises:
        UnsupportedMediaError: it is neither PNG, JPEG nor WebP.
        TooLargeError: it has more pixels than `budget` has left, or would have too many once resized.
        BrokenImageError: it cannot be decoded to its end.
        InvalidInputError: it is an animation, or has a value above the task's `max_value`.
    """
    try:
        turned = task.exif_orientation == "apply"
        plain = read_plain_jpeg(body, budget.left, may_be_turned=turned) if mode == "rgb" else None
        if plain is not None:
            budget.spend(plain.shape[1], plain.shape[0])
            return plain
        with _open(body) as image:
            budget.spend(image.width, image.height)
            _refuse_deep_colours(body, image, task.max_value)
            return _convert(_upright(image) if turned else image, mode, task.max_value)
    except UnidentifiedImageError as error:  # its own text has an address in memory and nothing else
        raise BrokenImageError(
            f"The image cannot be decoded: of its {len(body)} bytes the header is damaged or cut short."
        ) from error
    except (RequestError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # Pillow's decoders tell damage by whatever they stumble over, assertions included
        said = str(error)[:200] or type(error).__name__
        raise BrokenImageError(f"The image cannot be decoded: {said}") from error


def _channels_first(pixels: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    array = np.asarray(pixels, dtype=np.uint8)
    return np.ascontiguousarray(array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1))


def decode_base64(value: object) -> bytes:
    """The bytes of `{"b64": "…"}`; raises InvalidInputError on any other form."""
    if not isinstance(value, dict) or set(value) != {"b64"}:
        found = ", ".join(map(shorten, list(value)[:20])) if isinstance(value, dict) else type_name(value)
        raise InvalidInputError(f'The image is {found or "an empty object"}; expected {{"b64": "<base64>"}}.')
    return image_bytes(value["b64"])


def image_bytes(text: object) -> bytes:
    """The bytes of standard base64; what is bytes already stays so."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise InvalidInputError(f"The image is {type_name(text)}; expected standard base64 as text.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"The image is no standard base64: {error}.") from error


def _open(body: Body | memoryview) -> Image.Image:
    if not len(body):
        raise EmptyBodyError("The image is empty; expected the bytes of a PNG, JPEG or WebP.")
    kind = image_type(body)
    if kind is None:
        name = unread_image(body)
        found = f"is {name}, which is not read here" if name else f"begins with {bytes(body[:12])!r}"
        raise UnsupportedMediaError(f"The image {found}; expected {', '.join(IMAGE_TYPES)}.")
    damage = find_damage(body) if kind == "image/png" else None
    if damage:
        raise BrokenImageError(f"The image cannot be decoded: {damage}.")
    image = Image.open(io.BytesIO(body), formats=[kind.removeprefix("image/")])
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and kind != "image/jpeg":
        raise InvalidInputError(f"The image is an animation of {frames} frames; send one of them.")
    return image


def _upright(image: Image.Image) -> Image.Image:
    # Pillow's exif_transpose also writes everything else in EXIF anew, and fails where that is odd.
    transpose = UPRIGHT_BY.get(image.getexif().get(EXIF_ORIENTATION, 1))
    return image if transpose is None else image.transpose(transpose)


def _refuse_deep_colours(body: Body | memoryview, image: Image.Image, max_value: int) -> None:
    # Pillow has no mode for them, and keeps the high byte of each value, whatever is white.
    is_deep = image.format == "PNG" and body[BIT_DEPTH_OFFSET] == 16 and not image.mode.startswith("I")
    if is_deep and max_value != DEEP_WHITE:
        raise InvalidInputError(
            f"The image has 16 bits for each of several channels; the task's max_value of {max_value} is for "
            "greyscale alone. Send it as greyscale, or scaled to 8 bits."
        )


def _convert(image: Image.Image, mode: str, max_value: int) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow would clip sixteen bits to 255 instead of scaling them
        values = np.asarray(image, dtype=np.uint32)
        if values.max() > max_value:
            raise InvalidInputError(
                f"The image has a value of {values.max()}; the task's max_value, which is white, is {max_value}."
            )
        image = Image.fromarray((values * 256 // (max_value + 1)).astype(np.uint8))
    return image.convert("L" if mode == "greyscale" else "RGB")


def _fit(image: Image.Image, task: ImageClassificationTask | ImageInput) -> Image.Image:
    """Resize, then cut out the centre, where the task has a `resize`; else resize to the final size."""
    resampling = RESAMPLING[task.interpolation]
    if task.resize is None:
        return image.resize((task.width, task.height), resampling)
    resized = resize_shortest(image, task.resize, resampling)
    left, top = round((resized.width - task.width) / 2), round((resized.height - task.height) / 2)
    return resized.crop((left, top, left + task.width, top + task.height))


def resize_shortest(
    image: Image.Image, pixels: int, resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    """The image with its shortest side `pixels` long; raises TooLargeError where the other would be too long."""
    shortest = min(image.size)
    width, height = (pixels * side // shortest for side in image.size)  # as torchvision rounds
    PixelBudget().spend(width, height)
    return image.resize((width, height), resampling)


def make_png(seed: int, task: ImageClassificationTask | ImageInput) -> bytes:
    """Random pixels of the task's final size as a PNG, always the same for the same seed."""
    shape: Sequence[int] = (task.height, task.width) if task.channels == 1 else (task.height, task.width, 3)
    return write_png(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def write_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of `pixels`, (height, width) greyscale or (height, width, 3) RGB."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


# Small JPEGs are decoded in 0.4 of Pillow's time and to the same pixels: both use libjpeg-turbo, and what Pillow spends
# besides is on opening files. Whatever is out of the ordinary is left to Pillow, as is all that libjpeg warns of.
# EXIF and XMP may say that the image lies on its side; with MPF there are several in one file.
TURNED = (b"Exif\0", b"http://ns.adobe.com/xap/")
SEVERAL = (b"MPF\0",)


def read_plain_jpeg(
    body: Body | memoryview, most_pixels: int, *, may_be_turned: bool
) -> NDArray[np.uint8] | None:
    """The pixels (height, width, 3); None where it is no JPEG, too large, damaged, or out of the ordinary.

    With `may_be_turned` an image that may lie on its side is out of the ordinary.
    """
    if bytes(body[:3]) != b"\xff\xd8\xff":
        return None
    data = bytes(body)
    if any(mark in data for mark in (*SEVERAL, *(TURNED if may_be_turned else ()))):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr" or height * width > most_pixels:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
    return pixels


SIGNATURE_BYTES = 8
HEADER = struct.Struct(">I4s")
CHECKSUM_BYTES = 4


def find_damage(body: Body | memoryview) -> str | None:
    """What is wrong with the first damaged chunk of a PNG; None where all are whole up to its end mark.

    Pillow decodes past a wrong checksum of the pixels, and would answer a flipped bit.
    """
    view = memoryview(body)
    offset = SIGNATURE_BYTES
    while offset + HEADER.size + CHECKSUM_BYTES <= len(view):
        length, kind = HEADER.unpack_from(view, offset)
        end = offset + HEADER.size + length
        if end + CHECKSUM_BYTES > len(view):
            break
        checksum = int.from_bytes(view[end : end + CHECKSUM_BYTES], "big")
        if zlib.crc32(view[offset + 4 : end]) != checksum:
            return f"the chunk {kind.decode('latin-1')!r} at byte {offset} has not the checksum it states"
        if kind == b"IEND":
            return None
        offset = end + CHECKSUM_BYTES
    return f"it is cut short: its {len(view)} bytes end inside or before the chunk at byte {offset}"
