"""cgi-fcgi of libfcgi, another implementation of FastCGI's web server side, in front of the real server."""
import hashlib
import json
import shutil
import subprocess

import pytest

from clock import scaled
from gateway import variables_of
from load import in_parallel
from server import WSGI, example

PROGRAM = shutil.which("cgi-fcgi")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="libfcgi-bin is not installed")
MIB = 1024 * 1024


class CgiFcgi:
    """cgi-fcgi -bind -connect: it takes a request as a CGI program does, asks the server, and ends."""

    def __init__(self, address):
        self.address = address if isinstance(address, str) else "%s:%d" % address

    def ask(self, target="/", method="GET", body=b"", **parts):
        """(exit code, head, body, standard error)"""
        environment = dict(variables_of(target, method, body=body, **parts))
        done = subprocess.run([PROGRAM, "-bind", "-connect", self.address], env=environment, input=body, capture_output=True,
                              timeout=scaled(60))
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        return done.returncode, head.decode().split("\r\n"), rest, done.stderr


@pytest.fixture(scope="module")
def server(serve_module, tmp_path_factory):
    path = tmp_path_factory.mktemp("cgi-fcgi") / "app.sock"
    return serve_module(example("echo"), "-b", f"fastcgi://unix:{path}", "-w", "2", "--threads", "2", bind="fastcgi://127.0.0.1:0")


@pytest.fixture(params=[0, 1], ids=["tcp", "unix"])
def cgi_fcgi(request, server):
    return CgiFcgi(server.addresses[request.param])


def test_get(cgi_fcgi):
    code, head, body, errors = cgi_fcgi.ask("/a%20b?x=1", headers=[("X-One", "1")])
    seen = json.loads(body)
    assert (code, head[0], errors) == (0, "Status: 200 OK", b"")
    assert (seen["method"], seen["path"], seen["query"], seen["client"]) == ("GET", "/a%20b", "x=1", "192.0.2.7")
    assert ["X-One", "1"] in seen["headers"]


@pytest.mark.parametrize("size", [1, 8192, 3 * MIB])
def test_post(cgi_fcgi, size):
    sent = (bytes(range(251)) * (size // 251 + 1))[:size]
    code, head, body, errors = cgi_fcgi.ask("/?nobody=1", "POST", sent)
    seen = json.loads(body)
    assert (code, head[0], errors) == (0, "Status: 200 OK", b"")
    assert (seen["body_len"], seen["body_sha256"]) == (size, hashlib.sha256(sent).hexdigest())


@pytest.mark.parametrize("how", ["", "&write=1", "&chunked=1"])
def test_large_answers(cgi_fcgi, how):
    code, head, body, errors = cgi_fcgi.ask(f"/?size={9 * MIB}{how}")
    assert (code, head[0], len(body), errors) == (0, "Status: 200 OK", 9 * MIB, b"") and body.count(b"x") == len(body)


def test_errors_are_answers(cgi_fcgi):
    for target, method, status in (("/?status=404", "GET", "404 Not Found"), ("/?exc=early", "GET", "500 Internal Server Error"),
                                   ("/", "BAD METHOD", "400 Bad Request")):
        code, head, _, errors = cgi_fcgi.ask(target, method)
        assert (code, head[0], errors) == (0, f"Status: {status}", b"")
    code, head, body, _ = cgi_fcgi.ask("/?size=5", "HEAD")
    assert (code, head[0], body) == (0, "Status: 200 OK", b"") and "Content-Length: 5" in head


def test_the_exit_code_says_that_a_handler_has_died_midway(cgi_fcgi):
    """The application's status in END_REQUEST is its exit code; a connection that just ends is another one, not 0 either."""
    code, head, body, errors = cgi_fcgi.ask("/?exc=late&write=1&size=100000")
    assert (code, head[0]) == (1, "Status: 200 OK") and 0 < len(body) < 100_000
    assert errors == b"narwhal: the answer is cut off after its head: see narwhal's error log\n"
    code, head, body, errors = cgi_fcgi.ask("/?exc=late&chunked=1&size=100000")
    assert code != 0 and head[0] == "Status: 200 OK" and 0 < len(body) < 100_000 and b"cut off" in errors
    assert cgi_fcgi.ask("/")[::3] == (0, b"")


def test_many_at_once(cgi_fcgi):
    answers = in_parallel(8, lambda number: [cgi_fcgi.ask(f"/?size={number + 1}")[::2] for _ in range(3)])
    assert answers == [[(0, b"x" * (number + 1))] * 3 for number in range(8)]


APP = """
def app(environ, start_response):
    environ["wsgi.errors"].write("for the log\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first,"
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("on purpose")
    yield b" second"
"""


@pytest.mark.skipif(not WSGI.exists(), reason="no WSGI plugin")
def test_what_an_application_writes_to_its_errors_is_in_the_log_and_not_in_the_answer(serve, tmp_path):
    (tmp_path / "errors_app.py").write_text(APP)
    server = serve("errors_app:app", "--pythonpath", tmp_path, bind="fastcgi://127.0.0.1:0")
    code, head, body, errors = CgiFcgi(server.address).ask("/")
    assert (code, head[0], body, errors) == (0, "Status: 200 OK", b"first, second", b"")
    server.wait_for("for the log")
    code, _, body, _ = CgiFcgi(server.address).ask("/fails")
    assert code != 0 and body in (b"", b"first,")
    server.wait_for("ValueError: on purpose")
