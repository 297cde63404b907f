"""TERM, INT, QUIT, TTIN, TTOU, and what happens to current requests; deaths of worker, template and master."""
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

import log_lines
import proc
from clock import eventually, scaled
from load import Background
from plugin_files import becomes, deploy, versioned
from server import BINARY, example, port_is_free, test_plugin
from wire import dial, request_bytes


# ---- leaving ----
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_an_idle_server_leaves_at_once_with_0(serve, number):
    server = serve(example("echo"), "-w", "2")
    server.wait_workers(2)
    began = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - began < scaled(5)
    name = signal.Signals(number).name[3:].lower()
    assert re.search(f"Handling signal: {name}", server.log()) and re.search(log_lines.SHUT_DOWN, server.log())


def started_with_signals_blocked(*args, by=()):
    """A server as the pip package starts it: a signal that comes during exec() waits for the program."""
    return subprocess.Popen([*by, BINARY, "-b", "127.0.0.1:0", *args], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            start_new_session=True, text=True,
                            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_to_stop_is_served_from_the_first_instruction_on(number):
    codes = set()
    for step in range(30):
        process = started_with_signals_blocked(example("hello"))
        time.sleep(step / 1000)
        process.send_signal(number)
        process.communicate(timeout=scaled(20))
        codes.add(process.returncode)
    assert codes == {0}


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root, for a namespace of processes")
def test_a_stop_during_the_start_is_not_lost_for_process_1_of_a_container():
    """Its kernel discards a signal whose action is the default."""
    for step in range(6):
        unshare = started_with_signals_blocked(example("hello"), by=["unshare", "--pid", "--fork", "--kill-child"])
        first = eventually("process 1", lambda: proc.children(unshare.pid))
        time.sleep(step * 0.004)
        os.kill(first[0], signal.SIGTERM)
        unshare.communicate(timeout=scaled(20))
        assert unshare.returncode == 0


def test_a_stop_during_the_start_leaves_nothing(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    for step in range(30):
        process = started_with_signals_blocked(example("hello"), "--stage-dir", stage)
        time.sleep(step / 1000)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=scaled(20))
    assert list(stage.iterdir()) == []


def test_hup_during_the_start_is_a_reload(serve):
    def to_itself():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
        os.kill(os.getpid(), signal.SIGHUP)
    server = serve(example("hello"), "-w", "1", preexec=to_itself)
    server.wait_for("Handling signal: hup")
    eventually("generation 2", lambda: server.generations() == [2], 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_does_not_serve_is_ended_by_a_signal(number, tmp_path):
    """A shell, and `make`, see by the status that the operator has interrupted it."""
    (tmp_path / "app.py").write_text("import time\nprint('loaded', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen([BINARY, "--check-config", "--chdir", tmp_path, "app:app"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, text=True)
    assert any("loaded" in line for line in process.stdout)  # root is warned before
    process.send_signal(number)
    process.communicate(timeout=scaled(20))
    assert process.returncode == -number


def test_term_waits_for_requests_in_hand(serve):
    server = serve(example("echo"), "-w", "2", "--threads", "4", "--graceful-timeout", "20")
    server.wait_workers(2)
    requests = [Background(server.get, "/?sleep=1.5&size=7", timeout=20) for _ in range(6)]
    eventually("all six accepted", lambda: established(server.port) >= 6)
    time.sleep(0.3)  # accepted does not mean parsed yet; a request that is lost here fails the test
    server.send(signal.SIGTERM)
    for request in requests:
        response = request.result()
        assert response.body == b"xxxxxxx" and response.closes
    assert server.wait_exit() == 0


def established(port):
    """Connections to this port that the kernel has accepted, in any process."""
    return sum(local == port and state == "01" for local, _, state, _ in proc.tcp_table())


@pytest.mark.parametrize("connections", ["1000", "1"])
def test_term_answers_what_waits_in_the_backlog(serve, connections):
    """Connections that the kernel had accepted before TERM are served, not reset, however long they wait for the handler."""
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--worker-connections", connections,
                   "--graceful-timeout", "20")
    server.wait_workers(1)
    server.wait_serving()
    wires = [server.connect(timeout=20) for _ in range(4)]
    for each in wires:
        each.send(request_bytes("/?sleep=0.8&size=7"))
    server.send(signal.SIGTERM)
    assert [each.response().body for each in wires] == [b"xxxxxxx"] * 4
    assert server.wait_exit() == 0


def test_term_under_load_never_cuts_a_kept_alive_connection(serve):
    server = serve(example("echo"), "-w", "2", "--graceful-timeout", "20")
    load = server.load(clients=8, keep_alive=True, pause=0).start()
    load.wait_for_more(200)
    server.send(signal.SIGTERM)
    server.wait_exit()
    load.stop()
    assert not [str(failure) for failure in load.failures if failure.reused]


def test_new_connections_are_refused_at_once_while_draining(serve):
    """Not left in a queue that no worker serves, to be reset when the last worker leaves."""
    server = serve(example("echo"), "-w", "2", "--graceful-timeout", "20")
    request = Background(server.get, "/?sleep=3&size=3", timeout=20)
    time.sleep(0.5)
    server.send(signal.SIGTERM)
    server.wait_for("Handling signal: term")
    eventually("refused", lambda: not connectable(server.address), 2)
    assert not request.done
    assert request.result().body == b"xxx"
    assert server.wait_exit() == 0


def connectable(address):
    try:
        dial(address, 1).close()
    except OSError:
        return False
    return True


def test_term_does_not_wait_for_idle_connections(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "30", "--keep-alive", "600")
    with server.connect() as wire:
        wire.ask("/")
        began = time.monotonic()
        server.send(signal.SIGTERM)
        assert wire.end() == "eof"
        assert server.wait_exit() == 0
        assert time.monotonic() - began < scaled(10)


def test_graceful_timeout_bounds_a_term(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "1", "--timeout", "60")
    server.wait_workers(1)
    with server.connect() as wire:
        wire.send(request_bytes("/?sleep=60"))
        assert wire.quiet_for(0.3)
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert 0.9 < time.monotonic() - began < scaled(8)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_does_not_wait_for_handlers(serve, number):
    server = serve(example("echo"), "-w", "2", "--graceful-timeout", "60", "--timeout", "90")
    server.wait_workers(2)
    with server.connect() as wire:
        wire.send(request_bytes("/?sleep=60"))
        assert wire.quiet_for(0.3)
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < scaled(6)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_hurries_a_graceful_stop(serve, second):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "60", "--timeout", "90")
    server.wait_workers(1)
    with server.connect() as wire:
        wire.send(request_bytes("/?sleep=60"))
        assert wire.quiet_for(0.3)
        server.send(signal.SIGTERM)
        server.wait_for("Handling signal: term")
        began = time.monotonic()
        server.send(second)
        assert server.wait_exit() == 0
        assert time.monotonic() - began < scaled(6)


def test_a_second_term_changes_nothing(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "30")
    server.wait_workers(1)
    request = Background(server.get, "/?sleep=1.5&size=3", timeout=20)
    time.sleep(0.5)
    server.send(signal.SIGTERM)
    server.wait_for("Handling signal: term")
    server.send(signal.SIGTERM)
    assert request.result().body == b"xxx"
    assert server.wait_exit() == 0


def test_term_during_a_reload_that_hangs_is_served_at_once(serve, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, "-w", "1", "--boot-timeout", "60")
    server.wait_workers(1)
    becomes(app, "init_hangs")
    server.send(signal.SIGHUP)
    server.wait_for("Hang up: Master")
    eventually("the new template or worker", lambda: len(server.processes()) >= 3)
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < scaled(6)


def test_term_during_the_first_boot_is_served_at_once(serve):
    server = serve(test_plugin("init_hangs"), "-w", "1", "--boot-timeout", "60", wait=False)
    eventually("a child", lambda: server.processes())
    began = time.monotonic()
    server.stop(signal.SIGTERM)
    assert time.monotonic() - began < scaled(6)


# ---- the number of workers ----
def test_ttin_and_ttou(serve):
    server = serve(example("echo"), "-w", "2")
    server.wait_workers(2)
    with server.load(clients=4) as load:
        server.send(signal.SIGTTIN)
        server.wait_workers(3)
        server.send(signal.SIGTTIN)
        server.wait_workers(4)
        for left in (3, 2, 1):
            server.send(signal.SIGTTOU)
            server.wait_workers(left)
        server.send(signal.SIGTTOU)
        load.wait_for_more(100)
        assert len(server.workers()) == 1, "never fewer than one"
        server.send(signal.SIGTTIN)
        server.wait_workers(2)
        load.wait_for_more(50)
    load.assert_clean(100)


def test_ttou_retires_gracefully(serve):
    server = serve(example("echo"), "-w", "2", "--graceful-timeout", "20")
    server.wait_workers(2)
    requests = [Background(server.get, "/?sleep=1.5&size=3", timeout=20) for _ in range(2)]
    time.sleep(0.5)
    server.send(signal.SIGTTOU)
    assert [request.result().body for request in requests] == [b"xxx", b"xxx"]
    server.wait_workers(1)


# ---- deaths ----
@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_killed_worker_costs_only_what_it_had_in_hand(serve, keep_alive):
    server = serve(example("echo"), "-w", "4")
    before = server.wait_workers(4)
    with server.load(clients=8, keep_alive=keep_alive) as load:
        load.wait_for_more(100)
        os.kill(before[0], signal.SIGKILL)
        server.wait_workers(4, without=before[:1])
        load.wait_for_more(200)
    assert len(load.failures) <= 8, load.reasons()
    assert all("refused" not in reason.lower() for reason in load.reasons())
    server.wait_for(rf"(?i)worker .*{before[0]}.*SIGKILL")


def test_a_killed_template_costs_nothing(serve):
    server = serve(example("echo"), "-w", "2")
    before, template = server.wait_workers(2), server.template()
    with server.load(clients=4) as load:
        load.wait_for_more(50)
        os.kill(template, signal.SIGKILL)
        eventually("a new template", lambda: server.template() not in (None, template))
        load.wait_for_more(50)
        assert server.worker_pids() == before
    load.assert_clean()
    os.kill(before[0], signal.SIGKILL)
    server.wait_workers(2, without=before[:1])
    assert server.get("/").status == 200


def test_template_and_worker_killed_together_are_both_replaced(serve):
    server = serve(example("echo"), "-w", "2")
    before, template = server.wait_workers(2), server.template()
    os.kill(template, signal.SIGKILL)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    server.wait_workers(2, without=before)
    assert server.template() not in (None, template)
    assert server.get("/").status == 200


def test_a_killed_template_comes_back_with_the_same_code(serve, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, "-w", "1")
    before = server.wait_workers(1)
    deploy(app, "v2")
    os.kill(server.template(), signal.SIGKILL)
    os.kill(before[0], signal.SIGKILL)
    server.wait_workers(1, without=before)
    assert server.get("/").text == "v1"


def test_after_the_masters_death_all_leave_and_the_port_is_free(serve):
    server = serve(example("echo"), "-w", "4")
    server.wait_workers(4)
    with server.load(clients=4, keep_alive=True) as load:
        load.wait_for_more(50)
        server.send(signal.SIGKILL)
        server.wait_exit()
        eventually("all gone", lambda: not proc.session_members(server.pid), 5)
        eventually("the port free", lambda: port_is_free(server.address), 5)
    # Connections may be refused from then on; accepted ones are finished or announced.
    assert not [str(failure) for failure in load.failures if failure.reason.startswith("status ")]


def test_a_request_in_hand_outlives_the_master(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "20")
    server.wait_workers(1)
    request = Background(server.get, "/?sleep=1&size=3", timeout=20)
    time.sleep(0.4)
    server.send(signal.SIGKILL)
    server.wait_exit()
    assert request.result().body == b"xxx"
    eventually("all gone", lambda: not proc.session_members(server.pid), 5)


def test_a_request_that_takes_too_long_after_the_masters_death_is_dropped_for_that_reason(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "60")
    server.wait_workers(1)
    request = Background(server.get, "/?sleep=8&size=3", timeout=20)
    time.sleep(0.4)
    server.send(signal.SIGKILL)
    server.wait_exit()
    server.wait_for(r"\[WARNING\] 4 s without a master have passed: dropping 1 connection\(s\)")
    assert "graceful_timeout" not in server.log()
    with pytest.raises(Exception):
        request.result()


def test_the_whole_group_may_be_signalled_from_a_terminal(serve):
    """Ctrl-C reaches master, template and workers alike: still an orderly exit."""
    server = serve(example("echo"), "-w", "2")
    server.wait_workers(2)
    server.wait_serving()
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait_exit() == 0


def test_hup_to_the_whole_group_is_one_reload(serve):
    server = serve(example("echo"), "-w", "2")
    server.wait_workers(2)
    with server.load(clients=4) as load:
        load.wait_for_more(50)
        os.killpg(server.pid, signal.SIGHUP)
        eventually("generation 2", lambda: server.generations() == [2], 20)
        load.wait_for_more(50)
    load.assert_clean()


def test_usr1_and_friends_do_not_end_the_master(serve):
    server = serve(example("echo"), "-w", "1")
    before = server.wait_workers(1)
    server.send(signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD)
    assert server.get("/").status == 200
    assert server.worker_pids() == before


def test_signals_without_meaning_for_a_server_do_not_end_it(serve):
    server = serve(example("echo"), "-w", "1")
    before = server.wait_workers(1)
    server.send(signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGIO,
                signal.SIGPWR, signal.SIGSTKFLT, signal.SIGRTMIN, signal.SIGRTMIN + 1, signal.SIGRTMAX)
    assert server.get("/").status == 200
    assert server.worker_pids() == before
    server.reload()
    for pid in server.worker_pids():
        with open(f"/proc/{pid}/status") as status:
            ignored = int(re.search(r"^SigIgn:\t(.*)$", status.read(), re.MULTILINE)[1], 16)
        assert ignored & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_a_terminal_that_changes_its_size_causes_no_warning(serve):
    """Its kernel sends WINCH to the processes in its foreground."""
    main, other = pty.openpty()

    def take_terminal():
        fcntl.ioctl(other, termios.TIOCSCTTY, 0)
    server = serve(example("echo"), "-w", "1", "--log-level", "debug", preexec=take_terminal)
    server.wait_workers(1)
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    server.wait_for("the size of the terminal has changed")
    assert "WARNING" not in server.log()
    assert server.stop(signal.SIGINT) == 0
    os.close(main)
    os.close(other)


def test_a_stopped_master_does_not_stop_the_service(serve):
    server = serve(example("echo"), "-w", "2", "--heartbeat-timeout", "2")
    before = server.wait_workers(2)
    server.wait_serving()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with server.load(clients=4, keep_alive=False) as load:
            end = time.monotonic() + 3
            eventually("3 seconds of load", lambda: time.monotonic() > end)
        load.assert_clean(20)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert server.get("/").status == 200
    time.sleep(0.5)  # in this time a master that ignores its own pause would kill workers for their silence
    assert server.worker_pids() == before


def test_a_worker_whose_loop_hangs_is_replaced(serve):
    server = serve(example("echo"), "-w", "2", "--heartbeat-timeout", "1")
    before = server.wait_workers(2)
    os.kill(before[0], signal.SIGSTOP)
    after = server.wait_workers(2, without=before[:1], timeout=30)
    assert before[1] in after
    assert server.get("/").status == 200
