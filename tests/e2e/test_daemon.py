"""--daemon: the command returns when the server serves, or with the server's exit code and messages."""
import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest

import log_lines
import proc
import wire
from clock import eventually, scaled
from server import BINARY, clean_environment, example, parse_address

HELLO = example("hello")


class Daemon:
    """A server that was started with -D: what its caller has seen, and the server itself, by its pid file."""

    def __init__(self, folder):
        self.folder = folder
        self.pidfile, self.log_path = folder / "narwhal.pid", folder / "error.log"
        self.sessions = set()

    def command(self, *args, log=True):
        logs = ["--error-logfile", self.log_path] if log else []
        return [str(arg) for arg in [BINARY, "-D", "-b", "127.0.0.1:0", "-p", self.pidfile, *logs, *args]]

    def start(self, *args, log=True, env=None, **named):
        """Runs the command until it returns."""
        done = subprocess.run(self.command(*args, log=log), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**clean_environment(), **(env or {})}, cwd=self.folder, timeout=scaled(30), **named)
        self.note()
        return done

    def note(self):
        if self.pidfile.exists():
            self.sessions.add(os.getsid(self.pid))

    @property
    def pid(self):
        return int(self.pidfile.read_text())

    @property
    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def address(self, text=None):
        return parse_address(re.search(log_lines.LISTENING, text or self.log)[1])

    def get(self, target="/", text=None):
        return wire.fetch(self.address(text), target)

    def stop(self):
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        eventually("the daemon gone", lambda: not proc.alive(pid))

    def end(self):
        for session in self.sessions:
            for pid in proc.session_members(session):
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path)
    try:
        yield made
    finally:
        made.end()


def write_app(folder, text, name="application.py"):
    (folder / name).write_text(text)


APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((os.getcwd(), oct(os.umask(0o22)), os.isatty(1))).encode()]
"""


def test_it_returns_when_it_serves_and_the_pid_file_has_the_daemons_pid(daemon):
    done = daemon.start("-w", 2, HELLO)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert daemon.get().status == 200  # the first attempt
    assert proc.title(daemon.pid).startswith("narwhal: master")
    assert "Generation 1 is ready (2 workers" in daemon.log
    daemon.stop()
    assert not daemon.pidfile.exists() and "Shutting down: Master" in daemon.log


def test_it_has_a_session_of_its_own_no_streams_and_the_callers_directory(daemon):
    write_app(daemon.folder, APP)
    assert daemon.start("application:app", preexec_fn=lambda: os.umask(0)).returncode == 0
    master = daemon.pid
    # Not the leader of the session: it could open a terminal and get it as its own.
    assert os.getsid(master) not in (os.getsid(0), master)
    assert proc.parent(master) != os.getpid()
    workers = [pid for pid in proc.children(master) if "worker" in proc.title(pid)]

    def streams_of(pid):
        open_files = proc.descriptors(pid)
        return [open_files[number] for number in (0, 1, 2)]
    for pid in (master, *workers):  # a worker leaves the caller's streams when it is admitted, a moment later
        eventually(f"no streams of {pid}", lambda pid=pid: streams_of(pid) == ["/dev/null"] * 3)
    assert daemon.get().body == repr((str(daemon.folder), "0o22", False)).encode()


def test_the_caller_shows_what_the_start_logs_and_what_is_lost_afterwards(daemon):
    done = daemon.start("--access-logfile", "-", HELLO, log=False)
    assert done.returncode == 0
    assert "Generation 1 is ready" in done.stderr
    assert "the error log is discarded; name a file with --error-logfile FILE" in done.stderr
    assert "the access log is discarded; name a file with --access-logfile FILE" in done.stderr
    assert daemon.get(text=done.stderr).status == 200
    checked = subprocess.run([*daemon.command(HELLO, log=False), "--check-config"], capture_output=True, text=True)
    assert checked.returncode == 0 and "the error log is discarded" in checked.stderr


def test_a_hook_that_prints_at_the_stop_does_not_delay_it(daemon):
    """Nobody but the daemon reads what the process of the hooks prints after the start."""
    write_app(daemon.folder, APP)
    write_app(daemon.folder, "def on_exit(server):\n    print('x' * 1000000, flush=True)\n", "gunicorn.conf.py")
    assert daemon.start("application:app", "--graceful-timeout", 60).returncode == 0
    daemon.stop()
    assert "on_exit has not returned" not in daemon.log


@pytest.mark.parametrize("log", [False, True])
def test_a_failing_application_is_the_exit_code_and_on_the_callers_standard_error(daemon, log):
    write_app(daemon.folder, "import sys\nprint('set DATABASE_URL', file=sys.stderr)\nsys.exit(1)\n")
    done = daemon.start("application:app", log=log)
    assert done.returncode == 3
    assert "set DATABASE_URL" in done.stderr and done.stdout == ""
    if log:
        assert f"narwhal: the start has failed: see {daemon.log_path}" in done.stderr
    assert "Reason: Worker failed to boot." in (daemon.log if log else done.stderr)
    assert not daemon.pidfile.exists()


def test_other_failures_of_the_start_have_their_exit_codes_too(daemon):
    write_app(daemon.folder, APP)
    done = daemon.start("application:absent", log=False)
    assert done.returncode == 4 and "Failed to find attribute 'absent'" in done.stderr
    done = daemon.start("--no-such-flag", HELLO)
    assert done.returncode == 2 and "--no-such-flag" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = daemon.start("-b", f"127.0.0.1:{taken.getsockname()[1]}", HELLO)
    assert done.returncode == 1 and "Address already in use" in done.stderr
    (daemon.folder / "conf.py").write_text("daemon = True\nworkers = 'many'\n")
    done = subprocess.run([BINARY, "-c", "conf.py", HELLO], cwd=daemon.folder, capture_output=True, text=True)
    assert done.returncode == 1 and "conf.py:2" in done.stderr


def test_a_second_server_with_the_same_pid_file_fails(daemon):
    assert daemon.start(HELLO).returncode == 0
    done = daemon.start(HELLO)
    assert done.returncode == 1 and f"Already running on PID {daemon.pid}" in done.stderr
    assert daemon.get().status == 200


def test_a_pipe_on_the_callers_output_gets_its_end_when_the_command_returns(daemon):
    # As in `narwhal -D app | cat`, also if the application has started a process that lives on.
    write_app(daemon.folder, "import subprocess\nleft = subprocess.Popen(['sleep', '60'])\n" + APP)
    read_end, write_end = os.pipe()
    started = subprocess.Popen(daemon.command("application:app", log=False), stdin=subprocess.DEVNULL, stdout=write_end,
                               stderr=write_end, cwd=daemon.folder, env=clean_environment())
    os.close(write_end)
    with os.fdopen(read_end) as output:
        text = output.read()
    assert started.wait(scaled(10)) == 0
    daemon.note()
    assert "is ready" in text and daemon.get(text=text).status == 200


def test_what_the_start_left_behind_may_write_more_than_a_pipe_holds(daemon):
    code = ("import subprocess, sys\n"
            "left = subprocess.Popen([sys.executable, '-c', 'import os, time\\n"
            "for n in range(40): os.write(2, b\"x\" * 65536); time.sleep(0.01)\\n"
            "open(\"written\", \"w\").close()'])\n")
    write_app(daemon.folder, code + APP)
    done = daemon.start("application:app")
    assert done.returncode == 0
    eventually("all of it written", (daemon.folder / "written").exists)
    assert daemon.get().status == 200


def test_a_callers_closed_standard_error_does_not_fail_the_start(daemon):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(daemon.command(HELLO, log=False), stdin=subprocess.DEVNULL, stderr=write_end, env=clean_environment(),
                          cwd=daemon.folder, timeout=scaled(30))
    os.close(write_end)
    daemon.note()
    assert done.returncode == 0 and proc.alive(daemon.pid)


SLOW_APP = "import time\nopen('begun', 'w').close()\ntime.sleep(60)\n" + APP


def test_a_start_whose_command_is_interrupted_is_given_up(daemon):
    write_app(daemon.folder, SLOW_APP)
    started = subprocess.Popen(daemon.command("application:app"), env=clean_environment(), cwd=daemon.folder)
    eventually("the import begun", (daemon.folder / "begun").exists)
    daemon.note()
    pid = daemon.pid
    started.send_signal(signal.SIGINT)
    assert started.wait(scaled(10)) == -signal.SIGINT
    eventually("the daemon gone", lambda: not proc.alive(pid))
    assert "the start is given up" in daemon.log


def test_the_end_of_the_terminal_during_the_start_is_not_the_end_of_the_server(daemon):
    write_app(daemon.folder, "import os, time\nopen('begun', 'w').close()\n"
              "while not os.path.exists('go'):\n    time.sleep(0.01)\n" + APP)
    started = subprocess.Popen(daemon.command("application:app"), env=clean_environment(), cwd=daemon.folder)
    eventually("the import begun", (daemon.folder / "begun").exists)
    started.send_signal(signal.SIGHUP)
    (daemon.folder / "go").touch()
    assert started.wait(scaled(20)) == 0
    daemon.note()
    assert daemon.get().status == 200


def test_a_killed_daemon_is_reported_by_its_caller(daemon):
    write_app(daemon.folder, SLOW_APP)
    started = subprocess.Popen(daemon.command("application:app"), env=clean_environment(), cwd=daemon.folder, text=True,
                               stderr=subprocess.PIPE)
    eventually("the import begun", (daemon.folder / "begun").exists)
    daemon.note()
    os.kill(daemon.pid, signal.SIGKILL)
    assert started.communicate(timeout=scaled(20))[1] == "narwhal: the server has ended before it served\n"
    assert started.returncode == 1


def test_a_terminal_that_closes_or_is_interrupted_does_not_touch_it(daemon):
    master, terminal = pty.openpty()
    started = subprocess.Popen(["setsid", "--ctty", "--wait", *daemon.command(HELLO)], stdin=terminal, stdout=terminal,
                               stderr=terminal, env=clean_environment(), cwd=daemon.folder)
    os.close(terminal)
    assert started.wait(scaled(20)) == 0
    daemon.note()
    os.write(master, b"\x03")
    os.close(master)  # the kernel sends HUP to the terminal's group
    time.sleep(0.2)
    assert daemon.get().status == 200
    assert "Handling signal" not in daemon.log


def test_after_a_reload_it_is_a_daemon_still(daemon):
    config = daemon.folder / "narwhal.yaml"
    config.write_text(f"app: {HELLO}\nworkers: 1\n")
    assert daemon.start().returncode == 0
    pid = daemon.pid
    config.write_text(f"app: {HELLO}\nworkers: 2\n")
    os.kill(pid, signal.SIGHUP)
    eventually("the reload", lambda: "Generation 2 is ready (2 workers" in daemon.log)
    assert daemon.pid == pid and daemon.get().status == 200
    eventually("no child writes to the command's output",
               lambda: {proc.descriptors(child)[2] for child in proc.children(pid)} == {"/dev/null"})


def test_a_reload_that_changes_daemon_asks_for_a_restart(serve):
    server = serve(config=f"app: {HELLO}\n")
    server.config_path.write_text(f"app: {HELLO}\ndaemon: true\nenable_stdio_inheritance: true\n")
    server.send(signal.SIGHUP)
    server.wait_for("restart narwhal to apply the new value of daemon, enable_stdio_inheritance")
    assert server.get().status == 200


def test_with_reload_it_follows_changed_files(daemon):
    write_app(daemon.folder, APP)
    assert daemon.start("--reload", "application:app").returncode == 0
    write_app(daemon.folder, APP.replace("200 OK", "202 Accepted"))
    eventually("the new code", lambda: daemon.get().status == 202)


def test_r_keeps_files_and_pipes_but_no_terminal(daemon):
    output = daemon.folder / "output.log"
    write_app(daemon.folder, APP.replace("    return", "    print('from the application', flush=True)\n    return"))
    with open(output, "w") as file:
        done = subprocess.run(daemon.command("-R", "--access-logfile", "-", "application:app", log=False), stdin=subprocess.DEVNULL,
                              stdout=file, stderr=file, env=clean_environment(), cwd=daemon.folder, timeout=scaled(30))
    daemon.note()
    assert done.returncode == 0
    assert daemon.get(text=output.read_text()).status == 200
    eventually("both kinds of lines", lambda: "from the application" in output.read_text() and "GET /" in output.read_text())
    assert "discarded" not in output.read_text()
    daemon.stop()
    assert "Shutting down: Master" in output.read_text()


def test_r_with_a_terminal_leaves_it_all_the_same(daemon):
    master, terminal = pty.openpty()
    done = subprocess.run(daemon.command("-R", HELLO, log=False), stdin=terminal, stdout=terminal, stderr=terminal,
                          env=clean_environment(), cwd=daemon.folder, timeout=scaled(30))
    os.close(terminal)
    daemon.note()
    shown = b""
    while select.select([master], [], [], 0)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:  # no process has the terminal any more
            break
    os.close(master)
    assert done.returncode == 0
    assert b"is ready" in shown and b"the error log is discarded" in shown
    assert proc.descriptors(daemon.pid)[2] == "/dev/null"


def test_capture_output_writes_to_the_log_that_is_a_file(daemon):
    write_app(daemon.folder, "print('while it is imported', flush=True)\n" +
              APP.replace("    return", "    print('in a request', flush=True)\n    return"))
    assert daemon.start("--capture-output", "application:app").returncode == 0
    assert daemon.get().status == 200
    eventually("both prints", lambda: "while it is imported" in daemon.log and "in a request" in daemon.log)


def test_the_service_manager_learns_the_daemons_pid_before_it_is_ready(daemon):
    path = daemon.folder / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(scaled(10))
        assert daemon.start(HELLO, env={"NOTIFY_SOCKET": str(path)}).returncode == 0
        assert manager.recv(4096).decode() == f"MAINPID={daemon.pid}\n"
        assert manager.recv(4096).decode().startswith("READY=1\n")


def test_sockets_of_socket_activation_reach_the_daemon(daemon):
    with socket.create_server(("127.0.0.1", 0)) as activated:
        def pass_socket():
            os.dup2(activated.fileno(), 3)
            os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
            os.execv(BINARY, [str(BINARY), "-D", "-p", str(daemon.pidfile), "--error-logfile", str(daemon.log_path), str(HELLO)])
        child = os.fork()
        if child == 0:
            os.setsid()
            pass_socket()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        daemon.note()
        assert daemon.address() == activated.getsockname()
        assert daemon.get().status == 200


@pytest.mark.parametrize("name, text", [("gunicorn.conf.py", "daemon = True\nerrorlog = 'error.log'\npidfile = 'narwhal.pid'\n"
                                         "bind = '127.0.0.1:0'\nwsgi_app = 'application:app'\n"),
                                        ("narwhal.yaml", "daemon: true\nerrorlog: error.log\npidfile: narwhal.pid\n"
                                         "bind: 127.0.0.1:0\napp: application:app\n")])
def test_it_is_a_setting_of_both_files_too(daemon, name, text):
    (daemon.folder / name).write_text(text)
    write_app(daemon.folder, APP)
    done = subprocess.run([BINARY], cwd=daemon.folder, env=clean_environment(), capture_output=True, text=True, timeout=scaled(30))
    daemon.note()
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.get().status == 200
