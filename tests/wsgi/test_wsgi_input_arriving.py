"""wsgi.input without request_buffering: the application reads the body while it arrives. (test_wsgi_input.py
tests that every way to read gives the same.)"""
import hashlib
import json
import random
import time

import pytest

from clock import eventually, holds_for, scaled
from comparison import APPS, multipart
from load import Background
from wire import Truncated, chunked, request_bytes

NOISE = random.Random(3).randbytes(3 << 20)
OFF = "--no-request-buffering"
CHUNKED = [("Transfer-Encoding", "chunked")]
THREADS = pytest.mark.parametrize("threads", [1, 4])


@pytest.fixture
def arriving(serve, tmp_path):
    def start(*args, flag=OFF, **named):
        flags = [flag] if flag else []
        server = serve("--chdir", APPS, "--keep-alive", 60, *flags, *args, "arriving:app",
                       env={"PYTHONDONTWRITEBYTECODE": "1", "TRIAL_FOLDER": str(tmp_path)}, **named)
        server.notes = lambda: (tmp_path / "notes").read_text() if (tmp_path / "notes").exists() else ""
        return server
    return start


def head_of(target, framing, size):
    fields = CHUNKED if framing == "chunked" else [("Content-Length", str(size))]
    return request_bytes(target, method="POST", headers=fields)


def told(data):
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()


# ---- it arrives ----

@THREADS
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("target, pieces", [("/echo", [b"first", b"secon", b"third", b"4"]),
                                            ("/lines", [b"first\n", b"second, longer\n", b"\n", b"no end"])])
def test_a_piece_is_answered_before_the_next_is_sent(arriving, target, pieces, framing, threads):
    server = arriving("--threads", threads)
    with server.connect() as wire:
        for _ in range(2):  # on the same connection
            wire.send(head_of(target, framing, sum(map(len, pieces))))
            for number, piece in enumerate(pieces):
                last = number == len(pieces) - 1
                coded = chunked(piece) if last else chunked(piece).removesuffix(b"0\r\n\r\n")
                wire.send(coded if framing == "chunked" else piece)
                if number == 0:
                    assert wire.head().header("Transfer-Encoding") == "chunked"
                assert wire.chunk() == piece.upper()
            assert wire.chunk() == b""


@THREADS
def test_a_piece_is_answered_at_once(arriving, threads):
    """At once, not at the next tick of the loop's clock: otherwise 200 pieces would take 50 seconds."""
    server = arriving("--threads", threads)
    with server.connect() as wire:
        wire.send(head_of("/echo", "length", 1000))
        began = time.monotonic()
        for number in range(200):
            wire.send(b"%05d" % number)
            if number == 0:
                assert wire.head().status == 200
            assert wire.chunk() == b"%05d" % number
        assert wire.chunk() == b""
    assert time.monotonic() - began < scaled(10)


def test_as_a_rule_a_body_is_whole_before_the_application_is_called(arriving):
    server = arriving(flag=None)
    with server.connect() as wire:
        wire.send(head_of("/echo", "length", 10) + b"first")
        assert wire.quiet_for(0.3)
        wire.send(b"secon")
        assert wire.response("POST").body == b"FIRSTSECON"


def test_a_line_in_many_pieces_is_one_line(arriving):
    server = arriving()
    line = b"x" * 50_000 + b"\n"
    with server.connect() as wire:
        wire.send(head_of("/lines", "length", 2 * len(line)))
        for start in range(0, len(line), 7_000):
            wire.send(line[start:start + 7_000])
        assert wire.head().status == 200
        assert wire.chunk() == line.upper()
        wire.send(line)
        assert wire.chunk() == line.upper() and wire.chunk() == b""


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_576, 1_048_577, 20_000_000])
def test_all_of_it_in_one_read(arriving, size, framing):
    server = arriving()
    body = (NOISE * 7)[:size]
    sent = {"body": body} if framing == "length" else {"headers": CHUNKED, "body": chunked(body) if body else chunked()}
    assert server.get("/whole", method="POST", **sent).body == told(body)


def test_what_length_there_is(arriving):
    server = arriving()
    assert server.get("/length", method="POST", body=b"12345").body == b"5"
    assert server.get("/length", method="POST").body == b"0"
    assert server.get("/length").body == b"unknown"
    assert server.get("/length", method="POST", headers=CHUNKED, body=chunked(b"12345")).body == b"unknown"


# ---- it ends early ----

@THREADS
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("leaves", ["close", "reset", "shut_down_writing"])
def test_a_client_that_leaves_in_the_middle(arriving, leaves, framing, threads):
    server = arriving("--threads", threads, "-w", 1)
    for number, target in enumerate(("/catches?whole", "/fails"), 1):
        with server.connect() as wire:
            wire.send(head_of(target, framing, 100) + (b"5\r\nfirst\r\n" if framing == "chunked" else b"first"))
            eventually("the application reads", lambda: server.notes().count("reading\n") == number)
            getattr(wire, leaves)()
            if leaves == "shut_down_writing":
                assert wire.end() in ("eof", "reset")
    notes = eventually("both applications heard of it", lambda: server.notes().count("\n") == 4 and server.notes())
    caught = next(line for line in notes.splitlines() if line.startswith("caught "))
    assert caught.count("ConnectionResetError: the rest of the request's body will not arrive") == 2
    assert "let through ConnectionResetError" in notes
    assert server.get("/whole", method="POST", body=b"next").body == told(b"next")
    assert "Error handling request" not in server.log() and "Traceback" not in server.log()


def test_a_body_over_the_limit_ends_in_413_and_is_never_whole(arriving):
    server = arriving("--limit-request-body", 1000)
    with server.connect() as wire:
        wire.send(head_of("/catches?whole", "chunked", 0) + b"258\r\n" + b"x" * 600 + b"\r\n")
        eventually("the application reads", lambda: "reading" in server.notes())
        wire.send(chunked(b"y" * 600))
        assert wire.response("POST").status == 413
    eventually("the application has heard of it", lambda: "caught ConnectionResetError" in server.notes())
    assert server.get("/whole", method="POST", body=b"x" * 1001).status == 413


def test_a_chunk_that_is_none_ends_in_400(arriving):
    server = arriving()
    with server.connect() as wire:
        wire.send(head_of("/catches?whole", "chunked", 0) + b"5\r\nfirst\r\n")
        eventually("the application reads", lambda: "reading" in server.notes())
        wire.send(b"not a size\r\n")
        assert wire.response("POST").status == 400
    eventually("the application has heard of it", lambda: "caught ConnectionResetError" in server.notes())


def test_silence_ends_in_408(arriving):
    server = arriving("--body-timeout", 1)
    with server.connect() as wire:
        wire.send(head_of("/catches?whole", "length", 10) + b"first")
        assert wire.response("POST").status == 408
    eventually("the application has heard of it", lambda: "caught ConnectionResetError" in server.notes())


def test_a_response_that_has_begun_is_cut_off(arriving):
    server = arriving()
    with server.connect() as wire:
        wire.send(head_of("/echo", "chunked", 0) + b"5\r\nfirst\r\n")
        assert wire.head().status == 200 and wire.chunk() == b"FIRST"
        wire.send(b"not a size\r\n")
        with pytest.raises(Truncated):
            wire.chunk()


def test_waiting_for_the_client_is_not_the_handlers_time(arriving):
    server = arriving("--timeout", 1)
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        wire.send(head_of("/whole", "length", 10) + b"first")
        assert wire.quiet_for(2.5)
        wire.send(b"secon")
        assert wire.response("POST").body == told(b"firstsecon")
    assert server.wait_workers(1) == [worker]


# ---- around it ----

def test_a_slow_upload_holds_its_handler_and_no_other(arriving):
    server = arriving("--threads", 2, "-w", 1)
    with server.connect() as slow:
        slow.send(head_of("/whole", "length", 10) + b"first")
        assert slow.quiet_for(0.1)
        for _ in range(5):
            assert server.get("/whole", method="POST", body=b"quick").body == told(b"quick")
        slow.send(b"secon")
        assert slow.response("POST").body == told(b"firstsecon")


def test_with_one_thread_others_wait_for_a_slow_upload(arriving):
    server = arriving("-w", 1)
    with server.connect() as slow:
        slow.send(head_of("/whole", "length", 10) + b"first")
        assert slow.quiet_for(0.1)
        other = Background(server.get, "/length")
        holds_for("the other waits", other.thread.is_alive, 0.3)
        slow.send(b"secon")
        assert slow.response("POST").body == told(b"firstsecon")
    assert other.result().body == b"unknown"


@THREADS
def test_requests_with_bodies_one_after_the_other_in_one_piece(arriving, threads):
    server = arriving("--threads", threads)
    bodies = [b"one", b"", NOISE[:30_000], b"four", NOISE[:200_000], b"six"]
    sent = b"".join(
        request_bytes("/whole", method="POST", body=body) +
        request_bytes("/whole", method="POST", headers=CHUNKED, body=chunked(body[:2], body[2:]) if body[2:] else chunked())
        for body in bodies)
    with server.connect() as wire:
        sender = Background(wire.send, sent)
        for body in bodies:
            assert wire.response("POST").body == told(body)
            assert wire.response("POST").body == told(body if body[2:] else b"")
        sender.result()


def test_a_small_body_that_is_there_need_not_be_read_to_keep_the_connection(arriving):
    server = arriving()
    with server.connect() as wire:
        for framing in ({"body": b"x" * 5000}, {"headers": CHUNKED, "body": chunked(b"5 bytes")}) * 3:
            response = wire.ask("/unread?whole", method="POST", **framing)
            assert response.body == b"not read" and not response.closes
        assert wire.ask("/whole", method="POST", body=b"and then").body == told(b"and then")


def test_the_server_does_not_wait_for_a_body_that_is_not_read(arriving):
    server = arriving()
    with server.connect() as wire:
        wire.send(head_of("/unread?whole", "length", 1_000_000) + b"the beginning")
        response = wire.response("POST")
        assert response.body == b"not read" and response.closes
        assert wire.end() in ("eof", "reset")


# ---- threads of the application ----

@THREADS
def test_it_can_be_read_on_another_thread(arriving, threads):
    server = arriving("--threads", threads)
    with server.connect() as wire:
        for _ in range(3):
            wire.send(head_of("/elsewhere", "length", 300_000) + NOISE[:1000])
            assert wire.quiet_for(0.05)
            wire.send(NOISE[1000:300_000])
            assert wire.response("POST").body == told(NOISE[:300_000])


def test_threads_that_read_side_by_side_share_it(arriving):
    server = arriving("--threads", 2)
    lines = [f"line {number}\n" for number in range(1000)]
    with server.connect() as wire:
        wire.send(head_of("/side_by_side", "length", len("".join(lines))))
        for line in lines:
            wire.send(line.encode())
        assert json.loads(wire.response("POST").body) == sorted(lines)


@THREADS
def test_the_end_of_the_request_ends_the_reading_of_others(arriving, threads):
    server = arriving("--threads", threads, "--body-timeout", 2, "-w", 1)
    with server.connect() as wire:
        wire.send(head_of("/leaves?whole", "length", 100) + b"first")
        assert wire.response("POST").body == b"left"
        wire.send(b"secon")
        eventually("the other thread has heard of it", lambda: "left alone: ValueError: wsgi.input is closed" in
                   server.notes())
    with server.connect() as wire:  # and no more bytes follow
        wire.send(head_of("/leaves?whole", "length", 100) + b"first")
        assert wire.response("POST").body == b"left"
    eventually("the other thread has heard of it", lambda: server.notes().count("left alone: ") == 2)
    assert server.get("/whole", method="POST", body=b"next").body == told(b"next")


def test_it_is_closed_when_the_request_is_over(arriving):
    server = arriving("-w", 1)
    assert server.get("/keeps", method="POST", body=b"123456").body == b"123"
    assert server.get("/late").body == b"; ".join([b"ValueError: wsgi.input is closed: its request has ended"] * 3)


# ---- how it is switched ----

def is_buffered(server, prefix=""):
    said = server.get(prefix + "/length", method="POST", headers=CHUNKED, body=chunked(b"12345")).body
    assert said in (b"5", b"unknown")
    return said == b"5"


ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "TRIAL_FOLDER": "/nowhere"}


def test_by_flag_and_back(serve):
    start = ("--chdir", APPS, "arriving:app")
    assert is_buffered(serve(*start, env=ENVIRONMENT))
    assert not is_buffered(serve(*start, OFF, env=ENVIRONMENT))
    assert not is_buffered(serve(*start, OFF, "--preload", env=ENVIRONMENT))
    assert is_buffered(serve(*start, OFF + "=false", env=ENVIRONMENT))


def test_in_the_file_and_for_one_route(serve):
    config = f"""
chdir: {APPS}
app: arriving:app
{{root}}
routes:
  - prefix: /buffered
    app: arriving:app
    options: {{{{request_buffering: true}}}}
  - prefix: /arriving
    app: arriving:app
    options: {{{{request_buffering: false}}}}
"""
    for root, buffered in (("", True), ("request_buffering: false", False), ("options: {request_buffering: false}", False)):
        server = serve(config=config.format(root=root), env=ENVIRONMENT)
        assert is_buffered(server) is buffered, root
        assert is_buffered(server, "/buffered") and not is_buffered(server, "/arriving")


def test_in_a_gunicorn_conf_py(serve, tmp_path):
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(f"chdir = {str(APPS)!r}\nwsgi_app = 'arriving:app'\nrequest_buffering = False\n")
    assert not is_buffered(serve("-c", file, env=ENVIRONMENT))
    file.write_text(f"chdir = {str(APPS)!r}\nwsgi_app = 'arriving:app'\nrequest_buffering = True\n")
    assert is_buffered(serve("-c", file, env=ENVIRONMENT))


def test_a_reload_switches_it(serve):
    config = f"chdir: {APPS}\napp: arriving:app\n"
    server = serve(config=config, env=ENVIRONMENT)
    assert is_buffered(server)
    server.config_path.write_text(config + "request_buffering: false\n")
    server.reload()
    assert not is_buffered(server)


def test_a_value_that_is_none_is_an_error(serve):
    server = serve("-c", "narwhal.yaml", wait=False, config=f"chdir: {APPS}\napp: arriving:app\n"
                   "options: {request_buffering: maybe}\n")
    assert server.wait_exit() != 0
    assert "request_buffering: 'maybe' is not of type bool" in server.log()


# ---- frameworks ----

@pytest.fixture(scope="module", params=[1, 4])
def flask(both, request):
    pytest.importorskip("flask", reason="the package python3-flask is not installed")
    return both("flask_site:app", "--threads", request.param, env={"NARWHAL_CMD_ARGS": OFF})


@pytest.mark.parametrize("size", [0, 1000, 70_000, 3_000_000])
def test_flask_takes_files(flask, size):
    kind, body = multipart("bound", ("title", "A title"), ("file", "a.bin", "application/octet-stream", NOISE[:size]))
    told = flask.same("/upload", method="POST", headers=[kind], body=body).body
    assert json.loads(told)["files"][0][3] == size


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_flask_takes_streams_data_and_forms(flask, framing):
    for target, kind, body in (("/raw", "application/octet-stream", NOISE), ("/form", "text/plain", b"plain text"),
                               ("/twice", "text/plain", NOISE[:100_000]),
                               ("/form", "application/x-www-form-urlencoded", b"a=1&b=2&c=%C3%A9")):
        sent = {"body": body} if framing == "length" else {"body": chunked(body[:5], body[5:])}
        fields = [("Content-Type", kind)] + (CHUNKED if framing == "chunked" else [])
        flask.same(target, method="POST", headers=fields, **sent)


def test_flask_answers_before_an_upload_is_over(flask):
    with flask.narwhal.connect() as wire:
        wire.send(head_of("/nope", "length", 100_000_000) + NOISE[:100])
        assert wire.response("POST").status == 404
