"""What a web server does to its application over FastCGI, SCGI and uwsgi, written from the specifications: requests in bytes
of any form, and answers that are checked to the letter."""
import struct
from dataclasses import dataclass, field

from clock import scaled
from wire import Truncated, Wire, WireError

WIRES = ("fastcgi", "scgi", "uwsgi")

# ---- FastCGI ----
BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, VALUES_RESULT, UNKNOWN = range(1, 12)
COMPLETE, CANNOT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)


def record(kind, request, content=b"", padding=0, version=1):
    return struct.pack(">BBHHBx", version, kind, request, len(content), padding) + content + bytes(padding)


def begin(request=1, keep=False, role=1):
    return record(BEGIN, request, struct.pack(">HB5x", role, keep))


def fastcgi_size(number, long=False):
    return struct.pack(">I", number | 1 << 31) if long or number > 127 else bytes([number])


def pairs(variables, long=False):
    return b"".join(fastcgi_size(len(name), long) + fastcgi_size(len(value), long) + name + value for name, value in variables)


def stream(kind, request, content, size=65535, padding=0):
    """Records of at most `size` bytes, and the empty one that ends the stream."""
    parts = [record(kind, request, content[at:at + size], padding) for at in range(0, len(content), size)]
    return b"".join(parts) + record(kind, request)


def fastcgi_request(variables, body=b"", request=1, keep=False, size=65535, long=False, padding=0):
    return (begin(request, keep) + stream(PARAMS, request, pairs(variables, long), size, padding)
            + stream(STDIN, request, body, size, padding))


# ---- SCGI and uwsgi ----
def scgi_request(variables, body=b""):
    head = b"".join(name + b"\0" + value + b"\0" for name, value in variables)
    return b"%d:%s,%s" % (len(head), head, body)


def uwsgi_request(variables, body=b"", modifiers=(0, 0)):
    head = b"".join(struct.pack("<H", len(text)) + text for pair in variables for text in pair)
    return struct.pack("<BHB", modifiers[0], len(head), modifiers[1]) + head + body


# ---- a request as nginx makes it ----
def variables_of(target="/", method="GET", headers=(), body=b"", more=(), length=True, host="test"):
    path, _, query = target.partition("?")
    said = [("CONTENT_LENGTH", str(len(body)) if length and (body or method in ("POST", "PUT")) else ""), ("SCGI", "1"),
            ("QUERY_STRING", query), ("REQUEST_METHOD", method), ("CONTENT_TYPE", ""), ("REQUEST_URI", target),
            ("DOCUMENT_URI", path), ("DOCUMENT_ROOT", "/usr/share/nginx/html"), ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_SCHEME", "http"), ("REMOTE_ADDR", "192.0.2.7"), ("REMOTE_PORT", "40007"),
            ("SERVER_ADDR", "203.0.113.1"), ("SERVER_PORT", "8080"), ("SERVER_NAME", "shop.example")]
    more = dict(more)
    said = [(name, more.pop(name, value)) for name, value in said] + list(more.items())
    said += [("HTTP_" + name.upper().replace("-", "_"), value) for name, value in (("Host", host), *headers)]
    return [(name.encode(), value.encode("latin-1")) for name, value in said if value is not None]


def request_over(wire, target="/", method="GET", headers=(), body=b"", more=(), keep=False, request=1, host="test"):
    said = variables_of(target, method, headers, body, dict(more), host=host)
    if wire == "fastcgi":
        return fastcgi_request([pair for pair in said if pair[0] != b"SCGI"], body, request, keep)
    if wire == "scgi":
        said = [(name, value or b"0") if name == b"CONTENT_LENGTH" else (name, value) for name, value in said]
        return scgi_request(said, body)
    return uwsgi_request(said, body)


@dataclass
class Answer:
    status: int
    headers: list = field(default_factory=list)
    body: bytes = b""
    application_status: int = 0
    protocol_status: int = 0
    errors: bytes = b""

    def header(self, name, default=None):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} appears {len(values)} times: {values}"
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode()


def parse_answer(data, first):
    """`first`: what begins the head: "Status: " or "HTTP/1.1 "."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise Truncated(f"no whole head in {data[:200]!r}", len(data))
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith(first):
        raise WireError(f"the head begins with {lines[0]!r}")
    headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
    answer = Answer(int(lines[0][len(first):].split(" ")[0]), headers, body)
    for name in ("Connection", "Transfer-Encoding"):
        if answer.header(name) is not None:
            raise WireError(f"{name} has no meaning here")
    return answer


class Gateway(Wire):
    """One connection of a web server to its application."""

    def __init__(self, wire, address, timeout=15.0, **named):
        super().__init__(address, timeout, **named)
        self.wire = wire

    def ask(self, target="/", **parts):
        method = parts.get("method", "GET")
        self.send(request_over(self.wire, target, **parts))
        return self.answer(method, request=parts.get("request", 1))

    def answer(self, method="GET", request=1):
        if self.wire == "fastcgi":
            return self.fastcgi_answer(method, request)
        answer = parse_answer(self.rest(), "Status: " if self.wire == "scgi" else "HTTP/1.1 ")
        return checked(answer, method)

    def record(self, timeout=None):
        """(kind, request id, content)"""
        self.sock.settimeout(scaled(timeout or self.timeout))
        head = self._read(8)
        version, kind, request, size, padding = struct.unpack(">BBHHBx", head)
        if version != 1:
            raise WireError(f"a record of version {version}: {head!r}")
        return kind, request, self._read(size + padding)[:size]

    def _read(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(1 << 16)
            if not data:
                raise Truncated("the connection ended within a record", len(self.buffer))
            self.buffer += data
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def fastcgi_answer(self, method="GET", request=1):
        out, errors, ended = b"", b"", False
        while True:
            kind, of, content = self.record()
            assert of == request, f"a record of request {of}, not {request}"
            if kind == STDOUT:
                assert not ended, "STDOUT goes on after its end"
                ended = not content
                out += content
            elif kind == STDERR:
                errors += content
            elif kind == END:
                application, protocol = struct.unpack(">IB3x", content)
                if not out:
                    return Answer(0, application_status=application, protocol_status=protocol, errors=errors)
                if application == 0:
                    assert ended, "STDOUT has no end"
                answer = parse_answer(out, "Status: ")
                answer.application_status, answer.protocol_status, answer.errors = application, protocol, errors
                return answer if application else checked(answer, method)
            else:
                raise WireError(f"a record of type {kind}")


def checked(answer, method):
    length = answer.header("Content-Length")
    if method == "HEAD" or answer.status in (204, 304):
        assert answer.body == b"", "a body where there must be none"
    elif length is not None and int(length) != len(answer.body):
        raise Truncated(f"{len(answer.body)} bytes of {length}", len(answer.body))
    return answer
