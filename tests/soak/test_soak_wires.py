"""What a request costs over each wire behind one nginx, in one run: processor time of all processes of the server.

HTTP and FastCGI keep their connections, SCGI and uwsgi have one for each request: they are compared with HTTP that has too."""
import shutil
import statistics
import subprocess

import pytest

import wire
from clock import eventually
from nginx_front import can_connect, free_address, needs_nginx
from processor_time import tree, us_per_request
from server import SANITIZED, example
from web_fronts import Nginx

pytestmark = [
    needs_nginx,
    pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed"),
    pytest.mark.skipif(SANITIZED, reason="a sanitizer costs more than all else"),
]
ROUNDS = 21  # short ones: single rounds differ by 20%, and a machine changes its speed within a minute
RATIO_MAX = 1.1
CLOSING = {"keepalive 32;": "", 'proxy_set_header Connection "";': "proxy_set_header Connection close;"}
PAIRS = [("fastcgi", "http"), ("scgi", "closing"), ("uwsgi", "closing"), ("scgi", "http"), ("uwsgi", "http"), ("closing", "http")]
APP = "def app(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'Hello!\\n']\n"
UWSGI = shutil.which("uwsgi") or shutil.which("uwsgi-core")


def measured(fronts, seconds):
    """{name: microseconds of each round}, of rounds that alternate, for {name: (address of nginx, pids)}."""
    each = max(1, int(seconds / (ROUNDS * len(fronts))))
    times = {name: [] for name in fronts}
    for _ in range(ROUNDS):
        for name, (front, pids) in fronts.items():
            times[name].append(us_per_request(front, pids, "/", each))
    return times


def ratio(times, one, other):
    """The median over pairs of rounds that were measured one soon after the other."""
    return statistics.median(mine / theirs for mine, theirs in zip(times[one], times[other]))


@pytest.fixture
def nginx(tmp_path):
    """Starts an nginx that speaks this wire to (host, port); returns its address."""
    running = []

    def start(wire, upstream, replaced=None):
        running.append(Nginx(wire, upstream, tmp_path / f"nginx-{len(running)}", replaced).start())
        return running[-1].address

    yield start
    for front in running:
        front.stop()


def test_a_wire_costs_what_http_costs(serve, nginx, seconds, record_property):
    fronts = {}
    for name in ("http", "fastcgi", "scgi", "closing", "uwsgi"):
        spoken = "http" if name == "closing" else name
        server = serve(example("hello_c"), "-w", "1", "--log-level", "info", bind=f"{spoken}://127.0.0.1:0")
        front = nginx(spoken, ("127.0.0.1", server.port), CLOSING if name == "closing" else None)
        assert wire.fetch(front, "/").body == b"Hello, world!\n"
        fronts[name] = front, server.wait_workers(1)
    times = measured(fronts, seconds)
    print({name: f"{statistics.median(rounds):.1f} us" for name, rounds in times.items()})
    for one, other in PAIRS:
        record_property(f"{one}/{other}", ratio(times, one, other))
        print(f"{one} / {other}: {ratio(times, one, other):.2f}")
    for one, other in PAIRS[:3]:
        assert ratio(times, one, other) <= RATIO_MAX, (one, other)


@pytest.fixture
def uwsgi_server(tmp_path):
    """uWSGI from Debian with the same application, one process. Returns its upstream and its pid."""
    if not UWSGI:
        pytest.skip("uwsgi is not installed")
    host, port = free_address()
    (tmp_path / "hello_app.py").write_text(APP)
    command = [UWSGI, "--plugin", "python3", "--socket", f"{host}:{port}", "--wsgi", "hello_app:app", "--processes", "1", "--master",
               "--need-app", "--disable-logging", "--die-on-term", "--chdir", str(tmp_path)]
    with (tmp_path / "uwsgi.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        eventually("uWSGI listens", lambda: can_connect((host, port)))
        yield (host, port), process.pid
    finally:
        process.terminate()
        process.wait(20)


def test_an_application_costs_less_than_in_uwsgi(serve, nginx, uwsgi_server, seconds, tmp_path, record_property):
    server = serve("hello_app:app", "-w", "1", "--log-level", "info", "--chdir", str(tmp_path), bind="uwsgi://127.0.0.1:0")
    ours = nginx("uwsgi", ("127.0.0.1", server.port))
    upstream, pid = uwsgi_server
    theirs = nginx("uwsgi", upstream)
    assert wire.fetch(ours, "/").body == wire.fetch(theirs, "/").body == b"Hello!\n"
    server.wait_workers(1)
    times = measured({"narwhal": (ours, tree(server.pid)), "uwsgi": (theirs, tree(pid))}, seconds)
    record_property("ratio", ratio(times, "narwhal", "uwsgi"))
    print({name: f"{statistics.median(rounds):.1f} us" for name, rounds in times.items()}, f"{ratio(times, 'narwhal', 'uwsgi'):.2f}")
    assert ratio(times, "narwhal", "uwsgi") < 1
