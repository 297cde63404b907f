"""The access log: Gunicorn's atoms, one line per request, and no way for a client to forge a line."""
import base64
import re
import signal
import time

import pytest

from clock import eventually
from server import example, run
from wire import fetch, request_bytes

DEFAULT = re.compile(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                     r'"GET /x\?y=1 HTTP/1\.1" 200 12 "-" "-"')


@pytest.fixture
def logged(serve, tmp_path):
    """logged(format) starts a server and gives (server, lines): lines(n) waits for n lines of the access log."""
    path = tmp_path / "access.log"

    def start(format=None, *args):
        arguments = ["--access-logformat", format] if format is not None else []
        server = serve(example("echo"), "-w", "1", "--access-logfile", path, *arguments, *args)

        def lines(count):
            def read():
                text = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
                return text.split("\n")[:-1]
            eventually(f"{count} access lines", lambda: len(read()) >= count)
            time.sleep(0.05)  # an unexpected line would arrive now
            assert len(read()) == count, read()
            return read()
        return server, lines
    return start


def test_the_default_line_is_gunicorns(logged):
    server, lines = logged()
    with server.connect() as wire:
        wire.send(b"GET /x?y=1 HTTP/1.1\r\nHost: t\r\n\r\n")
        size = len(wire.response().body)
    line, = lines(1)
    assert DEFAULT.fullmatch(line.replace(f" 200 {size} ", " 200 12 ")), line


def test_access_lines_go_to_stdout_for_a_dash(serve):
    server = serve(example("echo"), "-w", "1", "--access-logfile", "-")
    server.get("/seen")
    eventually("the line on stdout", lambda: "GET /seen HTTP/1.1" in server.stdout())
    assert "GET /seen" not in server.log()


def test_there_is_no_access_log_by_default(serve):
    server = serve(example("echo"), "-w", "1")
    server.get("/seen")
    assert "/seen" not in server.log() + server.stdout()


ATOMS = {
    "%(h)s": r"127\.0\.0\.1",
    "%(l)s": "-",
    "%(u)s": "alice",
    "%(t)s": r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]",
    "%(r)s": r"POST /a%20b\?q=1&size=12&rh=X-Out:out HTTP/1\.1",
    "%(m)s": "POST",
    "%(U)s": r"/a(%20| )b",
    "%(q)s": "q=1&size=12&rh=X-Out:out",
    "%(H)s": r"HTTP/1\.1",
    "%(s)s": "200",
    "%(B)s": "12",
    "%(b)s": "12",
    "%(f)s": "http://from/",
    "%(a)s": "agent/1",
    "%(T)s": "0",
    "%(M)s": r"\d+",
    "%(D)s": r"\d+",
    "%(L)s": r"0\.\d{6}",
    "%(p)s": r"<\d+>",
    "%({x-in}i)s": "in",
    "%({X-IN}i)s": "in",
    "%({x-out}o)s": "out",
    "%({none}i)s": "-",
    "%({none}o)s": "-",
    "%({REQUEST_METHOD}e)s": "POST",
    "%%": "%",
}


def test_every_atom(logged):
    names = list(ATOMS)
    server, lines = logged("|".join(names))
    response = server.get("/a%20b?q=1&size=12&rh=X-Out:out", method="POST", body=b"12345", headers=[
        ("Authorization", "Basic " + base64.b64encode(b"alice:secret").decode()), ("Referer", "http://from/"),
        ("User-Agent", "agent/1"), ("X-In", "in")])
    assert response.status == 200
    line, = lines(1)
    assert "secret" not in line
    for name, value in zip(names, line.split("|"), strict=True):
        assert re.fullmatch(ATOMS[name], value), f"{name} is {value!r}, not {ATOMS[name]}"


def test_the_durations_measure_the_request(logged):
    server, lines = logged("%(D)s %(M)s %(L)s %(T)s")
    server.get("/?sleep=1.1")
    micro, milli, seconds, whole = lines(1)[0].split()
    assert 1_100_000 <= int(micro) < 10_000_000
    assert abs(int(milli) - int(micro) / 1000) <= 1
    assert abs(float(seconds) - int(micro) / 1e6) < 0.001 and int(whole) == int(float(seconds))


def test_sizes_are_of_the_body_that_was_sent(logged):
    server, lines = logged("%(m)s %(s)s %(B)s %(b)s")
    with server.connect() as wire:
        wire.ask("/?size=70000")
        wire.ask("/?size=70000&chunked=1")
        wire.ask("/?size=70000", method="HEAD")
        wire.ask("/?status=204")
    assert lines(4)[:2] == ["GET 200 70000 70000"] * 2
    assert re.fullmatch(r"HEAD 200 0 (0|-)", lines(4)[2])
    assert re.fullmatch(r"GET 204 0 (0|-)", lines(4)[3])


def test_one_line_for_each_request_of_a_pipeline(logged):
    server, lines = logged("%(U)s")
    with server.connect() as wire:
        wire.send(b"".join(request_bytes(f"/{number}") for number in range(20)))
        for _ in range(20):
            wire.response()
    assert lines(20) == [f"/{number}" for number in range(20)]


# ---- escaping ----
def test_a_basic_auth_user_cannot_forge_a_line(logged):
    server, lines = logged()
    forged = 'x\n10.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /forged HTTP/1.1" 200 1 "-" "-"\r\x1b[2J\x00\x7f'
    server.get("/", headers=[("Authorization", "Basic " + base64.b64encode(forged.encode() + b":p").decode())])
    line, = lines(1)
    assert not re.search(r"[\x00-\x1f\x7f]", line), repr(line)
    assert re.match(r"127\.0\.0\.1 ", line)


def test_quotes_in_fields_do_not_end_the_quoted_text(logged):
    server, lines = logged('"%(a)s" "%(f)s" "%(r)s"')
    server.get('/?a="b"', headers=[("User-Agent", 'a" 200 "b'), ("Referer", "back\\slash")])
    line, = lines(1)
    assert r'a\" 200 \"b' in line
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    assert len(quoted) == 3, line


def test_tabs_and_high_bytes_stay_on_their_line(logged):
    server, lines = logged("%(a)s|%({x}i)s")
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: a\tb\r\nX: \xc3\xa9\xff\r\n\r\n")
        assert wire.response().status == 200
    line, = lines(1)
    assert "\t" not in line and len(line.split("|")) == 2


def test_an_encoded_line_feed_in_the_path_does_not_begin_a_line(logged):
    server, lines = logged("%(U)s %(r)s")
    server.get("/a%0Ab%0D%1b?c%0Ad")
    line, = lines(1)
    assert not re.search(r"[\x00-\x1f\x7f]", line)


def test_a_refused_request_is_at_most_one_clean_line(logged):
    server, lines = logged()
    for data in (b"GET /a\nb HTTP/1.1\r\n\r\n", b"\x00\x1b[2J\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: t\r\nX: a\nforged\r\n\r\n"):
        with server.connect() as wire:
            wire.send(data)
            assert wire.response().status == 400
    server.get("/last")
    time.sleep(0.2)
    text = (server.folder / "access.log").read_text(errors="replace")
    assert len(text.splitlines()) <= 4 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    for line in server.log().splitlines():
        assert line.startswith("["), f"forged: {line!r}"


def test_a_unix_peer_has_no_address(serve, tmp_path):
    path = tmp_path / "s.sock"
    server = serve(example("echo"), "--access-logfile", "-", "--access-logformat", "<%(h)s>", bind=f"unix:{path}")
    assert fetch(str(path)).status == 200
    eventually("the line", lambda: re.search(r"^<-?>$", server.stdout(), re.MULTILINE))


def test_an_unknown_atom_is_refused_or_a_dash(serve, tmp_path):
    done = run("--check-config", "--access-logformat", "%(nonsense)s", example("echo"))
    assert done.returncode in (0, 1, 2)
    if done.returncode == 0:
        server = serve(example("echo"), "--access-logfile", "-", "--access-logformat", "%(nonsense)s|%(m)s")
        server.get("/")
        eventually("the line", lambda: server.stdout() == "-|GET\n")


def test_every_request_is_logged_once_under_load_and_reload(serve, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "2", "--access-logfile", path, "--access-logformat", "%(s)s")
    server.wait_workers(2)
    with server.load(clients=4) as load:
        load.wait_for_more(50)
        server.reload()
        load.wait_for_more(50)
    load.assert_clean()
    assert server.stop(signal.SIGTERM) == 0
    assert path.read_text() == "200\n" * load.answered


# ---- clients that leave ----
def line_with(path, text):
    return eventually(f"a line with {text}", lambda: next(
        (line for line in path.read_text().splitlines() if text in line), None))


def test_a_client_that_leaves_before_the_answer_has_a_line_with_499(serve, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "--threads", "2", "--access-logfile", path, "--access-logformat", "%(r)s %(s)s %(B)s")
    with server.connect() as wire:
        wire.send(request_bytes("/waits?sleep=1"))
        assert wire.quiet_for(0.2)
        wire.reset()
    assert line_with(path, "/waits") == "GET /waits?sleep=1 HTTP/1.1 499 0"
    with server.connect() as wire:
        wire.send(request_bytes("/upload", method="POST", headers=[("Content-Length", "1000")], body=b"half"))
        assert wire.quiet_for(0.2)
        wire.reset()
    assert server.get("/stays").status == 200
    assert line_with(path, "/stays").startswith("GET /stays HTTP/1.1 200 ")
    assert "/upload" not in path.read_text(), "a body that breaks off is not a request"


def test_a_client_that_leaves_in_the_middle_of_an_answer_has_a_line_with_what_it_got(serve, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "--access-logfile", path, "--access-logformat", "%(r)s %(s)s %(B)s")
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/download?size=20000000&write=1"))
        eventually("the first bytes", lambda: not wire.quiet_for(0.01))
        wire.reset()
    status, size = line_with(path, "/download").split()[-2:]
    assert status == "200" and 0 < int(size) < 20_000_000
