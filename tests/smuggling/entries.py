"""Requests that two servers may read differently: the bytes, the source of the trick, and what a strict server's
application sees of them when it is asked directly.

Targets say what a request is: /main-... is the request itself, /smuggled-... stands where one reading finds a request and
another finds a body, or bytes after something that must be refused; /next-... is an honest request after the first.
"""
from dataclasses import dataclass

MARK = b"{nnnn}"  # becomes a number of as many digits, so that lengths stay right
TAIL = b" HTTP/1.1\r\nHost: t\r\n\r\n"
SMUGGLED = b"GET /smuggled-" + MARK + TAIL
NEXT = b"GET /next-" + MARK + TAIL


@dataclass(frozen=True)
class Entry:
    name: str
    source: str      # a CVE's number, a paper, or "own"
    pieces: tuple    # of bytes; the client waits a moment between them
    seen: tuple = ()  # kinds of requests the application sees, in order; none: refused
    unfinished: bool = False  # incomplete when its client ends, so there is nothing to refuse yet

    def numbered(self, number):
        return [piece.replace(MARK, b"%06d" % number) for piece in self.pieces]


def entry(name, source, data, seen=()):
    """`data` is bytes, or several pieces; `seen` is "main next" or the like, or "unfinished"."""
    pieces = (data,) if isinstance(data, bytes) else tuple(data)
    if seen == "unfinished":
        return Entry(name, source, pieces, unfinished=True)
    return Entry(name, source, pieces, tuple(seen.split()) if seen else ())


def head(*fields, line=b"POST /main-" + MARK + b" HTTP/1.1", host=b"Host: t"):
    return b"\r\n".join([line, *([host] if host else []), *fields]) + b"\r\n\r\n"


def get(*fields, **named):
    return head(*fields, line=b"GET /main-" + MARK + b" HTTP/1.1", **named)


def length(body):
    return b"Content-Length: %d" % len(body)


def chunk(data, size=None, extension=b""):
    return (b"%x" % len(data) if size is None else size) + extension + b"\r\n" + data + b"\r\n"


LAST = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
