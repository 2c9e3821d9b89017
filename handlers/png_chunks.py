"""The checksums of a PNG: Pillow decodes past a wrong one in the pixels, and would answer a flipped bit."""

import struct
import zlib

from handlers.request import Body

SIGNATURE_BYTES = 8
HEADER = struct.Struct(">I4s")
CHECKSUM_BYTES = 4


def find_damage(body: Body | memoryview) -> str | None:
    """What is wrong with the first damaged chunk of a PNG; None where all are whole up to its end mark."""
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
