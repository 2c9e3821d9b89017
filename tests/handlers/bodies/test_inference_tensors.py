import pytest

from statehouse.handlers.bodies.inference_tensors import read_bytes_elements
from statehouse.handlers.errors import InvalidInputError


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
