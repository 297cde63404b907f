"""An HTTP/1 client on a bare socket, which hides nothing: it parses exactly, distinguishes truncation from completion,
and lets a test send any bytes in any cut."""
import re
import socket
import struct
import time
from dataclasses import dataclass, field

from clock import scaled

STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) (\d{3}) ([\x20-\x7e\x80-\xff]*)")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*")
NO_BODY = {204, 304}


class WireError(Exception):
    """What arrived is not an HTTP/1 response."""


class Truncated(WireError):
    """The connection ended inside a response. `got` is how many bytes of it arrived, `partial` the Response so far."""

    def __init__(self, text, got=0, partial=None, reset=False):
        super().__init__(text)
        self.got, self.partial, self.reset = got, partial, reset


class Silence(WireError):
    """Nothing, or not enough, arrived in time."""


@dataclass
class Response:
    status: int
    reason: str
    version: str
    headers: list = field(default_factory=list)  # [(name, value)] in order of arrival, names as sent
    body: bytes = b""
    framing: str = "none"  # none, length, chunked or close
    chunks: list = field(default_factory=list)
    trailers: list = field(default_factory=list)  # [(name, value)] after the last chunk
    elapsed: float = 0.0
    to_1_0: bool = False  # the request was HTTP/1.0, where keep-alive must be stated

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name, default=None):
        values = self.all(name)
        assert len(values) <= 1, f"{name} appears {len(values)} times: {values}"
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def closes(self):
        tokens = [token.strip().lower() for value in self.all("Connection") for token in value.split(",")]
        if self.version == "1.0" or self.to_1_0:
            return "keep-alive" not in tokens
        return "close" in tokens


def dial(address, timeout=15.0, receive_buffer=None, source=None):
    """A connected socket to (host, port) or to a Unix socket's path, from the address `source` if one is named. The
    timeout is scaled."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(scaled(timeout))
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.connect(address)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def request_bytes(target="/", method="GET", headers=(), body=b"", version="1.1", host="test"):
    """A well-formed request. Content-Length is added when there is a body and no framing among the headers."""
    lines = [f"{method} {target} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
    names = {name.lower() for name, _ in headers}
    lines += [f"{name}: {value}" for name, value in headers]
    if (body or method in ("POST", "PUT", "PATCH")) and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*pieces, extension=b"", trailers=b""):
    out = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
    return out + b"0\r\n" + trailers + b"\r\n"


class Wire:
    """One connection. Every wait is bounded by the timeout given (scaled by NARWHAL_TEST_SCALE)."""

    def __init__(self, address, timeout=15.0, receive_buffer=None, source=None):
        self.timeout = timeout
        self.sock = dial(address, timeout, receive_buffer, source)
        self.buffer = bytearray()
        self.speaks_1_0 = self.takes_trailers = False
        self.sent_at = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- out ----
    def send(self, data):
        self.sock.settimeout(scaled(self.timeout))
        self.sock.sendall(data)
        self.speaks_1_0 = self.speaks_1_0 or b" HTTP/1.0\r\n" in data
        self.takes_trailers = self.takes_trailers or b"\r\nTE: trailers\r\n" in data
        self.sent_at = time.monotonic()

    def ask(self, target="/", **parts):
        """Sends one request and reads its response."""
        self.send(request_bytes(target, **parts))
        return self.response(parts.get("method", "GET"))

    def shut_down_writing(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # ---- in ----
    def _more(self, deadline, context, partial=None):
        """One more read into the buffer; False at the end of the stream."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Silence(f"{context}: nothing more in time; have {bytes(self.buffer[:200])!r}")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise Silence(f"{context}: nothing more in time; have {bytes(self.buffer[:200])!r}") from None
        except ConnectionResetError:
            raise Truncated(f"{context}: connection reset", len(self.buffer), partial, reset=True) from None
        self.buffer += data
        return bool(data)

    def _take(self, count):
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def _line(self, deadline, context, partial=None):
        while (end := self.buffer.find(b"\r\n")) < 0:
            if b"\n" in self.buffer:
                raise WireError(f"{context}: bare LF in {bytes(self.buffer[:200])!r}")
            if not self._more(deadline, context, partial):
                raise Truncated(f"{context}: connection ended in the middle of it", len(self.buffer), partial)
        line = self._take(end + 2)[:-2]
        if b"\r" in line or b"\n" in line:
            raise WireError(f"{context}: stray CR or LF in {line!r}")
        return line

    def _exactly(self, count, deadline, context, partial):
        while len(self.buffer) < count:
            if not self._more(deadline, context, partial):
                partial.body += bytes(self.buffer)
                arrived = sum(map(len, partial.chunks)) + len(partial.body)
                raise Truncated(f"{context}: {arrived} of the body arrived", len(self.buffer), partial)
        return self._take(count)

    def head(self, timeout=None):
        """Reads a response's head; its body is still to come."""
        deadline = time.monotonic() + scaled(timeout or self.timeout)
        while not self.buffer:
            if not self._more(deadline, "status line"):
                raise Truncated("connection ended instead of a response", 0)
        line = self._line(deadline, "status line")
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise WireError(f"not a status line: {line!r}")
        response = Response(int(match[2]), match[3].decode("latin-1"), match[1].decode(), to_1_0=self.speaks_1_0)
        response.headers = self._fields(deadline, "header", response)
        return response

    def _fields(self, deadline, context, response):
        fields = []
        while line := self._line(deadline, context, response):
            match = FIELD_LINE.fullmatch(line)
            if not match:
                raise WireError(f"not a {context} line: {line!r}")
            fields.append((match[1].decode(), match[2].decode("latin-1")))
        return fields

    def response(self, method="GET", timeout=None, interim=False):
        """Reads one whole response. 1xx responses are skipped unless interim is asked for."""
        deadline = time.monotonic() + scaled(timeout or self.timeout)
        while True:
            response = self.head(deadline_left(deadline))
            if not 100 <= response.status < 200:
                break
            if interim:
                return response
        self._read_body(response, method, deadline)
        response.elapsed = time.monotonic() - self.sent_at
        return response

    def _read_body(self, response, method, deadline):
        lengths, codings = response.all("Content-Length"), response.all("Transfer-Encoding")
        if lengths and codings:
            raise WireError("both Content-Length and Transfer-Encoding")
        if len(lengths) > 1 or (lengths and not re.fullmatch(r"\d+", lengths[0])):
            raise WireError(f"Content-Length: {lengths}")
        if method == "HEAD" or response.status in NO_BODY:
            return
        if codings:
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise WireError(f"Transfer-Encoding: {codings}")
            response.framing = "chunked"
            self._read_chunks(response, deadline)
        elif lengths:
            response.framing = "length"
            response.body = self._exactly(int(lengths[0]), deadline, f"body of {lengths[0]} bytes", response)
        else:
            if not response.closes:
                raise WireError("no length, not chunked and not closing: the body has no end")
            response.framing = "close"
            while self._more(deadline, "body until close", response):
                pass
            response.body = self._take(len(self.buffer))

    def _read_chunks(self, response, deadline):
        try:
            self._collect_chunks(response, deadline)
        finally:  # once: a sum for each chunk would copy the body as often
            response.body = b"".join(response.chunks) + response.body

    def _collect_chunks(self, response, deadline):
        while True:
            line = self._line(deadline, "chunk size", response)
            if not re.fullmatch(rb"[0-9a-fA-F]+", line):
                raise WireError(f"not a chunk size: {line!r}")
            size = int(line, 16)
            if size == 0:
                break
            chunk = self._exactly(size, deadline, "chunk", response)
            response.chunks.append(chunk)
            if self._exactly(2, deadline, "end of chunk", response) != b"\r\n":
                raise WireError("chunk data not followed by CRLF")
        response.trailers = self._fields(deadline, "trailer", response)
        if response.trailers and not self.takes_trailers:
            raise WireError("trailers without a request for them")

    def chunk(self, timeout=None):
        """The next chunk's data of a chunked response whose head was read by head(); b'' for the last."""
        deadline = time.monotonic() + scaled(timeout or self.timeout)
        size = int(self._line(deadline, "chunk size"), 16)
        data = self._exactly(size, deadline, "chunk", Response(0, "", ""))
        assert self._exactly(2, deadline, "end of chunk", Response(0, "", "")) == b"\r\n"
        return data

    def until(self, text, timeout=None):
        """Everything up to and including the text given."""
        deadline = time.monotonic() + scaled(timeout or self.timeout)
        while (at := self.buffer.find(text)) < 0:
            if not self._more(deadline, f"waiting for {text!r}"):
                raise Truncated(f"ended before {text!r}; have {bytes(self.buffer[-200:])!r}", len(self.buffer))
        return self._take(at + len(text))

    def end(self, timeout=None):
        """Waits until the server ends the connection: "eof" or "reset". Fails when bytes arrive before."""
        try:
            left = self.rest(timeout)
        except Truncated as cut:
            if cut.reset and not self.buffer:
                return "reset"
            raise
        if left:
            raise WireError(f"unexpected bytes before the end: {left[:200]!r}")
        return "eof"

    def rest(self, timeout=None):
        """Everything until the server ends the connection."""
        deadline = time.monotonic() + scaled(timeout or self.timeout)
        while self._more(deadline, "waiting for the end of the connection"):
            pass
        return self._take(len(self.buffer))

    def quiet_for(self, seconds):
        """True when nothing arrives and nothing ends within the (unscaled) time."""
        if self.buffer:
            return False
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            return True
        except ConnectionResetError:
            return False
        self.buffer += data
        return False


def deadline_left(deadline):
    """Seconds until a monotonic deadline, before scaling."""
    return max(deadline - time.monotonic(), 0.001) / scaled(1)


def fetch(address, target="/", timeout=15.0, **parts):
    """One request on a new connection."""
    headers = list(parts.pop("headers", ())) + [("Connection", "close")]
    with Wire(address, timeout) as wire:
        return wire.ask(target, headers=headers, **parts)
