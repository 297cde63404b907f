"""Reads bodies while they arrive: one path for each way. What no response can show is noted in $TRIAL_FOLDER/notes."""
import hashlib
import json
import os
import threading
import urllib.parse

kept = []


def note(text):
    with open(os.path.join(os.environ["TRIAL_FOLDER"], "notes"), "a", encoding="utf-8") as file:
        file.write(text + "\n")


def tried(call, *args):
    """The result or the exception, as text."""
    try:
        data = call(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def echo(stream):
    """In pieces of five, each answered before the next one is asked for."""
    while piece := stream.read(5):
        yield piece.upper()


def lines(stream):
    for line in stream:
        yield line.upper()


def whole(stream):
    yield tried(stream.read).encode()


def unread(_):
    yield b"not read"


def catches(stream):
    """Goes on although the body has not come, as a framework does that makes a 400 of it."""
    note("reading")
    said = tried(stream.read)
    note(f"caught {said}; again {tried(stream.readline)}")
    yield said.encode()


def fails(stream):
    """Lets it through, as an application without a framework does."""
    note("reading")
    try:
        yield stream.read()
    except Exception as error:
        note(f"let through {type(error).__name__}")
        raise


def elsewhere(stream):
    """Reads on another thread and waits for it, as asgiref has Flask's and Django's async views."""
    said = []
    reader = threading.Thread(target=lambda: said.append(tried(stream.read)))
    reader.start()
    reader.join()
    yield said[0].encode()


def side_by_side(stream):
    """Four threads share the lines out among them; none is lost and none is torn."""
    found = []

    def read():
        while line := stream.readline():
            found.append(line)
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    yield json.dumps(sorted(line.decode() for line in found)).encode()


def leaves(stream):
    """The request is over while another thread still waits for its body."""
    begun = threading.Event()

    def read():
        begun.set()
        note("left alone: " + tried(stream.read))
    threading.Thread(target=read).start()
    begun.wait()
    yield b"left"


def keeps(stream):
    kept.append(stream)
    yield stream.read(3)


def late(_):
    yield "; ".join(tried(getattr(kept[-1], name)) for name in ("read", "readline", "readlines")).encode()


PAGES = {f"/{page.__name__}": page for page in (echo, lines, whole, unread, catches, fails, elsewhere, side_by_side, leaves,
                                                 keeps, late)}


def app(environ, start_response):
    asked = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] not in PAGES:
        return [environ.get("CONTENT_LENGTH", "unknown").encode()]
    pieces = PAGES[environ["PATH_INFO"]](environ["wsgi.input"])
    return list(pieces) if "whole" in asked else pieces
