"""The access log in JSON, values of an application's environ in it, and atoms that are none."""
import base64
import datetime
import json
import textwrap

import pytest

from clock import eventually
from server import WSGI, example, run

needs_python = pytest.mark.skipif(not WSGI.exists(),
                                  reason="this build has no WSGI plugin: it needs the package python3-dev")


def json_lines(path, count):
    """The lines of the file when there are `count`, each read as strict JSON."""
    def refuse(word):
        raise ValueError(word)
    eventually(f"{count} lines in {path}", lambda: path.exists() and path.read_bytes().count(b"\n") >= count)
    lines = path.read_bytes().split(b"\n")[:-1]
    assert len(lines) == count, lines
    return [json.loads(line.decode("utf-8"), parse_constant=refuse) for line in lines]


def test_json_has_a_name_for_every_atom(serve, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "--access-logfile", path, "--access-logformat", "json", "--forwarded-allow-ips", "*")
    server.get("/a%20b?x=1&size=12", headers=[
        ("Authorization", "Basic " + base64.b64encode(b"alice:secret").decode()), ("Referer", "http://from/"),
        ("User-Agent", "agent/1"), ("X-Forwarded-For", "192.0.2.7")])
    line, = json_lines(path, 1)
    took, when, epoch = (line.pop(key) for key in ("request_time", "time", "epoch"))
    assert line.pop("pid") in server.worker_pids()
    assert abs(line.pop("request_time_ms") - took * 1e3) <= 1 and abs(line.pop("request_time_us") - took * 1e6) <= 1
    moment = datetime.datetime.fromisoformat(when)
    assert moment.tzinfo is not None and abs(moment.timestamp() - epoch) < 1e-3
    assert line == {
        "remote_address": "127.0.0.1", "client": "192.0.2.7", "user": "alice",
        "request": "GET /a%20b?x=1&size=12 HTTP/1.1", "method": "GET", "path": "/a b", "query": "x=1&size=12",
        "protocol": "HTTP/1.1", "status": 200, "response_length": 12, "referer": "http://from/", "user_agent": "agent/1"}


HOSTILE = [b'quote" and \\ backslash', b"\xff\xfe\xc3", b"caf\xc3\xa9", b"\xed\xa0\x80", b"\xc2\x9b2J", b"tab\there",
           b'","status":200,"x":"', b"\xe2\x80\xa8", b"u" * 8190 + b"\xc3\xa9"]


def test_no_bytes_of_a_client_break_a_line_of_json(serve, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "--access-logfile", path, "--access-logformat", "json %({x-in}i)s",
                   "--limit-request-field_size", 20000)
    for value in HOSTILE:
        user = base64.b64encode(value + b'\n\r\x00\x1b[2J{"forged":1}:p')
        with server.connect() as wire:
            wire.send(b"GET /p\xff%0A%00%22?\xfe HTTP/1.1\r\nHost: t\r\nUser-Agent: " + value + b"\r\nReferer: " + value +
                      b"\r\nX-In: " + value + b"\r\nAuthorization: Basic " + user + b"\r\n\r\n")
            assert wire.response().status == 200
    with server.connect() as wire:
        wire.send(b"\x00\x1b[2J \xff\r\n\r\n")
        assert wire.response().status == 400
    lines = json_lines(path, len(HOSTILE) + 1)
    for value, line in zip(HOSTILE, lines):
        expected = value[:8192].decode("utf-8", "replace")
        assert line["user_agent"].replace("\ufffd", "") == expected.replace("\ufffd", "")
        assert line["request_headers"] == {"x-in": line["user_agent"]}
        assert line["status"] == 200 and "forged" not in line
        assert line["path"] == '/p\ufffd\n\x00"' and line["query"] == "\ufffd"
    assert lines[-1]["status"] == 400 and lines[-1]["method"] is None


def test_an_atom_that_is_none_is_named_once_with_the_one_that_may_be_meant(serve, tmp_path):
    path = tmp_path / "access.log"
    done = run("--check-config", "--log-level", "error", "--access-logformat", "%(status)s %(m)s", example("echo"))
    assert done.returncode == 0 and done.stderr == (
        "narwhal: access_log_format: '%(status)s' is not an atom and prints a dash: did you mean '%(s)s'?\n")
    server = serve(example("echo"), "--access-logfile", path, "--access-logformat",
                   "%(status)s %(R)s %({x-id}h)s %(xyzzy)s %(m)s")
    server.get("/")
    eventually("the line", lambda: path.read_text() == "- - - - GET\n")
    log = server.log()
    for atom, hint in [("status", ": did you mean '%(s)s'?"), ("R", ": did you mean '%(r)s'?"),
                       ("{x-id}h", ": did you mean '%({x-id}i)s'?"), ("xyzzy", "\n")]:
        assert log.count(f"access_log_format: '%({atom})s' is not an atom and prints a dash{hint}") == 1, log


def test_the_atoms_of_gunicorns_manual_are_known():
    done = run("--check-config", "--access-logformat", '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(B)s %(b)s'
               ' "%(f)s" "%(a)s" %(T)s %(M)s %(D)s %(L)s %(p)s %({a}i)s %({b}o)s %({c}e)s %%', example("echo"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


APP = """\
class Text:
    def __str__(self):
        return "made"

class Broken:
    def __str__(self):
        raise ValueError("no text")

def app(environ, start_response):
    environ["REMOTE_USER"] = "Jos\\u00e9 \\u20ac"
    environ["app.count"] = 7
    environ["app.text"] = Text()
    environ["app.broken"] = Broken()
    environ["app.lines"] = 'a\\nb"'
    how = environ["QUERY_STRING"]
    if how == "raise":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("Content-Length", "4")] if how == "sized" else [])
    if how == "list":
        return [b"body"]
    def parts():
        yield b"bo"
        environ["app.count"] = 8
        yield b"dy"
    return parts()
"""
NAMES = ["REMOTE_USER", "remote_user", "app.count", "app.text", "app.broken", "app.lines", "HTTP_X_IN", "NONE", "PATH_INFO"]


@needs_python
def test_values_of_an_applications_environ(serve, tmp_path):
    (tmp_path / "site_app.py").write_text(textwrap.dedent(APP))
    path = tmp_path / "access.log"
    server = serve("site_app:app", "--chdir", tmp_path, "--access-logfile", path, "--access-logformat",
                   "|".join(f"%({{{name}}}e)s" for name in NAMES))
    for how in ("list", "parts", "sized", "raise"):
        assert server.get("/p?" + how, headers=[("X-In", "caf\xe9".encode().decode("latin-1"))]).status in (200, 500)
    eventually("the lines", lambda: path.read_text().count("\n") == 4)
    for how, line in zip(("list", "parts", "sized", "raise"), path.read_text().splitlines()):
        count = "8" if how in ("parts", "sized") else "7"
        assert line.split("|") == ["Jos\xe9 \u20ac"] * 2 + [count, "made", "-", 'a\\nb\\"', "caf\xe9", "-", "/p"], how


@needs_python
def test_json_of_an_applications_environ(serve, tmp_path):
    (tmp_path / "site_app.py").write_text(textwrap.dedent(APP))
    path = tmp_path / "access.log"
    server = serve("site_app:app", "--chdir", tmp_path, "--access-logfile", path, "--threads", 4,
                   "--access-logformat", "json %({REMOTE_USER}e)s %({app.lines}e)s %({NONE}e)s")
    for _ in range(20):
        assert server.get("/?list").body == b"body"
    for line in json_lines(path, 20):
        assert line["environ"] == {"REMOTE_USER": "Jos\xe9 \u20ac", "app.lines": 'a\nb"', "NONE": None}
