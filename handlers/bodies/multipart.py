"""Multipart bodies (RFC 7578) to their parts, strictly: each named, each name once, an end that is there.

TorchServe takes such bodies apart itself, answers broken ones with 500 and keeps the last of several parts of
one name; so the front hands them over as they came, with their content type in a header of its own.
"""

from email.message import Message
from email.parser import HeaderParser

from statehouse.handlers.errors import MalformedRequestError
from statehouse.handlers.request import Body, Part, bare_type

# As Django and Starlette have it. More are counted, not read: each costs a worker its time.
MAX_PARTS = 1000


def read_parts(body: Body, content_type: str) -> dict[str, Part]:
    """The parts by name, in their order; none where the body is empty.

    Raises MalformedRequestError where boundary, name or end is missing, or a name comes twice.
    """
    if not body.strip():
        return {}
    delimiter = b"\r\n--" + _boundary(content_type)
    _, *pieces = (b"\r\n" + bytes(body)).split(delimiter, MAX_PARTS + 2)
    if len(pieces) > MAX_PARTS + 1:
        raise MalformedRequestError(
            f"The body has more than {MAX_PARTS} parts. Send so many values as JSON: {{'inputs': …}}."
        )
    if not pieces or not pieces[-1].startswith(b"--"):
        raise MalformedRequestError(
            f"The multipart body has no end: expected the line {(delimiter[2:] + b'--').decode('latin-1')!r} "
            "after the last part. Let your HTTP library make the body and its Content-Type together."
        )
    parts: dict[str, Part] = {}
    for index, piece in enumerate(pieces[:-1]):
        name, part = _read_part(index, piece)
        if name in parts:
            raise MalformedRequestError(f"The part {name[:100]!r} is given more than once. Give each once.")
        parts[name] = part
    return parts


def _boundary(content_type: str) -> bytes:
    boundary = _header("content-type", content_type).get_boundary("").strip()
    if not boundary:
        raise MalformedRequestError(
            f"Content-Type {content_type[:100]!r} says no boundary, as in multipart/form-data; boundary=x. "
            "Let your HTTP library make the body and its Content-Type together."
        )
    return boundary.encode("latin-1", errors="replace")


def _read_part(index: int, piece: bytes) -> tuple[str, Part]:
    padding, line_end, rest = piece.partition(b"\r\n")
    head, blank_line, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if padding.strip() or not line_end or not blank_line:
        raise MalformedRequestError(f"Part {index} of the body has no blank line after its headers.")
    headers = HeaderParser().parsestr(head[2:].decode("utf-8", errors="replace"))
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str) or not name:
        raise MalformedRequestError(
            f"Part {index} of the body has no name; expected the header "
            """Content-Disposition: form-data; name="…"."""
        )
    return name, Part(content, bare_type(headers.get("content-type", "")))


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\r", " ").replace("\n", " ")
    return message
