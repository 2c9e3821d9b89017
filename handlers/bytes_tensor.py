"""BYTES elements of the Open Inference Protocol: each preceded by its length, four bytes little-endian."""

import struct
from collections.abc import Iterable

from handlers.errors import InvalidInputError

LENGTH = struct.Struct("<I")


def read_bytes_elements(binary: memoryview, count: int) -> list[bytes]:
    """Exactly `count` elements; raises InvalidInputError where the lengths and the bytes disagree."""
    elements: list[bytes] = []
    offset = 0
    while offset < len(binary):
        end = offset + LENGTH.size
        if end <= len(binary):
            end += LENGTH.unpack_from(binary, offset)[0]
        if end > len(binary) or offset + LENGTH.size > len(binary):
            raise InvalidInputError(
                f"element {len(elements)} of the binary data ends at byte {end}, after the last byte "
                f"{len(binary)}; expected four bytes of length, then as many bytes."
            )
        elements.append(bytes(binary[offset + LENGTH.size : end]))
        offset = end
    if len(elements) != count:
        raise InvalidInputError(f"{len(elements)} elements of binary data; expected {count} by the shape.")
    return elements


def write_bytes_elements(texts: Iterable[str]) -> bytes:
    """The texts as UTF-8, each preceded by its length."""
    encoded = [text.encode() for text in texts]
    return b"".join(LENGTH.pack(len(element)) + element for element in encoded)
