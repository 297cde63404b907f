"""Answers of every kind, which tests make fail by a lack of memory. /references counts the references to their bytes."""
import sys
import time

SMALL, PART, BODY, LARGE = b"s" * 100, bytes(range(256)) * 24, b"b" * 40_960, b"l" * 8_000_000
TEXT = [("Content-Type", "text/plain")]
KNOWN = [("Content-Length", str(20 * len(PART)))]
PAGES = {}


def page(function):
    PAGES["/" + function.__name__] = function
    return function


def app(environ, start_response):
    return PAGES[environ["PATH_INFO"]](environ, start_response)


def answer(body, fields=()):
    def answered(environ, start_response):
        start_response("200 OK", TEXT + list(fields))
        return body()
    return answered


PAGES["/small"] = answer(lambda: [b"Hello, world!"])
PAGES["/parts"] = answer(lambda: (SMALL for _ in range(10)))
PAGES["/lent_parts"] = answer(lambda: (PART for _ in range(20)))
PAGES["/lent_parts_of_known_length"] = answer(lambda: (PART for _ in range(20)), KNOWN)
PAGES["/many_lent_parts"] = answer(lambda: (BODY for _ in range(200)))
PAGES["/lent_body"] = answer(lambda: [BODY])
PAGES["/large_lent_body"] = answer(lambda: [LARGE])
PAGES["/references"] = answer(lambda: [repr([sys.getrefcount(held) for held in (PART, BODY, LARGE)]).encode()])


@page
def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    for part in (SMALL, SMALL, PART):
        write(part)
    return [SMALL]


@page
def file(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


@page
def echo(environ, start_response):
    data = environ["wsgi.input"].read()
    start_response("200 OK", TEXT)
    return [data]


@page
def lines(environ, start_response):
    count = sum(len(line) for line in environ["wsgi.input"])
    start_response("200 OK", TEXT)
    return [str(count).encode()]


@page
def slow(environ, start_response):
    time.sleep(0.01)
    start_response("200 OK", TEXT)
    return [b"slow"]
