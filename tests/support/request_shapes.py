"""Requests whose end could be read in two ways, each with what RFC 9112 says of it: the oracle of the tests.

A section is of RFC 9112 where it does not say otherwise. After a request whose framing cannot be trusted, the
connection ends: then nothing behind it has an answer, the last request that a test sends neither.
"""

from __future__ import annotations

from typing import NamedTuple

PATH = "/predictions/digits"
INNER = f"POST {PATH}?smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Smuggled: yes\r\n\r\n"
LAST = b"GET /the-last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
NOT_FOUND = 404  # what LAST is answered with, where the connection is still open


class Shape(NamedTuple):
    """What is sent before LAST, the section that rules it, and what has to come of it."""

    sent: str
    section: str
    statuses: list[int]  # of every answer, in order, that of LAST included
    bodies: tuple[str, ...] = ()  # of the requests that are passed on


def head(*headers: str, line: str = f"POST {PATH} HTTP/1.1") -> str:
    return "\r\n".join([line, "Host: x", *headers, "", ""])


def refused(sent: str, section: str, status: int = 400) -> Shape:
    """An error from which there is no way back: one answer, and the connection is closed."""
    return Shape(sent, section, [status])


def passed_on(sent: str, section: str, *bodies: str, ends: bool = False) -> Shape:
    """One answer for each body; ``ends``: the connection does not outlive it, as the RFC wants it."""
    return Shape(sent, section, [200] * len(bodies) + [NOT_FOUND] * (not ends), bodies)


def chunked(*headers: str) -> str:
    return head("Transfer-Encoding: chunked", *headers)


BEHIND = "0\r\n\r\n" + INNER  # what ends a body in chunks, and a request
SHAPES = {
    # 6.3, 3: a coding overrides a length; 6.1: whoever sent both is not to be trusted with another request.
    "CL.TE": passed_on(
        head("Content-Length: 6", "Transfer-Encoding: chunked") + BEHIND, "6.1", "", ends=True
    ),
    "TE.CL": passed_on(
        chunked("Content-Length: 4") + f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n", "6.1", INNER, ends=True
    ),
    "TE after a tab": passed_on(
        head("Content-Length: 6", "Transfer-Encoding:\tchunked") + BEHIND, "5.1, 6.1", "", ends=True
    ),
    "TE folded": passed_on(  # may be refused, or its fold read as blanks
        head("Content-Length: 6", "Transfer-Encoding:\r\n chunked") + BEHIND, "5.2, 6.1", "", ends=True
    ),
    "TE behind a bare LF": passed_on(  # which may end a line
        head("Content-Length: 6", "X: y\nTransfer-Encoding: chunked") + BEHIND, "2.2, 6.1", "", ends=True
    ),
    # 6.3, 5: lengths that differ, or are no number.
    "CL.CL": refused(head("Content-Length: 0", f"Content-Length: {len(INNER)}") + INNER, "6.3, 5"),
    "CL, CL in one": refused(head(f"Content-Length: 0, {len(INNER)}") + INNER, "6.3, 5"),
    "CL twice the same": passed_on(head("Content-Length: 2", "Content-Length: 2") + "{}", "6.3, 5", "{}"),
    "CL +": refused(head(f"Content-Length: +{len(INNER)}") + INNER, "6.3, 5"),
    "CL -": refused(head("Content-Length: -1") + INNER, "6.3, 5"),
    "CL hex": refused(head(f"Content-Length: 0x{len(INNER):x}") + INNER, "6.3, 5"),
    "CL with a blank": refused(head("Content-Length: 1 0") + "{}" + INNER, "6.3, 5"),
    "CL empty": refused(head("Content-Length:") + INNER, "6.3, 5"),
    # A number, and more bytes than will ever come: all that follows is its body.
    "CL of 19 digits": refused(
        head("Content-Length: 1000000000000000000") + INNER, "6.2; RFC 9110, 8.6", 413
    ),
    "CL large": refused(head("Content-Length: 99999999999999999") + INNER, "6.2; RFC 9110, 8.6", 413),
    "CL before a tab": refused(head("Content-Length\t: 2") + "{}" + INNER, "5.1"),
    "CL before a blank": refused(head(f"Content-Length : {len(INNER)}") + INNER, "5.1"),
    # 6.3, 4: where there is a coding, the last one has to be chunked.
    "TE obfuscated": refused(head("Content-Length: 6", "Transfer-Encoding: xchunked") + BEHIND, "6.3, 4"),
    "TE, identity": refused(
        head("Content-Length: 6", "Transfer-Encoding: chunked, identity") + BEHIND, "6.3, 4"
    ),
    "TE identity": refused(head("Content-Length: 2", "Transfer-Encoding: identity") + "{}" + INNER, "6.3, 4"),
    "TE twice": refused(chunked("Transfer-Encoding: x") + BEHIND, "6.3, 4"),
    "TE chunked twice": refused(head("Transfer-Encoding: chunked, chunked") + BEHIND, "6.1"),
    # A coding that is not known. 501 is what a server should say; 422 is what HAProxy's parser says.
    "TE gzip": refused(head("Transfer-Encoding: gzip, chunked") + BEHIND, "6.1", 422),
    "TE before a blank": refused(head("Content-Length: 6", "Transfer-Encoding : chunked") + BEHIND, "5.1"),
    "TE with a vertical tab": refused(
        head("Content-Length: 6", "Transfer-Encoding: \x0bchunked") + BEHIND, "5; RFC 9110, 5.5"
    ),
    "TE behind a bare CR": refused(
        head("Content-Length: 6", "X: y\rTransfer-Encoding: chunked") + BEHIND, "2.2"
    ),
    "TE behind a NUL": refused(
        head("Content-Length: 6", "X: y\0Transfer-Encoding: chunked") + BEHIND, "RFC 9110, 5.5"
    ),
    "TE in HTTP/1.0": refused(
        head("Transfer-Encoding: chunked", line=f"POST {PATH} HTTP/1.0") + BEHIND, "6.1"
    ),
    "TE in HTTP/1.0, kept alive": refused(
        head("Transfer-Encoding: chunked", "Connection: keep-alive", line=f"POST {PATH} HTTP/1.0") + BEHIND,
        "6.1",
    ),
    "TE and CL in HTTP/1.0": refused(
        head("Transfer-Encoding: chunked", "Content-Length: 6", line=f"POST {PATH} HTTP/1.0") + BEHIND, "6.1"
    ),
    # Another name. Six bytes are the body, what follows them is no method that is taken here.
    "underscores": Shape(
        head("Content-Length: 6", "Transfer_Encoding: chunked") + BEHIND,
        "5",
        [200, 405, NOT_FOUND],
        (BEHIND[:6],),
    ),
    "bare LF alone": passed_on(
        head("Content-Length: 2").replace("\r\n", "\n") + "{}" + INNER, "2.2", "{}", ""
    ),
    # 7.1: a chunk's size is hexadecimal digits and no more, and what it says.
    "chunk size with a sign": refused(chunked() + "+2\r\n{}\r\n" + BEHIND, "7.1"),
    "chunk size in 0x": refused(chunked() + "0x2\r\n{}\r\n" + BEHIND, "7.1"),
    "chunk size that wraps": refused(chunked() + "10000000000000002\r\n{}\r\n" + BEHIND, "7.1"),
    "chunk behind a bare LF": refused(chunked() + "2\n{}\n0\n\n" + INNER, "7.1"),
    "chunk longer than said": refused(chunked() + "2\r\n{}XX\r\n" + BEHIND, "7.1"),
    "chunk extension with a LF": refused(chunked() + f"2;a\n{{}}\r\n{BEHIND}", "7.1.1"),
    "trailer with a length": passed_on(  # a trailer frames nothing
        chunked() + "2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n" + INNER, "7.1.2; RFC 9110, 6.5.1", "{}", ""
    ),
    "GET with a body": Shape(  # its body is read away; predictions are made with POST
        head(f"Content-Length: {len(INNER)}", line=f"GET {PATH} HTTP/1.1") + INNER, "6.3, 6", [405, NOT_FOUND]
    ),
    "a line in the path": Shape(  # escaped, it is part of a name that nobody has
        head("Content-Length: 0", line=f"POST {PATH}%0d%0aX-Smuggled:yes HTTP/1.1"), "3.2", [404, NOT_FOUND]
    ),
    "a CR in the path": refused(head("Content-Length: 0", line=f"POST {PATH}\rX HTTP/1.1"), "2.2, 3.2"),
    "no version": refused(head("Content-Length: 0", line=f"POST {PATH}"), "2.3, 3"),
    "HTTP/0.9": refused(f"POST {PATH}\r\n", "2.3, 3"),
    "HTTP/2.0 in a line": refused(
        head("Content-Length: 0", line=f"POST {PATH} HTTP/2.0"), "2.3; RFC 9110, 15.6.6", 505
    ),
    "a header without a name": refused(head(": x", "Content-Length: 0"), "5"),
    "a header without a colon": refused(head("Content-Length", "X: 0"), "5"),
    "a space before a header": refused(head(" X: y", "Content-Length: 0"), "2.2"),
    "upgrade to h2c": passed_on(  # may be ignored, and is
        head(
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABk",
            "Content-Length: 0",
        )
        + INNER,
        "RFC 9110, 7.8",
        "",
        "",
    ),
    "Connection names the length": passed_on(  # a field that is for everybody on the way stays
        head("Connection: content-length", f"Content-Length: {len(INNER)}") + INNER, "RFC 9110, 7.6.1", INNER
    ),
    "Expect": passed_on(head("Expect: 100-continue", "Content-Length: 2") + "{}", "RFC 9110, 10.1.1", "{}"),
}
