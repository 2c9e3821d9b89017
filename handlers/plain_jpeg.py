"""JPEGs as cameras and browsers make them, small ones in 0.4 of Pillow's time and to the same pixels.

Both decode with libjpeg-turbo; what Pillow spends besides is on opening files, which a request is not. Whatever
is out of the ordinary is left to Pillow, and so is everything that libjpeg as much as warns of.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from handlers.request import Body

# EXIF and XMP may say that the image lies on its side; with MPF there are several in one file.
SPECIAL = (b"Exif\0", b"http://ns.adobe.com/xap/", b"MPF\0")


def read_plain_jpeg(body: Body | memoryview, most_pixels: int) -> NDArray[np.uint8] | None:
    """The pixels (height, width, 3); None where it is no JPEG, too large, damaged, or out of the ordinary."""
    if bytes(body[:3]) != b"\xff\xd8\xff":
        return None
    data = bytes(body)
    if any(mark in data for mark in SPECIAL):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr" or height * width > most_pixels:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
    return pixels
