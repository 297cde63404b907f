"""What PEP 3333 requires, one path for each requirement. `checked` is the same application inside wsgiref.validate; `bare` goes
beyond what that lets an application do (read() without a size, a file wrapper that reaches the server)."""
import hashlib
import io
import json
import os
import sys
import tempfile
import urllib.parse
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]
PAGES = {}
WHAT_IT_CAN = {"wsgi.input": ("read", "readline", "readlines", "__iter__"), "wsgi.file_wrapper": ("__call__",),
               "wsgi.errors": ("write", "writelines", "flush")}
HERE = os.path.dirname(os.path.abspath(__file__))


def page(function):
    PAGES["/" + function.__name__] = function
    return function


def bare(environ, start_response):
    return PAGES[environ["PATH_INFO"] if environ["PATH_INFO"] in PAGES else "/environ"](environ, start_response)


checked = validator(bare)


def options(environ):
    return dict(urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))


def note(text):
    """For what no response can show: a line in a file that the test reads."""
    with open(os.path.join(os.environ["TRIAL_FOLDER"], "notes"), "a", encoding="utf-8") as file:
        file.write(text + "\n")


def text(start_response, body, status="200 OK", fields=()):
    start_response(status, TEXT + [("Content-Length", str(len(body)))] + list(fields))
    return [body]


# ---- environ ----

@page
def environ(environ, start_response):
    """Everything in it: plain values as they are, of others what they can do."""
    shown = {}
    for key, value in environ.items():
        shown[key] = value if type(value) in (str, bool, int, tuple) else [
            name for name in WHAT_IT_CAN.get(key, ()) if hasattr(value, name)]
    return text(start_response, repr(sorted(shown.items())).encode("ascii", "backslashreplace"))


@page
def errors(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("written to wsgi.errors\n")
    errors.writelines(["first line\n", "s\u00e9cond line\n"])
    errors.flush()
    return text(start_response, b"noted")


@page
def threads(environ, start_response):
    return text(start_response, repr((environ["wsgi.multithread"], environ["wsgi.multiprocess"],
                                      environ["wsgi.run_once"])).encode())


# ---- input ----

def summary(data):
    return [len(data), hashlib.sha256(data).hexdigest(), data[:40].decode("latin-1")]


def calls(environ):
    """?do=read:5,readline,lines... : each call's result in turn, as the last word of its name says."""
    stream = environ["wsgi.input"]
    for call in options(environ).get("do", "").split(","):
        name, _, size = call.partition(":")
        sizes = [int(size)] if size else []
        if name == "iterate":
            yield [summary(line) for line in stream]
        elif name == "next":
            yield summary(next(iter(stream)))
        elif name == "readlines":
            yield [summary(line) for line in stream.readlines(*sizes)]
        elif name == "none":
            yield summary(stream.read(None))
        elif name == "all":
            pieces = iter(lambda: stream.read(sizes[0]), b"")
            yield summary(b"".join(pieces))
        else:
            yield summary(getattr(stream, name)(*sizes))


@page
def body(environ, start_response):
    told = json.dumps(list(calls(environ))).encode()
    while environ["wsgi.input"].read(65536):  # else Gunicorn resets the connection, and its answer may be lost
        pass
    return text(start_response, told)


@page
def ignores_body(environ, start_response):
    return text(start_response, b"not read")


@page
def wrong_size(environ, start_response):
    try:
        environ["wsgi.input"].read("5")
    except TypeError:
        return text(start_response, b"TypeError")
    return text(start_response, b"taken")


# ---- the answer's body ----

@page
def one(environ, start_response):
    start_response("200 OK", TEXT[:])
    return [b"one item, no length"]


@page
def several(environ, start_response):
    start_response("200 OK", TEXT[:])
    return [b"several ", b"", b"items", b""]


@page
def measured(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "13")])
    return [b"several ", b"items"]


@page
def nothing(environ, start_response):
    start_response("200 OK", TEXT[:])
    return []


@page
def one_empty(environ, start_response):
    start_response("200 OK", TEXT[:])
    return [b""]


@page
def generator(environ, start_response):
    start_response("200 OK", TEXT[:])
    for number in range(5):
        yield b"piece %d\n" % number


@page
def late_start(environ, start_response):
    """start_response only when the first item is asked for, as PEP 3333 allows."""
    start_response("201 Created", TEXT[:])
    yield b""
    yield b"made"


@page
def tuple_of_two(environ, start_response):
    start_response("200 OK", TEXT[:])
    return (b"a", b"tuple")


@page
def big(environ, start_response):
    size = int(options(environ)["size"])
    start_response("200 OK", TEXT + ([("Content-Length", str(size))] if "measured" in options(environ) else []))
    return (b"x" * min(65536, size - at) for at in range(0, size, 65536))


@page
def written(environ, start_response):
    write = start_response("200 OK", TEXT[:])
    write(b"written, ")
    write(b"")
    write(b"written again, ")
    return [b"returned"]


@page
def written_measured(environ, start_response):
    write = start_response("200 OK", TEXT + [("Content-Length", "15")])
    write(b"written, ")
    return [b"return"]


@page
def too_long(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "5")])
    return [b"12", b"34567", b"89"]


@page
def too_long_at_once(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "5")])
    return [b"123456789"]


@page
def too_short(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "50")])
    return [b"12", b"345"]


class Closing:
    def __init__(self, what, pieces, fails=False):
        self.what, self.pieces, self.fails = what, iter(pieces), fails

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        note(f"close of {self.what}")
        if self.fails:
            raise ValueError("close fails")


@page
def closing(environ, start_response):
    start_response("200 OK", TEXT[:])
    return Closing("a whole answer", [b"a", b"b"])


@page
def closing_on_error(environ, start_response):
    def pieces():
        yield b"a"
        raise ValueError("in the middle")
    start_response("200 OK", TEXT[:])
    return Closing("a broken answer", pieces())


@page
def closing_on_head(environ, start_response):
    start_response("200 OK", TEXT[:])
    return Closing("an answer to HEAD", [b"a", b"b"])


@page
def endless(environ, start_response):
    def pieces():
        while True:
            yield b"y" * 65536
    start_response("200 OK", TEXT[:])
    return Closing("an endless answer", pieces())


@page
def pushes(environ, start_response):
    """The first piece has to leave before the second is there: that waits until a file exists."""
    def pieces():
        yield b"first"
        while not os.path.exists(os.path.join(os.environ["TRIAL_FOLDER"], options(environ)["until"])):
            pass
        yield b"second"
    start_response("200 OK", TEXT[:])
    return pieces()


# ---- status and fields ----

@page
def status(environ, start_response):
    asked = options(environ)
    fields = [tuple(field.split(":", 1)) for field in asked.get("fields", "").split("|") if field]
    start_response(asked["is"], fields)
    return [asked.get("body", "").encode()] if "body" in asked else []


@page
def latin(environ, start_response):
    return text(start_response, b"fields beyond ASCII", "200 \u00dcber", [("X-Latin", "caf\xe9 \xff"), ("X-Empty", "")])


@page
def many_fields(environ, start_response):
    return text(start_response, b"many", fields=[("Set-Cookie", f"c{number}={number}") for number in range(50)] + [
        ("X-Mixed-CASE", "Kept"), ("x-lower", "kept"), ("X-Blank", "  inside  is kept  ")])


@page
def hop_by_hop(environ, start_response):
    return text(start_response, b"hops", fields=[("Connection", "X-Named"), ("X-Named", "stays"),
                                                 ("Keep-Alive", "timeout=7"), ("Server", "the application's"),
                                                 ("Upgrade", "h2c")])


# ---- errors ----

@page
def fails(environ, start_response):
    raise ValueError("before anything")


@page
def fails_after_start(environ, start_response):
    start_response("200 OK", TEXT[:])
    raise ValueError("the head was made but not sent")


@page
def fails_in_first_item(environ, start_response):
    start_response("200 OK", TEXT[:])
    raise ValueError("in the first item")
    yield b""


@page
def fails_in_second_item(environ, start_response):
    start_response("200 OK", TEXT[:])
    yield b"sent"
    raise ValueError("in the second item")


@page
def recovers(environ, start_response):
    """A second start_response with exc_info, before anything was sent, replaces the first."""
    start_response("200 OK", TEXT + [("X-First", "1")])
    try:
        raise ValueError("too late for 200")
    except ValueError:
        start_response("503 Second Thoughts", TEXT + [("X-Second", "1")], sys.exc_info())
    return [b"recovered"]


@page
def recovers_too_late(environ, start_response):
    """After the head was sent it raises what it was given."""
    start_response("200 OK", TEXT[:])
    yield b"sent"
    try:
        raise ValueError("after the head")
    except ValueError:
        try:
            start_response("500 Late", TEXT[:], sys.exc_info())
        except ValueError as error:
            note(f"raised again: {error}")
            raise
    yield b"never"


@page
def starts_twice(environ, start_response):
    start_response("200 OK", TEXT[:])
    start_response("200 OK", TEXT[:])
    return [b"never"]


@page
def never_starts(environ, start_response):
    return [b"body without a head"]


@page
def returns_none(environ, start_response):
    start_response("200 OK", TEXT[:])


@page
def returns_str(environ, start_response):
    start_response("200 OK", TEXT[:])
    return ["text, not bytes"]


@page
def bad_length(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "five")])
    return [b"never"]


@page
def bad_field(environ, start_response):
    return text(start_response, b"never", fields=[("X-Split", "a\r\nX-Forged: 1")])


@page
def bad_name(environ, start_response):
    return text(start_response, b"never", fields=[("X Split", "a")])


@page
def not_str(environ, start_response):
    return text(start_response, b"never", fields=[("X-Number", 1)])


@page
def exits(environ, start_response):
    raise SystemExit(0) if "now" in options(environ) else ValueError("not asked to")


# ---- files ----

def sized_file(size):
    file = tempfile.TemporaryFile()
    file.write(bytes(range(256)) * (size // 256))
    file.seek(0)
    return file


@page
def file(environ, start_response):
    asked = options(environ)
    size, offset = int(asked.get("size", "4096")), int(asked.get("offset", "0"))
    file = sized_file(size)
    file.seek(offset)
    fields = TEXT + ([("Content-Length", asked["length"])] if "length" in asked else [])
    start_response("200 OK", fields)
    return environ["wsgi.file_wrapper"](file, 8192)


@page
def named_file(environ, start_response):
    path = os.path.join(HERE, "flask_site", "static", "style.css")
    start_response("200 OK", TEXT + [("Content-Length", str(os.path.getsize(path)))])
    return environ["wsgi.file_wrapper"](open(path, "rb"))


class NotAFile:
    """Has read() and close(), and no descriptor."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def read(self, size=-1):
        return self.data.read(size)

    def close(self):
        note("close of an object that is not a file")


@page
def not_a_file(environ, start_response):
    start_response("200 OK", TEXT[:])
    return environ["wsgi.file_wrapper"](NotAFile(b"z" * 20000), 4096)


@page
def memory_file(environ, start_response):
    start_response("200 OK", TEXT[:])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"m" * 10000))


@page
def iterated_file(environ, start_response):
    """A wrapper that the application goes through itself."""
    start_response("200 OK", TEXT[:])
    return (piece.upper() for piece in environ["wsgi.file_wrapper"](NotAFile(b"q" * 9000), 4096))


@page
def closes_file(environ, start_response):
    class Watched(io.FileIO):
        def close(self):
            if not self.closed:
                note("close of a file")
            super().close()
    start_response("200 OK", TEXT[:])
    return environ["wsgi.file_wrapper"](Watched(os.path.join(HERE, "flask_site", "static", "style.css")))
