"""examples/flask and examples/wsgi as shown, conf/systemd/flask.service and conf/nginx/flask.conf as shipped."""
import importlib.util
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

import wire
from clock import eventually
from nginx_front import needs_nginx, nginx  # noqa: F401
from server import ROOT, WSGI

pytestmark = [
    pytest.mark.skipif(not WSGI.exists(),
                       reason="this build has no WSGI plugin: it needs the package python3-dev")]
needs_flask = pytest.mark.skipif(importlib.util.find_spec("flask") is None,
                                 reason="the package python3-flask is not installed")
SITE = ROOT / "examples/flask"
NO_CACHE = {"PYTHONDONTWRITEBYTECODE": "1"}  # the project's folder is not changed


def command_of(path):
    """The command that the first comment of an example names."""
    return shlex.split(re.search(r"  narwhal (.*)$", path.read_text(), re.MULTILINE)[1].replace("examples/", f"{ROOT}/examples/"))


def test_hello_without_a_framework(serve):
    server = serve(*command_of(ROOT / "examples/wsgi/hello.py"), "-w", 2, env=NO_CACHE)
    response = server.get("/")
    assert (response.status, response.text) == (200, "Hello, world!\n")
    assert response.header("Content-Type") == "text/plain; charset=utf-8" and response.header("Content-Length") == "14"
    assert server.get("/", method="HEAD").body == b""


@needs_flask
def test_the_flask_site_has_a_page_and_a_style(serve):
    server = serve(*command_of(SITE / "app.py"), env=NO_CACHE)
    page = server.get("/?name=%3CAda%3E")
    assert page.status == 200 and "<h1>Hello, &lt;Ada&gt;!</h1>" in page.text
    assert "You came from 127.0.0.1 over http." in page.text
    style = server.get(re.search(r'href="(.*)"', page.text)[1])
    assert style.status == 200 and style.body == (SITE / "static/style.css").read_bytes()
    claimed = server.get("/", headers=[("X-Forwarded-For", "6.6.6.6")])
    assert "You came from 127.0.0.1 over" in claimed.text, "without a proxy no client may claim an address"


@pytest.fixture
def deployed(serve, tmp_path):
    """The site under /srv/flask, run by the unit's own command and environment: (the server, its folder)."""
    unit = (ROOT / "conf/systemd/flask.service").read_text()
    site = tmp_path / "site"
    shutil.copytree(SITE, site, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", site / "venv"], check=True,
                   timeout=60)
    (tmp_path / "run").mkdir()
    command = re.search(r"^ExecStart=\S+ (.*)$", unit, re.MULTILINE)[1]
    assert command.count("/srv/flask") == 2 and command.count("/run/flask") == 2
    words = shlex.split(command.replace("/srv/flask", str(site)).replace("/run/flask", str(tmp_path / "run")))
    environment = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)$", unit, re.MULTILINE))
    return serve(*words, bind=None, env={**NO_CACHE, **environment}), site


@pytest.fixture
def front(deployed, nginx, tmp_path):  # noqa: F811
    server, site = deployed
    return nginx(tcp=True, name="flask.conf", replaced={
        "server unix:/run/flask.sock;": f"server unix:{tmp_path}/run.sock;",
        "alias /srv/flask/static/;": f"alias {site}/static/;"})


@needs_flask
@needs_nginx
def test_behind_nginx_the_site_knows_its_clients(deployed, front):
    with wire.Wire(front, source="127.0.0.9") as client:
        for headers in ([], [("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"), ("X-Forwarded-Proto", "https")]):
            page = client.ask("/?name=Ada", headers=headers)
            assert page.status == 200 and "<h1>Hello, Ada!</h1>" in page.text
            assert "You came from 127.0.0.9 over http." in page.text


@needs_flask
@needs_nginx
def test_nginx_serves_the_static_files_itself(deployed, front):
    server, site = deployed
    assert server.stop(signal.SIGTERM) == 0
    assert wire.fetch(front, "/").status == 502
    style = wire.fetch(front, "/static/style.css")
    assert (style.status, style.body) == (200, (site / "static/style.css").read_bytes())


@needs_flask
def test_a_reload_as_the_unit_does_it_serves_new_code_and_a_broken_deploy_does_not(deployed):
    server, site = deployed
    assert (ROOT / "conf/systemd/flask.service").read_text().count("narwhalctl --socket /run/flask/control.sock reload\n") == 1
    source = (site / "app.py").read_text()
    (site / "app.py").write_text(source + "def :\n")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed .*SyntaxError")
    assert "Hello, world!" in server.get("/").text
    (site / "app.py").write_text(source.replace('"world"', '"everybody"'))
    server.send(signal.SIGHUP)
    eventually("the new code serves", lambda: "Hello, everybody!" in server.get("/").text, 20)


def test_what_nginx_says_about_its_clients_is_the_same_in_both_files():
    directives = [re.findall(r"^ *(proxy_set_header .*;|proxy_http_version .*;|proxy_read_timeout .*;)$",
                             (ROOT / "conf/nginx" / name).read_text(), re.MULTILINE)
                  for name in ("narwhal.conf", "flask.conf")]
    assert directives[0] == directives[1] and len(directives[0]) >= 9
