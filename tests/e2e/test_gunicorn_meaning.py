"""Settings and variables that mean what they mean in Gunicorn, where it shows in the running server."""
import re
import signal
import time

import pytest

from clock import scaled
from load import Background
from server import example, run
from wire import WireError

SHOW = """import os
at_import = os.environ.get("SERVER_SOFTWARE", "")
def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{at_import}|{environ['SERVER_SOFTWARE']}".encode()]
def create_app():
    return app
"""
PATCHED = """import sys, types
sys.modules["gevent.monkey"] = types.SimpleNamespace(is_module_patched=lambda name: True)
def app(environ, start_response):
    return []
"""
FILE = """
positions = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/positions":
        start_response("200 OK", [])
        return [repr(positions).encode()]
    file = open("static.txt", "rb")
    close = file.close
    def close_and_note():
        positions.append(file.tell())
        close()
    file.close = close_and_note
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](file)
"""


@pytest.mark.parametrize("flags, env, conf, reads", [
    ([], {}, "", False), (["--no-sendfile"], {}, "", True), ([], {}, "sendfile = False\n", True),
    ([], {}, "sendfile = True\n", False), ([], {"SENDFILE": "0"}, "", True), ([], {"SENDFILE": "yes"}, "", False)])
def test_without_sendfile_a_file_is_read(serve, tmp_path, flags, env, conf, reads):
    (tmp_path / "static.txt").write_bytes(b"x" * 100000)
    (tmp_path / "files.py").write_text(FILE)
    (tmp_path / "gunicorn.conf.py").write_text(conf)
    server = serve("files:app", "-c", tmp_path / "gunicorn.conf.py", *flags, env=env)
    assert server.get("/").body == b"x" * 100000
    # sendfile(2) does not move the position of the file object; read() does.
    assert server.get("/positions").text == ("[100000]" if reads else "[0]")


def test_no_sendfile_in_narwhal_yaml(serve, tmp_path):
    (tmp_path / "static.txt").write_bytes(b"x" * 100000)
    (tmp_path / "files.py").write_text(FILE)
    server = serve(config="app: files:app\nsendfile: false\n")
    assert server.get("/").body == b"x" * 100000
    assert server.get("/positions").text == "[100000]"


def test_a_graceful_timeout_of_0_stops_at_once(serve):
    server = serve(example("echo"), "--graceful-timeout", "0")
    request = Background(server.get, "/?sleep=60", timeout=90)
    time.sleep(0.5)
    began = time.monotonic()
    server.send(signal.SIGTERM)
    assert server.wait_exit() == 0
    assert time.monotonic() - began < scaled(8)
    with pytest.raises((WireError, OSError)):
        request.result()


def test_a_log_that_cannot_be_opened_at_a_reload_is_reported_at_its_step(serve, tmp_path):
    server = serve(example("echo"), config="workers: 1\n")
    server.config_path.write_text(f"workers: 1\nerrorlog: {tmp_path}/missing/error.log\n")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step 'log': open log \S+missing/error.log: No such file or directory; generation 1")
    server.wait_serving()


def test_an_address_in_use_is_in_the_last_line_with_the_reason(serve):
    server = serve(example("echo"))
    done = run(example("echo"), "-b", f"127.0.0.1:{server.port}")
    assert done.returncode == 1
    assert re.search(r"Can't connect to .*: Address already in use$", done.stderr.splitlines()[-1]), done.stderr


def test_applications_find_gunicorn_in_the_environment_at_their_import(serve, tmp_path):
    (tmp_path / "show.py").write_text(SHOW)
    body = serve("show:app").get("/").body.decode()
    assert re.fullmatch(r"gunicorn/[\d.]+ \(narwhal/[\d.]+\)\|narwhal/[\d.]+ \(gunicorn compatible\)", body)


def test_a_factory_without_parentheses_and_a_patched_application_are_refused_with_the_cure(tmp_path):
    (tmp_path / "show.py").write_text(SHOW)
    (tmp_path / "patched.py").write_text(PATCHED)
    done = run("show:create_app", "-b", "127.0.0.1:0", cwd=tmp_path)
    assert done.returncode == 4
    assert "write 'show:create_app()'" in done.stderr
    done = run("-k", "gevent", "patched:app", "-b", "127.0.0.1:0", cwd=tmp_path)
    assert done.returncode == 4
    assert "Remove gevent.monkey.patch_all() and set --threads" in done.stderr
