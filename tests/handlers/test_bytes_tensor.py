import numpy as np
import pytest
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from handlers.bytes_tensor import read_bytes_elements, write_bytes_elements
from handlers.errors import InvalidInputError


def test_elements_are_triton_s_both_ways():
    theirs = serialize_byte_tensor(np.array([b"a", b"", "é".encode()], dtype=object)).item()
    assert read_bytes_elements(memoryview(theirs), 3) == [b"a", b"", "é".encode()]
    assert deserialize_bytes_tensor(write_bytes_elements(["a", "", "é"])).tolist() == [
        b"a",
        b"",
        "é".encode(),
    ]


@pytest.mark.parametrize(
    ("binary", "message"),
    [
        (b"\x05\x00\x00\x00abc", "element 0 .* ends at byte 9, after the last byte 7"),
        (b"\x00\x00", "element 0"),
        (b"\x01\x00\x00\x00a\x01\x00", "element 1"),
        (b"\x01\x00\x00\x00a", "1 elements .* expected 2"),
        (b"\xff\xff\xff\xff", "element 0"),
    ],
)
def test_lengths_that_lie_are_refused(binary, message):
    with pytest.raises(InvalidInputError, match=message):
        read_bytes_elements(memoryview(binary), 2)
