"""conf/nginx/narwhal.conf as shipped, in a real nginx in front of the real server; only the addresses are replaced."""
import json
import os
import shutil
import signal
import subprocess

import pytest

import proc
import wire
from clock import eventually
from server import ROOT, example

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is not installed")

# Everything in a folder of its own. nginx as root would give its workers to nobody, who may not enter it.
MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/narwhal.conf;
}}
"""


def shipped(upstream, front):
    """The shipped file with other addresses: a replacement that finds nothing to replace is an error."""
    text = (ROOT / "conf/nginx/narwhal.conf").read_text()
    replaced = {"listen 80;": f"listen {front};"}
    if upstream.startswith("unix:"):
        replaced["    server 127.0.0.1:8000;"] = ""
        replaced["#server unix:/run/narwhal/narwhal.sock;"] = f"server {upstream};"
    else:
        replaced["server 127.0.0.1:8000;"] = f"server {upstream};"
    for old, new in replaced.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def nginx(tmp_path):
    """Starts nginx in front of `upstream`; returns the path of the Unix socket it listens on."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    running = []

    def start(upstream):
        front = str(folder / "front.sock")
        (folder / "narwhal.conf").write_text(shipped(upstream, f"unix:{front}"))
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=20)
        assert checked.returncode == 0 and "[warn]" not in checked.stderr, checked.stderr
        running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually("nginx listens", lambda: can_connect(front))
        return front

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def can_connect(path):
    if not os.path.exists(path):
        return False
    try:
        wire.Wire(path, 5).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["tcp", "unix"])
def behind_nginx(request, serve, nginx, tmp_path):
    """(the server, the address of the nginx before it), over TCP and over a Unix socket."""
    if request.param == "unix":
        bind = f"unix:{tmp_path}/n.sock"
        server = serve(example("echo"), bind=bind)
        return server, nginx(bind)
    server = serve(example("echo"))
    return server, nginx(f"127.0.0.1:{server.port}")


def fields_of(response):
    assert response.status == 200, response
    return {name.lower(): value for name, value in json.loads(response.body)["headers"]}


def test_a_request_arrives_through_nginx_as_the_client_sent_it(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/a%20b/c?x=1&y=%2F", host="shop.example:8443", method="POST", body=b"hello")
    seen = json.loads(response.body)
    assert (seen["method"], seen["uri"], seen["body"]) == ("POST", "/a%20b/c?x=1&y=%2F", "hello")
    assert seen["protocol"] == "HTTP/1.1"
    assert fields_of(response)["host"] == "shop.example:8443"


def test_nginx_says_who_asks_and_what_a_client_claims_is_dropped(behind_nginx):
    _, front = behind_nginx
    claims = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example")]
    fields = fields_of(wire.fetch(front, "/", host="shop.example", headers=claims))
    assert fields["x-forwarded-proto"] == "http"
    assert fields["x-forwarded-host"] == "shop.example"
    assert "6.6.6.6" not in fields.get("x-forwarded-for", "")


def test_nginx_keeps_its_connection_to_the_server(behind_nginx):
    server, front = behind_nginx
    (worker,) = server.wait_workers(1)

    def sockets():
        return sum(target.startswith("socket:") for target in proc.descriptors(worker).values())

    before = sockets()
    for _ in range(10):  # each client connection is new, the one behind it stays
        assert "connection" not in fields_of(wire.fetch(front, "/"))
    assert sockets() == before + 1


def test_a_response_larger_than_any_buffer_comes_through_whole(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/?size=3000000")
    assert response.status == 200 and response.body == b"x" * 3000000


def test_a_response_of_unknown_length_comes_through_whole(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/?size=100000&chunked=1")
    assert response.status == 200 and response.body == b"x" * 100000


def test_a_reload_of_the_server_is_not_seen_through_nginx(serve, nginx):
    from load import Load
    server = serve(example("echo"), "-w", 2)
    with Load(nginx(f"127.0.0.1:{server.port}"), clients=4, keep_alive=False) as load:
        load.wait_for_more(50)
        server.reload()
        load.wait_for_more(50)
    load.assert_clean(at_least=100)
