"""A real nginx in front of the real server, with a file of conf/nginx as shipped; only the addresses are replaced."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

import wire
from clock import eventually
from server import ROOT

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
needs_nginx = pytest.mark.skipif(not NGINX, reason="nginx is not installed")


def main_conf(folder, http, main="master_process off;"):
    """A whole configuration with all files in one folder. nginx as root would run its workers as the user nobody, who may not
    enter it: by default there are none."""
    return f"""
daemon off;
{main}
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
    {http}
}}
"""


def shipped(name, replaced):
    """A file of conf/nginx with other addresses: a replacement that finds nothing to replace is an error."""
    text = (ROOT / "conf/nginx" / name).read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def replacements(upstream):
    """The replacements in conf/nginx/narwhal.conf for `upstream`."""
    if upstream.startswith("unix:"):
        return {"    server 127.0.0.1:8000;": "",
                "#server unix:/run/narwhal/narwhal.sock;": f"server {upstream};"}
    return {"server 127.0.0.1:8000;": f"server {upstream};"}


@pytest.fixture
def nginx(tmp_path):
    """Starts nginx in front of `upstream`; returns the address it listens on: a Unix socket's path, or with `tcp` (host,
    port). `tls`: what a listen directive and its server need besides the address. Another file of conf/nginx by its
    `name`, with what is to be `replaced` in it."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    running = []

    def start(upstream=None, tcp=False, tls="", name="narwhal.conf", replaced=None):
        front = free_address() if tcp else str(folder / "front.sock")
        listen = f"{front[0]}:{front[1]}{tls}" if tcp else f"unix:{front}"
        replaced = replaced or replacements(upstream)
        (folder / "shipped.conf").write_text(shipped(name, {"listen 80;": f"listen {listen};", **replaced}))
        (folder / "nginx.conf").write_text(main_conf(folder, f"include {folder}/shipped.conf;"))
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


def free_address():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()


def can_connect(address):
    if isinstance(address, str) and not os.path.exists(address):
        return False
    try:
        wire.Wire(address, 5).close()
    except OSError:
        return False
    return True
