"""The admin process: status, metrics, health, commands; also while workers, template or master are stopped."""
import contextlib
import json
import os
import re
import signal
import stat
import time

import pytest

import proc
from admin_client import Admin, narwhalctl, timed
from clock import eventually, holds_for, scaled
from load import Background
from plugin_files import deploy, not_elf, versioned
from server import StartFailed, example, test_plugin


@pytest.fixture
def start(serve, tmp_path):
    """A server with a control socket; `server.admin` asks it."""
    def run(*args, **named):
        path = tmp_path / "control.sock"
        server = serve(*args, "--control-socket", path, **named)
        server.control = path
        server.admin = Admin(path)
        return server
    return run


def admin_pid(server):
    return next((pid for pid, title in server.processes().items() if title.startswith("narwhal: admin")), None)


def working(status):
    """The workers of the generation that serves."""
    return next(each["workers"] for each in status["generations"] if each["number"] == status["generation"])


# ---- what it shows ----
def test_without_the_settings_there_is_no_admin_process(serve):
    server = serve(example("echo"))
    assert admin_pid(server) is None


def test_the_status_of_a_server_that_has_nothing_to_do(start):
    server = start(example("echo"), "-w", "2", "--threads", "3")
    server.wait_workers(2)
    eventually("the master has published it", lambda: server.admin.ready()[0])
    status = server.admin.status()
    assert status["ready"] and status["alive"] and not status["stopping"]
    assert status["pid"] == server.pid and status["generation"] == 1 and status["title"] == "echo"
    assert {worker["pid"] for worker in working(status)} == set(server.worker_pids())
    assert status["handlers"] == {"busy": 0, "idle": 6}
    assert [each["outcome"] for each in status["transactions"]] == ["swapped"]
    assert server.admin.ready() == (True, "ok")
    assert server.admin.ask("/healthz")[:2] == (200, "ok\n")


def test_the_control_socket_is_for_its_owner_and_is_removed(start):
    server = start(example("echo"))
    assert stat.S_IMODE(os.stat(server.control).st_mode) == 0o600
    assert server.stop() == 0
    assert not server.control.exists()


def test_the_mode_of_the_control_socket(start):
    server = start(example("echo"), "--control-socket-mode", "0660")
    assert stat.S_IMODE(os.stat(server.control).st_mode) == 0o660


def test_a_control_socket_that_cannot_be_made_is_a_failed_start(serve, tmp_path):
    with pytest.raises(StartFailed, match="control_socket: bind unix:.*no/control.sock: No such file or directory"):
        serve(example("echo"), "--control-socket", tmp_path / "no" / "control.sock")


def test_what_each_worker_does_now(start):
    server = start(example("echo"), "-w", "1", "--threads", "2")
    server.wait_serving()
    slow = [Background(server.get, f"/slow{number}?sleep=2", timeout=20) for number in range(3)]
    status = eventually("two run and one waits", lambda: (now := server.admin.status())
                        and now["handlers"]["busy"] == 2 and now["queue"]["length"] == 1 and now)
    running = working(status)[0]["running"]
    assert all(re.fullmatch(r"/slow\d\?sleep=2", each["target"]) and each["method"] == "GET" for each in running)
    assert all(each["route"] == "/" for each in running)
    eventually("the age of the oldest that waits", lambda: server.admin.status()["queue"]["oldest_seconds"] > 0.5)
    for each in slow:
        assert each.result().status == 200
    eventually("idle again", lambda: server.admin.status()["handlers"] == {"busy": 0, "idle": 2})


def test_counts_by_route_application_and_status(start, tmp_path):
    config = f"""
routes:
  - {{prefix: /a, app: {example("echo")}}}
  - {{prefix: /b, app: {test_plugin("answers")}}}
"""
    server = start(config=config)
    for target in ("/a/x", "/a/y", "/b/", "/nowhere"):
        server.get(target)
    total = server.admin.total
    assert total("narwhal_requests_total", 'route="/a"', f'app="{example("echo")}"', 'status="2xx"') == 2
    assert total("narwhal_requests_total", 'route="/b"') == 1
    assert total("narwhal_requests_total", 'route=""', 'status="4xx"') == 1
    assert total("narwhal_request_duration_seconds_count") == 4
    assert total("narwhal_connections_accepted_total") == 4


def test_counters_never_go_back_when_workers_end(start):
    """Reloads, recycling and kills move counts from the scoreboard to the master: never lost, never twice."""
    server = start(example("echo"), "-w", "2", "--max-requests", "10")
    server.wait_workers(2)
    seen = 0
    with server.load(clients=4) as load:
        eventually("recycled", lambda: server.admin.total("narwhal_worker_restarts_total", 'reason="recycled"') > 0)
        for turn in range(6):
            server.send(signal.SIGHUP)
            for _ in range(30):
                now = server.admin.total("narwhal_requests_total")
                assert now >= seen, f"{now} after {seen}"
                seen = now
            if turn % 2 == 0:
                # They live for 10 requests: all that are in the list may have ended when their titles are read.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(eventually("a worker", server.worker_pids)[0], signal.SIGTERM)
    answered = load.answered
    eventually("each answer is counted once", lambda: server.admin.total("narwhal_requests_total") == answered)


def test_restarts_by_reason(start):
    server = start(test_plugin("dies_later"), "-w", "1", "--timeout", "1")
    worker, = server.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    eventually("counted", lambda: server.admin.total("narwhal_worker_restarts_total", 'reason="crash"') == 1)


def test_a_handler_that_hangs_is_a_restart_by_timeout(start):
    server = start(example("echo"), "-w", "1", "--timeout", "1", "--graceful-timeout", "1")
    server.wait_serving()
    before = server.worker_pids()
    hanging = Background(server.get, "/?sleep=30", timeout=20)
    assert hanging.result().status == 504
    server.wait_workers(1, without=before)
    eventually("counted", lambda: server.admin.total("narwhal_worker_restarts_total", 'reason="timeout"') == 1)
    assert server.admin.total("narwhal_requests_timed_out_total") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_with_a_user_it_has_not_the_rights_of_the_master(start):
    server = start(example("echo"), "--user", "nobody", "--group", "nogroup")
    server.wait_serving()
    pid = eventually("the admin process", lambda: admin_pid(server))
    assert proc.status_field(pid, "Uid")[1] != "0"
    assert working(server.admin.status())[0]["resident_bytes"] > 0
    assert narwhalctl(server.control, "reload").returncode == 0


# ---- the address for everybody ----
def address_of_page(server):
    host, port = re.search(r"Status and metrics at: .*http://([\d.]+):(\d+)", server.log()).groups()
    return host, int(port)


def test_the_address_shows_everything_and_takes_no_command(serve):
    server = serve(example("echo"), "--admin-bind", "127.0.0.1:0")
    admin = Admin(address_of_page(server))
    assert admin.ready() == (True, "ok")
    assert admin.status()["generation"] == 1
    assert "narwhal_ready" in admin.metrics()
    code, body, headers = admin.ask("/")
    assert code == 200 and "text/html" in headers["Content-Type"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=\"(?!data:)|https?://", body), "the page asks for something elsewhere"
    code, body, _ = admin.ask("/commands/stop", "POST")
    assert code == 403 and "control socket only" in body
    assert admin.ask("/commands/stop")[0] == 405
    server.wait_serving()


def test_a_control_socket_that_is_an_address_of_the_application(serve, tmp_path):
    with pytest.raises(StartFailed, match="control_socket: .*a.sock is a 'bind' of the applications"):
        serve(example("echo"), "-b", f"unix:{tmp_path}/a.sock", "--control-socket", f"{tmp_path}/a.sock")


def test_an_admin_address_that_is_in_use_names_its_setting(serve):
    first = serve(example("echo"))
    with pytest.raises(StartFailed, match="admin_bind: bind 127.0.0.1:.*Address already in use"):
        serve(example("echo"), "--admin-bind", f"127.0.0.1:{first.port}")


def test_a_unix_socket_is_not_an_address_for_everybody(serve, tmp_path):
    with pytest.raises(StartFailed, match="admin_bind.*control_socket"):
        serve(example("echo"), "--admin-bind", f"unix:{tmp_path}/page.sock")


# ---- commands ----
def test_reload_waits_and_says_what_serves_now(start):
    server = start(example("echo"), "-w", "2")
    result = narwhalctl(server.control, "reload")
    assert (result.returncode, result.stdout[:19]) == (0, "generation 2 serves"), result
    assert server.admin.status()["generation"] == 2
    result = narwhalctl(server.control, "--json", "reload")
    assert json.loads(result.stdout)["outcome"] == "swapped" and json.loads(result.stdout)["generation"] == 3


def test_reload_of_a_broken_plugin_fails_with_the_reason(start, tmp_path):
    plugin = tmp_path / "app.so"
    versioned(plugin, "one")
    server = start(plugin)
    not_elf(plugin)
    result = narwhalctl(server.control, "reload")
    assert result.returncode == 1
    assert re.search(r"Reload failed at step 'stage': .*app\.so.*; generation 1 continues to serve", result.stderr), result
    assert server.get().body == b"one"
    assert server.admin.metrics()['narwhal_reloads_total{outcome="refused"}'] == 1
    deploy(plugin, "two")
    assert narwhalctl(server.control, "reload").returncode == 0
    assert server.get().body == b"two"


def test_reload_that_takes_too_long_is_2_and_goes_on(start, tmp_path):
    config = f"app: {test_plugin('init_hangs')}\nboot_timeout: 4\n"
    server = start(config=f"app: {example('echo')}\n")
    server.config_path.write_text(config)
    result = narwhalctl(server.control, "reload", "--timeout", "1")
    assert result.returncode == 2 and "has not ended within 1 s: it goes on" in result.stderr, result
    server.wait_for("Reload failed at step 'boot'", timeout=20)
    server.wait_serving()


def test_reload_shows_its_progress(start):
    server = start(config=f"app: {example('echo')}\nworkers: 1\n")
    server.config_path.write_text(f"app: {test_plugin('init_hangs')}\nworkers: 2\nboot_timeout: 2\n")
    result = narwhalctl(server.control, "reload")
    assert result.returncode == 1 and "generation 2: 0 of 2 workers ready" in result.stderr, result


def test_rollback(start, tmp_path):
    plugin = tmp_path / "app.so"
    versioned(plugin, "one")
    server = start(plugin)
    result = narwhalctl(server.control, "rollback")
    assert result.returncode == 1 and "refused" in result.stderr
    deploy(plugin, "two")
    assert narwhalctl(server.control, "reload").returncode == 0
    assert server.get().body == b"two"
    result = narwhalctl(server.control, "rollback")
    assert result.returncode == 0, result
    assert server.get().body == b"one"


def test_scale(start):
    server = start(example("echo"), "-w", "1")
    assert narwhalctl(server.control, "scale", 3).returncode == 0
    server.wait_workers(3)
    assert narwhalctl(server.control, "scale", 2).returncode == 0
    server.wait_workers(2)
    assert narwhalctl(server.control, "scale", 0).returncode == 64


def test_kill_replaces_a_worker_without_losing_a_request(start):
    server = start(example("echo"), "-w", "2")
    before = server.wait_workers(2)
    with server.load(clients=4) as load:
        assert narwhalctl(server.control, "kill", before[0]).returncode == 0
        server.wait_workers(2, without=before[:1])
        load.wait_for_more(50)
    load.assert_clean(at_least=50)
    result = narwhalctl(server.control, "kill", server.pid)
    assert result.returncode == 1 and f"no worker has the pid {server.pid}" in result.stderr
    assert narwhalctl(server.control, "kill", "--quick", before[1]).returncode == 0
    server.wait_workers(2, without=before)


def test_reopen(start, tmp_path):
    log = tmp_path / "access.log"
    server = start(example("echo"), "--access-logfile", log)
    log.rename(tmp_path / "access.log.1")
    assert narwhalctl(server.control, "reopen").returncode == 0
    eventually("made again", log.exists)


def test_stop_waits_for_the_end(start):
    server = start(example("echo"), "-w", "1")
    slow = Background(server.get, "/?sleep=1", timeout=20)
    eventually("it runs", lambda: server.admin.status()["handlers"]["busy"] == 1)
    result = narwhalctl(server.control, "stop")
    assert (result.returncode, result.stdout) == (0, "stopped\n"), result
    assert slow.result().status == 200
    assert server.wait_exit() == 0


def test_while_it_stops_it_says_so(start):
    server = start(example("echo"), "-w", "1")
    slow = Background(server.get, "/?sleep=2", timeout=20)
    eventually("it runs", lambda: server.admin.status()["handlers"]["busy"] == 1)
    server.send(signal.SIGTERM)
    eventually("not ready", lambda: server.admin.ready() == (False, "the server is stopping"))
    result = narwhalctl(server.control, "reload")
    assert result.returncode == 1 and "the server is stopping" in result.stderr
    assert slow.result().status == 200
    assert server.wait_exit() == 0


def test_without_a_server(tmp_path):
    result = narwhalctl(tmp_path / "none.sock", "status")
    assert result.returncode == 3 and "start narwhal with --control-socket" in result.stderr
    result = narwhalctl(tmp_path / "none.sock", "statsu")
    assert result.returncode == 64 and "unknown command 'statsu'" in result.stderr
    assert narwhalctl(tmp_path / "none.sock").returncode == 64


def test_views(start):
    server = start(example("echo"), "-w", "2")
    server.wait_serving()
    assert "echo (narwhal " in narwhalctl(server.control, "status").stdout
    assert narwhalctl(server.control, "workers").stdout.count("serving") == 2
    assert len(json.loads(narwhalctl(server.control, "workers", "--json").stdout)) == 2
    assert "requests/s" in narwhalctl(server.control, "top", "--interval", "0.2").stdout


# ---- when something is wrong ----
def answers_at_once(server, *parts):
    """Metrics, readiness and narwhalctl within a second each (the program's own start included), and they say so."""
    limit = scaled(1)
    (is_ready, text), took = timed(server.admin.ready)
    assert not is_ready and all(part in text for part in parts) and took < limit, (text, took)
    metrics, took = timed(server.admin.metrics)
    assert metrics["narwhal_ready"] == 0 and took < limit
    result, took = timed(narwhalctl, server.control, "top", "--interval", "0.1")
    assert all(part in result.stdout for part in parts) and took < limit, (result, took)


def waiting(status):
    return status["queue"]["length"] + sum(each["waiting"] for each in status["listeners"])


def test_every_worker_stopped(start):
    server = start(example("echo"), "-w", "2", "--heartbeat-timeout", "60")
    pids = server.wait_workers(2)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually("silent", lambda: not server.admin.ready()[0])
        answers_at_once(server, "every worker is stuck (0 of 2) or silent (2)")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    eventually("ready again", lambda: server.admin.ready()[0])


def test_what_waits_for_a_handler_is_counted(start):
    server = start(example("echo"), "-w", "1", "--timeout", "60")
    slow = [Background(server.get, "/?sleep=3", timeout=90) for _ in range(3)]
    eventually("two wait, in the queue or in the kernel", lambda: waiting(server.admin.status()) == 2)
    for each in slow:
        assert each.result().status == 200


def test_every_handler_stuck(start):
    server = start(example("echo"), "-w", "2", "--timeout", "60")
    server.wait_workers(2)
    slow = [Background(server.get, "/stuck?sleep=20", timeout=90) for _ in range(4)]
    # The others wait in a queue, in the kernel, or on the way from one worker to the other, where nobody counts them.
    eventually("each handler is busy", lambda: server.admin.status()["handlers"]["busy"] == 2)
    eventually("stuck", lambda: not server.admin.ready()[0], timeout=15)
    answers_at_once(server, "every worker is stuck (2 of 2)")
    assert "GET /stuck?sleep=20" in narwhalctl(server.control, "workers").stdout
    for each in slow:
        each.result()


def test_a_stopped_master(start):
    server = start(example("echo"))
    server.wait_serving()
    eventually("the admin process answers", lambda: server.admin.ready()[0])
    os.kill(server.pid, signal.SIGSTOP)
    try:
        eventually("not alive", lambda: server.admin.ask("/healthz")[0] == 503, timeout=20)
        assert "has been silent" in server.admin.ask("/healthz")[1]
        assert server.admin.ready() == (True, "ok"), "its workers serve on"
        result = narwhalctl(server.control, "reload")
        assert result.returncode == 2 and "has not answered" in result.stderr, result
    finally:
        os.kill(server.pid, signal.SIGCONT)
    eventually("alive again", lambda: server.admin.ask("/healthz")[0] == 200)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_admin_process_dies_and_comes_back(start, number):
    server = start(example("echo"), "-w", "2")
    server.wait_workers(2)
    before = eventually("the admin process", lambda: admin_pid(server))
    with server.load(clients=2) as load:
        os.kill(before, number)
        server.wait_for(rf"The admin process \(pid:{before}\) was sent SIG\w+.*; it is started again")
        eventually("another one", lambda: admin_pid(server) not in (None, before))
        eventually("it answers", lambda: server.admin.ready()[0])
        load.wait_for_more(20)
    load.assert_clean(at_least=20)


def test_a_stopped_admin_process_is_replaced(start):
    server = start(example("echo"), "--heartbeat-timeout", "2")
    before = eventually("the admin process", lambda: admin_pid(server))
    eventually("it answers", lambda: server.admin.ready()[0])
    os.kill(before, signal.SIGSTOP)
    eventually("another one", lambda: admin_pid(server) not in (None, before), timeout=20)
    eventually("it answers", lambda: server.admin.ready()[0])
    server.wait_serving()


def test_the_admin_process_ends_with_the_master(start):
    server = start(example("echo"), "--graceful-timeout", "1")
    pid = eventually("the admin process", lambda: admin_pid(server))
    os.kill(server.pid, signal.SIGKILL)
    eventually("gone", lambda: not proc.alive(pid))
    server.wait_exit()


def test_many_clients_of_the_admin_process_do_not_disturb_the_service(start):
    server = start(example("echo"), "-w", "1")
    server.wait_serving()
    idle = [Admin(server.control) for _ in range(20)]
    with server.load(clients=2) as load:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert all(each.ready()[0] for each in idle)
        load.wait_for_more(20)
    load.assert_clean(at_least=20)


def test_reloads_leave_nothing_in_master_or_admin_process(start):
    server = start(example("echo"), "-w", "1")
    server.wait_workers(1)
    admin = eventually("the admin process", lambda: admin_pid(server))

    def held():
        return [(len(proc.descriptors(pid)), proc.thread_count(pid)) for pid in (server.pid, admin)]
    narwhalctl(server.control, "reload")
    server.wait_workers(1)
    before = held()
    for _ in range(20):
        assert narwhalctl(server.control, "--quiet", "reload").returncode == 0
        server.admin.status()
    server.wait_workers(1)
    eventually(f"as before: {before}", lambda: held() == before)
    assert admin_pid(server) == admin
    assert holds_for("it answers", lambda: server.admin.ready()[0], 0.2) is None


# ---- with two masters ----
def test_a_new_master_that_stops_slowly_leaves_the_control_socket_to_the_old_one(start):
    server = start(example("echo"), "-w", "1", "--graceful-timeout", "60")
    server.wait_workers(1)
    assert narwhalctl(server.control, "upgrade").returncode == 0
    new = server.admin.status()["pid"]
    worker = server.admin.status()["generations"][0]["workers"][0]["pid"]
    os.kill(worker, signal.SIGSTOP)  # so that its master waits for it
    result = narwhalctl(server.control, "stop", "--timeout", "1")
    assert result.returncode == 2 and f"the server (pid {new}) has not ended in time" in result.stderr, result
    assert {server.admin.status()["pid"] for _ in range(20)} == {server.pid}
    assert server.admin.status()["stopping"] is False
    assert narwhalctl(server.control, "reload").returncode == 0
    os.kill(worker, signal.SIGKILL)
    eventually("the new master has ended", lambda: not proc.alive(new))
    assert "The admin process" not in server.log()  # none was started again


def test_at_an_upgrade_the_control_socket_goes_over_and_back(start):
    server = start(example("echo"), "-w", "1", "--admin-bind", "127.0.0.1:0")
    old = server.pid

    def answering():
        try:
            return server.admin.status()["pid"]
        except OSError:  # the process that took the connection has ended at this moment
            return None
    assert answering() == old
    result = narwhalctl(server.control, "upgrade")
    new = answering()
    assert result.returncode == 0 and new != old and f"the new master (pid {new}) serves beside the former one" in result.stdout
    again = narwhalctl(server.control, "upgrade")
    assert again.returncode == 1 and f"refused: Parent exists. (pid:{old}" in again.stderr, again
    os.kill(new, signal.SIGTERM)
    eventually("the old one again", lambda: answering() == old)
    result = narwhalctl(server.control, "--json", "upgrade")
    new = answering()
    assert result.returncode == 0 and json.loads(result.stdout) == {"pid": new, "former": old, "finished": False}
    assert server.stop() == 0
    eventually("promoted", lambda: "Master has been promoted." in server.log())
    assert server.control.exists() and answering() == new
    assert server.get().status == 200
    assert narwhalctl(server.control, "reload").returncode == 0
    assert narwhalctl(server.control, "stop").returncode == 0
    assert not server.control.exists()
