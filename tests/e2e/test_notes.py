"""The example notes: a JSON API, a page, uploads and a long poll in the C++ interface, over real sockets."""
import json
import signal

import pytest

from server import example
from wire import request_bytes

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def notes(serve, tmp_path):
    """Under a prefix, so that every link and redirect has to name it."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    config = f"routes:\n  - prefix: /my\n    app: {example('notes')}\n    options: {{folder: {folder}}}\n"
    return serve("-w", "1", "--threads", "1", "--graceful-timeout", "20", config=config)


def add(wire, title):
    return wire.ask("/my/api/notes", method="POST", headers=JSON, body=json.dumps({"title": title}).encode())


def form(*parts):
    body = b"".join(b"--B\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + bytes_ + b"\r\n" for head, bytes_ in parts)
    return {"headers": {"Content-Type": "multipart/form-data; boundary=B"}, "body": body + b"--B--\r\n", "method": "POST"}


def test_notes_are_added_shown_listed_and_removed(notes):
    with notes.connect() as wire:
        made = add(wire, "milk & <b>bread</b>")
        assert made.status == 201 and made.header("Location") == "/my/api/notes/1"
        assert json.loads(wire.ask(made.header("Location")).body) == {"id": 1, "title": "milk & <b>bread</b>"}
        add(wire, "tea")
        assert [note["id"] for note in json.loads(wire.ask("/my/api/notes").body)] == [1, 2]
        assert len(json.loads(wire.ask("/my/api/notes?limit=1").body)) == 1
        page = wire.ask("/my").text
        assert '<a href="/my/api/notes/1">milk &amp; &lt;b&gt;bread&lt;/b&gt;</a>' in page
        assert wire.ask("/my/api/notes/1", method="DELETE").status == 204
        assert wire.ask("/my/api/notes/1", method="DELETE").status == 404


@pytest.mark.parametrize("target, parts, status, text", [
    ("/my/api/notes/7", {}, 404, "there is no such note"),
    ("/my/api/notes/5000000000", {}, 404, "Not Found"),
    ("/my/api/none", {}, 404, "Not Found"),
    ("/my/api/notes?limit=x", {}, 400, "the query parameter 'limit' must be an integer that is not too large"),
    ("/my/api/notes", {"method": "PUT"}, 405, "Method Not Allowed"),
    ("/my/api/notes", {"method": "POST", "headers": JSON, "body": b'{"title": '}, 400,
     "the JSON is not well formed: line 1, column 11"),
    ("/my/api/notes", {"method": "POST", "headers": JSON, "body": b"{}"}, 400, "the JSON member 'title' is missing"),
    ("/my/api/notes", {"method": "POST", "headers": JSON, "body": b'"' + b"x" * 2_000_000 + b'"'}, 413, "Content Too Large"),
])
def test_what_a_client_does_wrong_is_said_in_json(notes, target, parts, status, text):
    with notes.connect() as wire:
        answer = wire.ask(target, **parts)
        assert (answer.status, json.loads(answer.body)) == (status, {"error": text})


def test_a_page_of_the_outer_router_answers_what_nothing_matches(notes):
    with notes.connect() as wire:
        answer = wire.ask("/my/none")
        assert answer.status == 404 and '<a href="/my/">' in answer.text


def test_an_upload_is_kept_while_it_arrives_and_sent_in_parts(notes, tmp_path):
    content = bytes(range(256)) * 4000  # more than a router collects for a route without stream_body()
    with notes.connect() as wire:
        answer = wire.ask("/my/files", **form((b'name="file"; filename="../a b.png"', content), (b'name="text"', b"x")))
        assert answer.status == 303, answer
        target = answer.header("Location")
        assert target.startswith("/my/files/")
        whole = wire.ask(target)
        assert whole.body == content and whole.header("Accept-Ranges") == "bytes"
        part = wire.ask(target, headers={"Range": "bytes=256-258"})
        assert part.status == 206 and part.body == b"\x00\x01\x02"
        assert part.header("Content-Range") == f"bytes 256-258/{len(content)}"
        several = wire.ask(target, headers={"Range": "bytes=0-0,-1"})
        assert several.status == 206 and several.header("Content-Type").startswith("multipart/byteranges; boundary=")
        date = whole.header("Last-Modified")
        assert wire.ask(target, headers={"If-Modified-Since": date}).status == 304
        assert wire.ask(target, headers={"If-None-Match": whole.header("ETag")}).status == 304
        assert wire.ask(target, headers={"Range": f"bytes={len(content)}-"}).status == 416
        assert wire.ask("/my/files/%2e%2e/narwhal.yaml").status == 404
    assert "POST /my/files: ../a b.png: 1024000 bytes" in notes.log()
    assert [path.read_bytes() for path in (tmp_path / "uploads").iterdir()] == [content]


def test_an_upload_that_is_not_well_formed_is_refused(notes):
    with notes.connect() as wire:
        assert wire.ask("/my/files", **form((b'name="text"', b"x"))).status == 400
    with notes.connect() as wire:
        cut = form((b'name="file"; filename="x"', b"y"))
        cut["body"] = cut["body"][:-8]
        assert wire.ask("/my/files", **cut).text == "multipart/form-data: the body ends before its last boundary\n"


def test_a_long_poll_is_answered_by_another_request_and_holds_no_thread(notes):
    with notes.connect() as first, notes.connect() as second, notes.connect() as other:
        for wire in (first, second):
            wire.send(request_bytes("/my/api/notes/1/wait"))
        assert add(other, "at last").status == 201
        for wire in (first, second):
            assert json.loads(wire.response().body) == {"id": 1, "title": "at last"}
        assert json.loads(other.ask("/my/api/notes/1/wait").body) == {"id": 1, "title": "at last"}
        first.send(request_bytes("/my/api/notes/2/wait"))
    with notes.connect() as wire:
        assert add(wire, "nobody waits any more").status == 201


def test_a_drain_ends_long_polls(notes):
    with notes.connect() as wire, notes.connect() as other:
        wire.send(request_bytes("/my/api/notes/1/wait"))
        assert other.ask("/my/api/notes").status == 200  # after the other one, on the only thread
        notes.send(signal.SIGTERM)
        answer = wire.response()
        assert answer.status == 503 and answer.header("Retry-After") == "1"
        assert notes.wait_exit() == 0
