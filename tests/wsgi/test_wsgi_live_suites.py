"""Test suites of other projects, run against narwhal.

Flask's tutorial comes with its suite in Debian's package: it runs unchanged, except that its client asks narwhal.
The suites of Flask and Werkzeug themselves are not in the packages, and their tests call applications in their own process.
What Werkzeug's tests of its development server require is tested here in tests of our own, except its reloader (tests of
`reload` are in tests/e2e), TLS, and folded header lines, which narwhal refuses.
Django's LiveServerTestCase runs with narwhal as its server (live_django.py). Of Django 3.2's tests of it, 15 of 19 pass;
the other four are about connections that its development server closes, and that narwhal keeps or announces to close.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clock import scaled
from comparison import APPS, multipart
from wire import Truncated, Wire, chunked, request_bytes

pytest.importorskip("flask", reason="the package python3-flask is not installed")

TUTORIAL = Path("/usr/share/doc/python3-flask/examples")


@pytest.mark.skipif(not (TUTORIAL / "tests").is_dir(), reason="the examples of the package python3-flask are not there")
def test_the_suite_of_flasks_tutorial_passes(serve, tmp_path):
    copy = shutil.copytree(TUTORIAL, tmp_path / "tutorial")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{copy}:{APPS.parent}:{APPS.parents[1] / 'e2e'}",
                   "PYTHONDONTWRITEBYTECODE": "1",
                   "TMPDIR": str(scratch)}
    server = serve("flaskr_live:app", "--chdir", APPS, "--pythonpath", copy, "--access-logfile", "-", env=environment)
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "live_client", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir",
         copy, copy / "tests"],
        cwd=copy, env={**environment, "LIVE_ADDRESS": f"127.0.0.1:{server.port}"}, capture_output=True, text=True,
        timeout=scaled(90)).stdout
    counted = re.search(r"^(\d+) passed(?!.*(failed|error|skipped))", said, re.MULTILINE)
    assert counted, said
    asked = len(re.findall(r'"(GET|POST) /', server.stdout()))
    assert int(counted[1]) >= 20 and asked >= int(counted[1]), f"{asked} requests\n{said}"


def test_djangos_live_server_test_case_runs_on_narwhal(tmp_path):
    pytest.importorskip("django", reason="the package python3-django is not installed")
    environment = {**os.environ, "PYTHONPATH": f"{APPS}:{APPS.parent}:{APPS.parents[1] / 'e2e'}",
                   "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, APPS.parent / "live_django.py", tmp_path], env=environment, capture_output=True,
                          text=True, timeout=scaled(90))
    assert done.returncode == 0 and re.search(r"^Ran 4 tests", done.stderr, re.MULTILINE), done.stderr


# ---- what Werkzeug asks of its development server ----

@pytest.fixture(scope="module")
def live(both):
    pytest.importorskip("werkzeug.testapp")
    return both("werkzeug_live:app")


def test_its_own_test_page(live):
    page = live.narwhal.get("/testapp?foo=bar&baz=blah")
    assert page.status == 200 and b"WSGI Information" in page.body and b"foo=bar&amp;baz=blah" in page.body


def data(response):
    assert response.status == 200, response
    return json.loads(response.body)


def test_an_absolute_target_goes_before_host(live):
    """RFC 9112 3.2.2: Host is then ignored. Werkzeug's server only has to keep the path."""
    raw = b"GET http://example.org:1337/index.htm?x=1 HTTP/1.1\r\nHost: example.org:1337\r\n\r\n"
    environ = data(live.ours.answer(raw, "GET").response)["environ"]
    assert environ["HTTP_HOST"] == "example.org:1337" and environ["PATH_INFO"] == "/index.htm"
    assert environ["SERVER_PORT"] == str(live.narwhal.port)


def test_two_slashes_in_front_are_no_host(live):
    environ = data(live.narwhal.get("//fail"))["environ"]
    assert environ["HTTP_HOST"] == "test" and environ["PATH_INFO"] == "//fail"


def test_tls_on_a_plain_port_is_refused_quietly(live):
    mark = live.narwhal.mark()
    with Wire(live.narwhal.address) as wire:
        wire.send(bytes.fromhex("160301020001000130ab") + bytes(range(200)) + b"\r\n\r\n")
        assert b" 400 " in wire.rest()
    assert "Traceback" not in live.narwhal.log()[mark:]


@pytest.mark.parametrize("send_length", [True, False])
def test_type_and_length_are_there_only_when_they_were_sent(live, send_length):
    head = b"POST / HTTP/1.1\r\nHost: test\r\n"
    head += b"Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody" if send_length else b"\r\n"
    environ = data(live.ours.answer(head, "POST").response)["environ"]
    assert (environ.get("CONTENT_TYPE"), environ.get("CONTENT_LENGTH")) == (("text/plain", "4") if send_length else (None,
                                                                                                                     None))


def test_lines_of_one_name_are_joined_by_commas(live):
    headers = [("XYZ", "a"), ("X-Ignore-1", "value"), ("XYZ", "b"), ("X-Ignore-2", "value"), ("XYZ", "c"), ("XYZ", "d")]
    assert data(live.narwhal.get("/", headers=headers))["environ"]["HTTP_XYZ"] == "a,b,c,d"


def test_a_folded_line_is_refused(live):
    """Werkzeug and Gunicorn 20 unfold it. RFC 9112 5.2 lets a server refuse: servers read them differently."""
    with Wire(live.narwhal.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: test\r\nXYZ: first\r\n\tsecond\r\n\r\n")
        assert wire.response().status == 400


@pytest.mark.parametrize("path, complete", [("/stream", True), ("/stream/crash", False)])
def test_a_stream_to_http_1_0_ends_with_the_connection(live, path, complete):
    with Wire(live.narwhal.address) as wire:
        wire.send(request_bytes(path, version="1.0"))
        if complete:
            response = wire.response()
            assert response.framing == "close" and response.text == "0\n1\n2\n3\n4\n"
        else:
            with pytest.raises(Truncated) as cut:
                wire.response()
            assert cut.value.reset


@pytest.mark.parametrize("path, complete", [("/stream", True), ("/stream/crash", False)])
def test_a_stream_to_http_1_1_is_chunked(live, path, complete):
    answer = live.ours.answer(request_bytes(path), "GET")
    assert answer.cut is not complete
    assert answer.response.header("Transfer-Encoding") == "chunked" and answer.body == b"0\n1\n2\n3\n4\n"


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_form_with_a_file_in_chunks(live, cut):
    kind, body = multipart("bound", ("form", "12345"), ("file", "test.txt", "text/plain", b"this is some text\r\n" * 20))
    pieces = chunked(*[body[at:at + cut] for at in range(0, len(body), cut)])
    told = data(live.narwhal.get("/", method="POST", headers=[kind, ("Transfer-Encoding", "chunked")], body=pieces))
    assert told["form"] == {"form": "12345"} and told["files"] == {"file": "this is some text\r\n" * 20}
    assert told["environ"]["wsgi.input_terminated"] is True


def test_it_serves_on_a_unix_socket(serve, tmp_path):
    path = tmp_path / "s"
    server = serve("werkzeug_live:app", "--chdir", APPS, bind=f"unix:{path}")
    environ = data(server.get("/x"))["environ"]
    # As in Gunicorn: a Unix socket has no address, so Host names the server.
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("", "test", "80")
    assert "REMOTE_PORT" not in environ
