"""The same application under two servers: each request goes to both, as the same bytes, and the answers are compared:
status and reason, every field in order with its value, whether the answer was cut off, and the body byte for byte.

Not compared are Server, Date and Connection, the time in Expires, which counts from now, and the place of Content-Length
and Transfer-Encoding among the other fields; their values are compared. What else may differ is named in the test
(`differs`, `hide`), and must differ in exactly that way.
"""
import json
import re
import sys
import urllib.parse
from pathlib import Path

from wire import Truncated, Wire, request_bytes

APPS = Path(__file__).parent / "apps"
SERVERS_OWN = {"server", "date", "connection"}
FRAMING = {"content-length", "transfer-encoding"}

ANY = "any framing"  # a test that needs it looks at narwhal's itself

# The deviations from Gunicorn that narwhal has on purpose.
LENGTH_KNOWN = "the whole body is known, as a list, tuple or file, so its length is sent: Gunicorn sends chunks"
NO_LENGTH = "no Content-Length where there can be no body (RFC 9110 8.6): Gunicorn passes on the application's"


def asked(server, what):
    """The value that an application of apps/ answers as JSON at /what."""
    response = server.get(f"/{what}")
    assert response.status == 200, server.tail()
    return json.loads(response.body)


class Answer:
    """What one server made of one request, in the form in which it is compared."""

    def __init__(self, response, cut):
        self.response, self.cut = response, cut
        self.line = f"{response.status} {response.reason}"
        self.fields = [f"{name}: {value if name.lower() != 'expires' else 'THEN'}" for name, value in response.headers
                       if name.lower() not in SERVERS_OWN | FRAMING]
        self.framing = sorted((name.lower(), value) for name, value in response.headers if name.lower() in FRAMING)
        self.body = response.body

    def hide(self, patterns):
        """Replaces what must differ: (pattern, replacement), in every field's line and in the body."""
        for pattern, replacement in patterns:
            self.fields = [re.sub(pattern, replacement, field) for field in self.fields]
            self.body = re.sub(pattern.encode(), replacement.encode(), self.body)

    def deviate(self, differs, method):
        """Gunicorn's answer, changed to what narwhal's should be."""
        if differs == LENGTH_KNOWN:
            plain = method == "HEAD" or self.response.version == "1.0"
            assert self.framing == ([] if plain else [("transfer-encoding", "chunked")]), self.framing
            self.framing = ANY if method == "HEAD" else [("content-length", str(len(self.body)))]
        elif differs == NO_LENGTH:
            assert [name for name, _ in self.framing] == ["content-length"], self.framing
            self.framing = []
        else:
            assert differs is None, differs


def differences(gunicorn, narwhal):
    """One line for each thing that differs between two Answers."""
    found = []
    for what in ("line", "cut", "fields", "framing", "body"):
        theirs, ours = getattr(gunicorn, what), getattr(narwhal, what)
        if theirs not in (ours, ANY):
            found.append(f"{what}: Gunicorn {shown(theirs)}; narwhal {shown(ours)}")
    return found


def shown(value):
    text = repr(value)
    return text if len(text) <= 1200 else f"{text[:1200]}... ({len(value)})"


class Side:
    """One of the two servers, with what a browser remembers of it."""

    def __init__(self, server, keeps):
        self.server, self.keeps = server, keeps
        self.wire, self.cookies, self.last = None, {}, None

    def answer(self, data, method):
        if self.wire is None:
            self.wire = Wire(self.server.address)
        cut = False
        try:
            self.wire.send(data)
            response = self.wire.response(method)
        except Truncated as truncated:
            if truncated.partial is None:
                raise
            response, cut = truncated.partial, True
        except BaseException:
            self.forget_wire()
            raise
        if cut or response.closes or not self.keeps:
            self.forget_wire()
        self.last = response
        return Answer(response, cut)

    def forget_wire(self):
        if self.wire is not None:
            self.wire.close()
        self.wire = None

    def request(self, target, headers=(), form=None, **parts):
        """The bytes of a request; with this side's cookies, and a form whose callable values are asked for this side."""
        headers = list(headers)
        if self.cookies:
            headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        if form is not None:
            filled = {name: value(self) if callable(value) else value for name, value in form.items()}
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            parts.update(method="POST", body=urllib.parse.urlencode(filled).encode())
        return request_bytes(target, headers=headers, **parts)

    def remember_cookies(self):
        for field in self.last.all("Set-Cookie"):
            name, value = field.split(";", 1)[0].split("=", 1)
            if "Max-Age=0" in field or not value.strip('"'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


class Pair:
    """The application under both servers. `same` asks both and fails on a difference; narwhal's connection is kept."""

    def __init__(self, narwhal, gunicorn, folders):
        self.narwhal, self.gunicorn, self.folders = narwhal, gunicorn, folders
        self.ours, self.theirs = Side(narwhal, keeps=True), Side(gunicorn, keeps=False)
        self.browses = False

    def same(self, target="/", differs=None, hide=(), each=None, **parts):
        """Narwhal's response, when it is Gunicorn's too. Parts: those of wire.request_bytes, and `form`; more of them
        come from each(side), where a request repeats what that server sent before."""
        method = "POST" if parts.get("form") is not None else parts.get("method", "GET")
        answers = [side.answer(side.request(target, **parts, **(each(side) if each else {})), method)
                   for side in (self.theirs, self.ours)]
        return self._compared(f"{method} {target}", method, *answers, differs, hide)

    def same_bytes(self, data, method="GET", differs=None, hide=()):
        theirs, ours = (side.answer(data, method) for side in (self.theirs, self.ours))
        return self._compared(repr(data[:200]), method, theirs, ours, differs, hide)

    def _compared(self, what, method, theirs, ours, differs, hide):
        if self.browses:
            self.theirs.remember_cookies()
            self.ours.remember_cookies()
        theirs.deviate(differs, method)
        for answer in (theirs, ours):
            answer.hide(hide)
        if found := differences(theirs, ours):
            sys.stderr.write(f"---- log of narwhal\n{self.narwhal.tail()}\n")
            raise AssertionError(f"{what}: not the same answer:\n" + "\n".join(found))
        return ours.response

    def browser(self):
        """Another pair on the same servers: a visitor with cookies, a jar for each server."""
        pair = Pair(self.narwhal, self.gunicorn, self.folders)
        pair.browses = True
        return pair

    def close(self):
        self.ours.forget_wire()
        self.theirs.forget_wire()


def multipart(boundary, *parts):
    """(header, body) of a form with files: parts are (name, value) or (name, file name, type, bytes)."""
    lines = []
    for part in parts:
        if len(part) == 2:
            head, data = f'Content-Disposition: form-data; name="{part[0]}"\r\n', part[1].encode()
        else:
            head = (f'Content-Disposition: form-data; name="{part[0]}"; filename="{part[1]}"\r\n'
                    f"Content-Type: {part[2]}\r\n")
            data = part[3]
        lines.append(f"--{boundary}\r\n{head}\r\n".encode() + data + b"\r\n")
    return (("Content-Type", f"multipart/form-data; boundary={boundary}"),
            b"".join(lines) + f"--{boundary}--\r\n".encode())
