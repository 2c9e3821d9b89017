"""What a body is, told by its first bytes."""

import orjson

from handlers.request import JSON_TYPE, Body

RAW_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")


def image_type(body: Body | memoryview) -> str | None:
    """`image/png`, `image/jpeg` or `image/webp`; None for anything else."""
    start = bytes(body[:12])
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if start[:4] == b"RIFF" and start[8:] == b"WEBP" else None


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
