"""The process that writes the logs where a setting asks for syslog, statsd or logging of Python: nothing waits for it, and
nothing is lost with it."""
import os
import re
import signal
import socket
import textwrap
import threading
import time

import pytest

import log_lines
import proc
from clock import eventually
from server import WSGI, example, run

needs_python = pytest.mark.skipif(not WSGI.exists(),
                                  reason="this build has no WSGI plugin: it needs the package python3-dev")


class Receiver:
    """A socket that keeps what arrives: datagrams, or the bytes of the first connection."""

    def __init__(self, family, kind, address):
        self.socket = socket.socket(family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.parts, self.connections = [], []
        if kind == socket.SOCK_STREAM:
            self.socket.listen()
        threading.Thread(target=self._stream if kind == socket.SOCK_STREAM else self._datagrams, daemon=True).start()

    def _datagrams(self):
        while True:
            try:
                self.parts.append(self.socket.recv(65536))
            except OSError:
                return

    def _stream(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def end(self):
        for one in (self.socket, *self.connections):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def _read(self, connection):
        try:
            while data := connection.recv(65536):
                self.parts.append(data)
        except OSError:
            pass

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def text(self):
        return b"".join(part + b"\n" for part in list(self.parts)).decode()

    def wait_for(self, pattern, count=1):
        eventually(f"{count} x {pattern!r} in {self.text()!r}",
                   lambda: len(re.findall(pattern, self.text())) >= count)
        return re.findall(pattern, self.text())


@pytest.fixture
def receiver(tmp_path):
    made = []

    def make(kind):
        if kind in ("udp", "tcp"):
            one = Receiver(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM, ("127.0.0.1", 0))
            one.address = f"{kind}://127.0.0.1:{one.port}"
        else:
            path = str(tmp_path / f"{kind}.sock")
            one = Receiver(socket.AF_UNIX, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM, path)
            one.address = f"unix://{path}"
        made.append(one)
        return one
    yield make
    for one in made:
        one.end()


def log_pid(server):
    """The pid of the log process."""
    found = [pid for pid in proc.session_members(server.pid) if "narwhal: log [" in proc.title(pid)]
    return found[0] if len(found) == 1 else None


def wait_for_log_process(server, other_than=None):
    def another():
        pid = log_pid(server)
        return pid if pid != other_than else None
    return eventually("a log process", another)


# ---- syslog ----
@pytest.mark.parametrize("kind", ["udp", "tcp", "dgram", "stream"])
def test_syslog_gets_both_logs(serve, receiver, kind):
    syslog = receiver(kind)
    address = syslog.address + (f"#{kind}" if kind in ("dgram", "stream") else "")
    server = serve(example("echo"), "--log-syslog", "--log-syslog-to", address, "-n", "shop:web")
    server.get("/seen?x=1", headers=[("User-Agent", "agent/1")])
    worker = server.worker_pids()[0]
    syslog.wait_for(rf'<14>gunicorn\.shop\.web\.access: \[{worker}\] 127\.0\.0\.1 - - \[[^]]+\] "GET /seen\?x=1 HTTP/1\.1" '
                    r'200 \d+ "-" "agent/1"\x00')
    assert server.stop() == 0
    text = syslog.text()
    assert f"<14>gunicorn.shop.web.error: [{server.pid}] Starting narwhal" in text
    assert f"<14>gunicorn.shop.web.error: [{worker}] Worker exiting (pid: {worker})" in text
    assert text.rstrip("\x00\n").endswith(f"<14>gunicorn.shop.web.error: [{server.pid}] Shutting down: Master"), text
    assert "/seen" not in server.stdout() and "Shutting down: Master" in server.log()


def test_the_unix_socket_of_syslog_may_be_named_without_its_kind(serve, receiver):
    syslog = receiver("dgram")
    serve(example("echo"), "--log-syslog", "--log-syslog-to", syslog.address)
    syslog.wait_for("Generation 1 is ready")


def test_syslogs_prefix_and_facility_and_no_access_lines(serve, receiver):
    syslog = receiver("udp")
    server = serve(example("echo"), "--log-syslog", "--log-syslog-to", syslog.address, "--log-syslog-prefix", "pre",
                   "--log-syslog-facility", "LOCAL3", "--disable-redirect-access-to-syslog", "--access-logfile", "-")
    server.get("/seen")
    eventually("the line on stdout", lambda: '"GET /seen HTTP/1.1" 200' in server.stdout())
    assert server.stop() == 0
    syslog.wait_for("Shutting down")
    assert "<158>gunicorn.pre.error: " in syslog.text() and "/seen" not in syslog.text()


@pytest.mark.parametrize("flags, fault", [
    (["--log-syslog", "--log-syslog-facility", "nowhere"], "syslog_facility: 'nowhere' is not a facility of syslog"),
    (["--log-syslog", "--log-syslog-to", "localhost:514"],
     "syslog_addr: 'localhost:514' is not unix://PATH, udp://HOST:PORT or tcp://HOST:PORT"),
    (["--log-syslog", "--log-syslog-to", "udp://localhost:x"], "syslog_addr: 'x' is not a port number"),
    (["--statsd-host", "host:port"], "statsd_host: 'host:port' is not HOST:PORT or unix://PATH"),
])
def test_a_fault_of_the_settings_is_reported_at_the_start_and_by_check_config(flags, fault):
    for more in ([], ["--check-config"]):
        done = run(*flags, *more, "-b", "127.0.0.1:0", example("echo"))
        assert (done.returncode, done.stderr) == (1, f"narwhal: {fault}\n")


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_syslog_that_is_away_costs_a_line_in_the_log_and_is_used_when_it_is_back(serve, tmp_path, kind):
    path = str(tmp_path / "log.sock")
    first = Receiver(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    port = first.port
    server = serve(example("echo"), "--log-syslog", "--log-syslog-to",
                   f"unix://{path}" if kind == "unix" else f"tcp://127.0.0.1:{port}")
    if kind == "tcp":
        first.wait_for("Generation 1 is ready")
        first.end()
    for _ in range(20):
        assert server.get("/").status == 200
        if server.log().count("are lost") == 1:
            break
        time.sleep(0.1)
    first.end()
    second = Receiver(*((socket.AF_UNIX, socket.SOCK_DGRAM, path) if kind == "unix" else
                        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port))))

    def is_back():
        server.get("/back")
        time.sleep(0.1)
        return "/back" in second.text()
    eventually("lines again", is_back)
    second.end()
    assert server.log().count("are lost: ") == 1 and "Traceback" not in server.log()


def test_a_configuration_that_works_passes_check_config_in_silence(receiver):
    done = run("--check-config", "--log-syslog", "--log-syslog-to", receiver("udp").address, example("echo"))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


# ---- statsd ----
@pytest.mark.parametrize("kind", ["udp", "dgram"])
def test_statsd_gets_gunicorns_metrics(serve, receiver, kind):
    statsd = receiver(kind)
    # With --reload there is a warning.
    server = serve(example("echo"), "-w", 2, "--reload", "--statsd-host", statsd.address.removeprefix("udp://"))
    server.get("/")
    server.get("/?status=404")
    server.send(signal.SIGTTIN)
    statsd.wait_for(r"(?m)^gunicorn\.workers:3\|g$")
    statsd.wait_for(r"(?m)^gunicorn\.requests:1\|c\|@1\.0$", 2)
    text = statsd.text()
    assert re.search(r"(?m)^gunicorn\.workers:2\|g$", text)
    assert re.search(r"(?m)^gunicorn\.request\.duration:\d+\.\d+\|ms$", text)
    assert re.search(r"(?m)^gunicorn\.request\.status\.200:1\|c\|@1\.0$", text)
    assert re.search(r"(?m)^gunicorn\.request\.status\.404:1\|c\|@1\.0$", text)
    statsd.wait_for(r"(?m)^gunicorn\.log\.warning:1\|c\|@1\.0$")


def test_statsd_gets_the_length_of_the_backlog_if_asked(serve, receiver):
    statsd = receiver("udp")
    server = serve(example("echo"), "-w", 1, "--statsd-host", f"127.0.0.1:{statsd.port}", "--enable-backlog-metric")
    statsd.wait_for(r"(?m)^gunicorn\.backlog:0\|h$")
    worker = server.worker_pids()[0]
    os.kill(worker, signal.SIGSTOP)
    waiting = [socket.create_connection(server.address) for _ in range(3)]
    try:
        statsd.wait_for(r"(?m)^gunicorn\.backlog:[23]\|h$")
    finally:
        os.kill(worker, signal.SIGCONT)
    for each in waiting:
        each.close()


def test_statsds_prefix_and_tags(serve, receiver):
    statsd = receiver("udp")
    server = serve(example("echo"), "--statsd-host", f"127.0.0.1:{statsd.port}", "--statsd-prefix", "shop.web..",
                   "--dogstatsd-tags", "env:test,zone:a")
    server.get("/")
    statsd.wait_for(r"(?m)^shop\.web\.gunicorn\.requests:1\|c\|@1\.0\|#env:test,zone:a$")
    statsd.wait_for(r"(?m)^shop\.web\.gunicorn\.workers:1\|g\|#env:test,zone:a$")


def test_a_statsd_that_is_not_there_costs_nothing(serve):
    server = serve(example("echo"), "--statsd-host", "127.0.0.1:1", "--access-logfile", "-")
    for _ in range(5):
        assert server.get("/seen").status == 200
    eventually("the lines", lambda: server.stdout().count("GET /seen") == 5)
    assert not re.search("WARNING|ERROR|Traceback", server.log())


# ---- the process dies, is slow, or hangs ----
def test_a_log_process_that_is_killed_under_load_loses_a_message_at_most(serve, receiver, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "-w", 2, "--statsd-host", "127.0.0.1:1", "--access-logfile", path,
                   "--access-logformat", "%(s)s")
    server.wait_workers(2)
    kills, pid = 4, None
    with server.load(clients=4) as load:
        for _ in range(kills):
            size = path.stat().st_size if path.exists() else 0
            load.wait_for_more(300)
            pid = wait_for_log_process(server, pid)
            eventually("lines of this process", lambda: path.exists() and path.stat().st_size > size)
            os.kill(pid, signal.SIGKILL)
    wait_for_log_process(server, pid)
    load.assert_clean()
    assert server.stop() == 0
    count = path.read_text().count("200\n")
    assert load.answered - kills * 20 <= count <= load.answered, (load.answered, count)
    assert len(re.findall(r"The log process \(pid:\d+\) was sent SIGKILL; it is started again in", server.log())) == kills, \
        server.log()
    assert server.log().rstrip().endswith("Shutting down: Master")


def test_a_stopped_log_process_holds_up_neither_requests_nor_the_end(serve, tmp_path):
    server = serve(example("echo"), "-w", 1, "--statsd-host", "127.0.0.1:1", "--access-logfile", tmp_path / "access.log")
    pid = wait_for_log_process(server)
    os.kill(pid, signal.SIGSTOP)
    with server.load(clients=4, target="/" + "x" * 100, pause=0) as load:
        load.wait_for_more(3000)
    load.assert_clean()
    assert max(load.latencies) < 2
    os.kill(pid, signal.SIGCONT)
    eventually("all lines", lambda: (tmp_path / "access.log").read_text().count("\n") == load.answered, 20)
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 8


def test_lines_that_a_stopped_process_has_no_room_for_are_counted(serve, tmp_path):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "-w", 1, "--statsd-host", "127.0.0.1:1", "--access-logfile", path)
    pid = wait_for_log_process(server)
    os.kill(pid, signal.SIGSTOP)
    with server.load(clients=4, target="/" + "x" * 3000, pause=0) as load:
        load.wait_for_more(3000)
    load.assert_clean()
    assert max(load.latencies) < 2
    os.kill(pid, signal.SIGCONT)
    report = r"\[WARNING\] (\d+) lines? of the access log w\w+ dropped: the log process is too slow"
    server.wait_for(report, 20)
    eventually("the other lines, and a report of each that was dropped", lambda: path.read_text().count("\n") ==
               load.answered - sum(int(count) for count in re.findall(report, server.log())), 20)


def test_lines_that_a_stopped_process_does_not_take_go_to_standard_error(serve, tmp_path):
    server = serve(example("echo"), "--statsd-host", "127.0.0.1:1", "--log-level", "debug")
    pid = wait_for_log_process(server)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(200):  # each a line of at least 3000 bytes
        with server.connect() as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"\x01" * 10 + b"\r\n\r\n")
            assert wire.response().status == 400
    os.kill(pid, signal.SIGCONT)
    eventually("every line", lambda: server.log().count("Invalid request from ip=127.0.0.1") == 200)


# ---- reload ----
def test_a_reload_changes_where_the_lines_go(serve, receiver, tmp_path):
    first, second = receiver("udp"), receiver("udp")
    config = tmp_path / "narwhal.yaml"
    text = "app: {}\nworkers: 1\nsyslog: true\nsyslog_addr: {}\n"
    config.write_text(text.format(example("echo"), first.address))
    server = serve("-c", config)
    first.wait_for("Generation 1 is ready")
    config.write_text(text.format(example("echo"), second.address))
    server.send(signal.SIGHUP)
    first.wait_for("Hang up: Master")
    second.wait_for("retiring generation 1")
    eventually("only the new worker", lambda: server.generations() == [2])
    server.get("/seen")
    second.wait_for("GET /seen HTTP/1.1")
    config.write_text(text.replace("syslog: true", "syslog: false").format(example("echo"), second.address))
    server.send(signal.SIGHUP)
    server.wait_for("Generation 3 is ready")
    eventually("only the new worker", lambda: server.generations() == [3])
    server.get("/after")
    eventually("no log process", lambda: log_pid(server) is None)
    assert server.stop() == 0
    assert "/seen" not in first.text() and "/after" not in second.text()
    assert "Shutting down: Master" not in second.text() and "Shutting down: Master" in server.log()


def test_a_reload_with_a_fault_keeps_the_old_generation_and_its_log(serve, receiver, tmp_path):
    syslog = receiver("udp")
    config = tmp_path / "narwhal.yaml"
    text = "app: {}\nworkers: 1\nsyslog: true\nsyslog_addr: {}\nsyslog_facility: {}\n"
    config.write_text(text.format(example("echo"), syslog.address, "user"))
    server = serve("-c", config)
    config.write_text(text.format(example("echo"), syslog.address, "nowhere"))
    server.send(signal.SIGHUP)
    syslog.wait_for(r"Reload failed at step 'log': syslog_facility: 'nowhere' is not a facility of syslog; generation 1 "
                    "continues to serve")
    assert server.get("/seen").status == 200
    syslog.wait_for("GET /seen HTTP/1.1")
    assert server.generations() == [1]


def test_usr1_opens_the_files_again(serve, tmp_path):
    access, errors = tmp_path / "access.log", tmp_path / "error.log"
    server = serve(example("echo"), "--statsd-host", "127.0.0.1:1", "--access-logfile", access, "--error-logfile", errors,
                   wait=False)
    eventually("ready", lambda: errors.exists() and re.search(log_lines.READY, errors.read_text()))
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", errors.read_text())[1])
    server.address = ("127.0.0.1", port)
    server.get("/before")
    eventually("the line", lambda: "/before" in access.read_text())
    access.rename(tmp_path / "access.old")
    errors.rename(tmp_path / "error.old")
    server.send(signal.SIGUSR1)
    eventually("new files", lambda: access.exists() and errors.exists())
    server.get("/after")
    eventually("the line", lambda: "/after" in access.read_text())
    assert server.stop() == 0
    assert "/after" not in (tmp_path / "access.old").read_text()
    assert "Shutting down: Master" in errors.read_text()


def test_without_such_a_setting_there_is_no_log_process(serve):
    server = serve(example("echo"), "--access-logfile", "-")
    assert log_pid(server) is None


def test_the_log_process_ends_when_the_master_is_killed(serve, receiver):
    syslog = receiver("udp")
    server = serve(example("echo"), "--log-syslog", "--log-syslog-to", syslog.address)
    os.kill(server.pid, signal.SIGKILL)
    server.wait_exit()
    syslog.wait_for("The master is gone")
    eventually("no process left", lambda: not proc.session_members(server.pid))
    syslog.wait_for("Worker exiting")


@needs_python
def test_an_applications_lines_through_gunicorn_error_reach_syslog(serve, receiver, tmp_path):
    (tmp_path / "site_app.py").write_text(textwrap.dedent('''
        import logging
        def app(environ, start_response):
            log = logging.getLogger("gunicorn.error")
            log.warning("number %d", 7)
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("failed")
            start_response("200 OK", [])
            return [b"x"]
    '''))
    syslog = receiver("udp")
    server = serve("site_app:app", "--chdir", tmp_path, "--log-syslog", "--log-syslog-to", syslog.address)
    server.get("/")
    worker = server.worker_pids()[0]
    syslog.wait_for(rf"<12>gunicorn\.site_app\.app\.error: \[{worker}\] number 7\x00")
    syslog.wait_for(rf"<11>gunicorn\.site_app\.app\.error: \[{worker}\] failed\nTraceback [^\x00]*ZeroDivisionError: division by zero\x00")
    assert re.search(rf"\[{worker}\] \[WARNING\] number 7\n", server.log())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its user")
def test_workers_without_rights_log_where_only_the_master_may_write(serve, tmp_path):
    path = tmp_path / "access.log"  # in a folder that the user nobody may not enter
    server = serve(example("echo"), "--user", "nobody", "--statsd-host", "127.0.0.1:1", "--access-logfile", path)
    server.get("/seen")
    eventually("the line", lambda: path.exists() and "GET /seen" in path.read_text())
