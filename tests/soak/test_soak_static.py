"""What a file costs, beside nginx, in one run: processor time of the worker processes for each request."""
import os
import shutil
import signal
import statistics
import subprocess

import pytest

import proc
import wire
from clock import eventually
from nginx_front import NGINX, can_connect, free_address, main_conf, needs_nginx
from processor_time import us_per_request
from server import SANITIZED
from static_site import config, write

ROUNDS = 7
RATIO_MAX = 1.3
FILES = {"1k.bin": bytes(range(256)) * 4, "1m.bin": bytes(range(256)) * 4096}


@pytest.fixture
def plain_nginx(tmp_path, www):
    """As Debian ships it: sendfile, one worker. Returns its port and the worker's pid."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    host, port = free_address()
    site = ("sendfile on; tcp_nopush on; keepalive_requests 1000000000;"
            f"server {{ listen {host}:{port} backlog=1024; root {www}; }}")
    (folder / "nginx.conf").write_text(main_conf(folder, site, main=f"{user} worker_processes 1;"))
    master = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        eventually("nginx listens", lambda: can_connect((host, port)))
        worker, = proc.children(master.pid)
        yield port, worker
    finally:
        master.send_signal(signal.SIGQUIT)
        master.wait(20)


@pytest.fixture
def www(tmp_path):
    return write(tmp_path / "www", FILES)


@needs_nginx
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
@pytest.mark.skipif(SANITIZED, reason="a sanitizer costs more than all else")
@pytest.mark.parametrize("name", FILES)
def test_a_file_costs_at_most_a_third_more_than_in_nginx(serve, www, plain_nginx, seconds, name, record_property):
    server = serve("-w", "1", "--log-level", "info", config=config(www))
    worker, = server.wait_workers(1)
    port, nginx = plain_nginx
    assert server.get("/" + name).body == wire.fetch(("127.0.0.1", port), "/" + name).body == FILES[name]
    each = max(1, int(seconds / (ROUNDS * 4)))
    servers = [(server.port, worker), (port, nginx)]
    rows = [[us_per_request(("127.0.0.1", at), [pid], "/" + name, each) for at, pid in servers] for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for ours, theirs in rows)
    ours, theirs = (statistics.median(column) for column in zip(*rows))
    record_property("ratio", ratio)
    print(f"{name}: {ours:.1f} us, nginx {theirs:.1f} us, ratio {ratio:.2f}; rounds {[f'{a / b:.2f}' for a, b in rows]}")
    assert ratio <= RATIO_MAX
