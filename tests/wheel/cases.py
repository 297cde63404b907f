"""An application of cases, for each Python: the name of a case is its path. It answers 200 and "ok", or 500."""
import asyncio
import concurrent.futures
import decimal
import multiprocessing
import os
import ssl
import sqlite3
import subprocess
import sys
import threading
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

IMPORTED_BY = os.getpid()


def double(number):
    return 2 * number


def pool(method):
    with multiprocessing.get_context(method).Pool(2) as workers:
        assert workers.map(double, range(50)) == [2 * number for number in range(50)]


def in_threads():
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        assert sum(executor.map(double, range(1000))) == 999_000
    own = threading.local()
    done = threading.Event()
    threading.Thread(target=lambda: (setattr(own, "value", 1), done.set())).start()
    assert done.wait(10) and not hasattr(own, "value")


def in_asyncio():
    async def gather():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        server.close()
        return await asyncio.gather(*(asyncio.sleep(0.001, number) for number in range(100)))
    assert asyncio.run(gather()) == list(range(100))


def in_subprocess():
    words = [sys.executable, "-c", "import sys; print(sys.version_info[:2], sys.prefix)"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, universal_newlines=True)
    assert done.stdout.strip() == "{} {}".format(tuple(sys.version_info[:2]), sys.prefix)
    assert subprocess.run(["false"]).returncode == 1


def in_extension_modules():
    assert sqlite3.connect(":memory:").execute("select 1 + 1").fetchone() == (2,)
    assert decimal.Decimal("0.1") + decimal.Decimal("0.2") == decimal.Decimal("0.3")
    assert ssl.create_default_context().check_hostname


def in_numpy():
    try:
        import numpy
    except ImportError:
        return "no numpy"
    matrix = numpy.arange(10_000.0).reshape(100, 100)
    assert numpy.allclose(matrix @ numpy.linalg.pinv(matrix) @ matrix, matrix)


CASES = {
    "/fork": lambda: pool("fork"), "/spawn": lambda: pool("spawn"), "/forkserver": lambda: pool("forkserver"),
    "/threads": in_threads, "/asyncio": in_asyncio, "/subprocess": in_subprocess, "/modules": in_extension_modules,
    "/numpy": in_numpy,
}


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written, ")
    return [b"returned"]


def again(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("before the head was sent")
    except ValueError:
        start_response("500 Its own", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"own"]


def read(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.readline(), body.read(3), *body, body.read(1)]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (part for part in parts if part)


def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    wrapper = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper(open(__file__, "rb"), 1000)


class Closed:
    closed = 0

    def __iter__(self):
        return iter([b"part ", b"by part"])

    def close(self):
        Closed.closed += 1


def closing(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closed()


def closed(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % Closed.closed]


RESPONSES = {"/written": written, "/again": again, "/read": read, "/file": file, "/closing": closing, "/closed": closed}


def plain(environ, start_response):
    path = environ["PATH_INFO"]
    if path in RESPONSES:
        return RESPONSES[path](environ, start_response)
    note = CASES[path]() if path in CASES else "%s %s %d" % (sys.version_info[:2], sys.prefix, IMPORTED_BY == os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(note or "ok").encode()]


app = validator(plain)  # of PEP 3333
