"""What a body is, told by its first bytes."""

import re

import orjson

from statehouse.handlers.request import JSON_TYPE, Body

RAW_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")
OTHER_NAMES = {"image/jpg": "image/jpeg"}  # of the types above, by which many clients call them
# Forms of images that are not read, by their first bytes, and those of ISO's container by the brand that follows.
UNREAD_IMAGES = {
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xffO\xffQ": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\1\0": "ICO",
    b"8BPS": "Photoshop",
    b"%PDF-": "PDF",
}
ISO_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
}


def image_type(body: Body | memoryview) -> str | None:
    """`image/png`, `image/jpeg` or `image/webp`; None for anything else."""
    start = bytes(body[:12])
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if start[:4] == b"RIFF" and start[8:] == b"WEBP" else None


def unread_image(body: Body | memoryview) -> str | None:
    """The name of a form that is no IMAGE_TYPES; None where the bytes tell none."""
    start = bytes(body[:64])
    if start[4:8] == b"ftyp":
        return ISO_BRANDS.get(start[8:12])
    if start.startswith(b"BM") and start[6:10] == bytes(4):  # two letters alone may begin a text
        return "BMP"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in bytes(body[:1024])):
        return "SVG"
    return next((name for magic, name in UNREAD_IMAGES.items() if start.startswith(magic)), None)


def guess_content_type(body: Body, raw_row_bytes: int | None) -> str:
    """The type of a body that came without one, as everything does over gRPC.

    A body of exactly the length of a raw row is raw, even where its first number happens to look like a
    bracket: unless it is JSON to the end.
    """
    image = image_type(body)
    if image:
        return image
    begins_like_json = bytes(body[:64]).lstrip()[:1] in (b"{", b"[")
    if begins_like_json and (len(body) != raw_row_bytes or _is_json(body)):
        return JSON_TYPE
    return RAW_TYPE


def _is_json(body: Body) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


# By their first bytes; what none of these fits is sent as float32 little-endian.
_CONTENT_TYPES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))


_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


OCTET_STREAM = "application/octet-stream"


def content_type_of(body: bytes) -> str:
    """Return the content type that a body's bytes tell."""
    for magic, content_type in _CONTENT_TYPES:
        if body.startswith(magic):
            return content_type
    # The first of many numbers may look like a bracket; no JSON, broken or not, has their control characters.
    is_json = body.lstrip()[:1] in (b"{", b"[") and not _CONTROL.search(body)
    return "application/json" if is_json else OCTET_STREAM
