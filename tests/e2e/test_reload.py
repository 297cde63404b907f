"""HUP is a transaction: the new generation serves whole, or the old one continues as if nothing had happened."""
import os
import shutil
import signal
import threading
import socket

import pytest

import proc
from clock import eventually
from load import Background, in_parallel
from plugin_files import becomes, deploy, not_elf, other_architecture, truncated, versioned
from server import SANITIZED, example
from wire import WireError, fetch, request_bytes

CONNECTIONS = pytest.mark.parametrize("keep_alive", [True, False], ids=["kept alive", "a connection each"])


@pytest.fixture
def app(tmp_path):
    return versioned(tmp_path / "app.so", "v1")


@CONNECTIONS
def test_20_reloads_with_new_code_lose_no_request(serve, app, keep_alive):
    server = serve(app, "-w", "2", "--graceful-timeout", "20")
    server.wait_workers(2)
    with server.load(clients=8, keep_alive=keep_alive) as load:
        load.wait_for_body(b"v1")
        for number in range(2, 22):
            (deploy if number % 2 else versioned)(app, f"v{number}")
            server.send(signal.SIGHUP)
            load.wait_for_body(f"v{number}".encode())
        eventually("one generation", lambda: len(server.generations()) == 1, 40)
        load.wait_for_more(50)
    load.assert_clean(500)
    assert server.get("/").text == "v21"
    assert load.last_seen[b"v20"] < max(load.last_seen.values())
    assert server.worker_pids() == server.wait_workers(2)


def test_after_a_reload_no_client_gets_the_old_code(serve, app):
    server = serve(app, "-w", "2")
    server.wait_workers(2)
    with server.load(clients=4, keep_alive=False) as load:
        load.wait_for_body(b"v1")
        deploy(app, "v2")
        server.reload()
        load.wait_for_more(8)  # answered before, and counted only now
        seen = load.bodies[b"v1"]
        load.wait_for_more(100)
        assert load.bodies[b"v1"] == seen
    load.assert_clean()


def test_hups_that_come_while_one_is_served_are_joined(serve, app):
    server = serve(app, "-w", "2")
    server.wait_workers(2)
    with server.load() as load:
        for number in range(2, 30):
            deploy(app, f"v{number}")
            server.send(signal.SIGHUP)
        load.wait_for_body(b"v29", 40)
        eventually("one generation", lambda: len(server.generations()) == 1, 40)
    load.assert_clean()
    assert server.get("/").text == "v29"


def test_an_old_connection_gets_connection_close(serve, app):
    server = serve(app, "-w", "1", "--graceful-timeout", "20")
    with server.connect() as wire:
        assert not wire.ask("/").closes
        deploy(app, "v2")
        mark = server.mark()
        server.send(signal.SIGHUP)
        # A client that sends often has a request during the drain: its end is announced, never cut.
        while not (response := wire.ask("/")).closes:
            assert response.text == "v1"
        assert wire.end() == "eof"
    assert server.get("/").text == "v2"
    server.wait_for(r"Hang up: Master", after=mark)


def test_an_old_idle_connection_is_closed_soon(serve, app):
    server = serve(app, "-w", "1", "--graceful-timeout", "30")
    old = server.wait_workers(1)
    with server.connect() as wire:
        assert not wire.ask("/").closes
        deploy(app, "v2")
        server.send(signal.SIGHUP)
        assert wire.end(timeout=15) == "eof"
    server.wait_workers(1, without=old)


def test_a_request_in_hand_outlives_the_reload(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "30")
    server.wait_workers(1)
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/?sleep=2&size=5"))
        assert wire.quiet_for(0.3)
        old = server.worker_pids()
        server.send(signal.SIGHUP)
        eventually("a new worker serving", lambda: set(server.worker_pids()) - set(old), 20)
        response = wire.response()
        assert response.body == b"xxxxx" and response.closes


def test_graceful_timeout_ends_the_old_generation(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "1", "--timeout", "60")
    old = server.wait_workers(1)
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/?sleep=30"))
        assert wire.quiet_for(0.3)
        server.send(signal.SIGHUP)
        with pytest.raises((WireError, OSError)):
            wire.response(timeout=15)
    server.wait_workers(1, without=old)


# ---- reloads that fail ----
PATIENCE = ["--boot-timeout", "2"]


def assert_old_serves_on(server, break_it, words, keep_alive=True):
    """Breaks something, reloads under load, and expects one clear line and no failed request. Then repairs nothing:
    the old code serves, and its workers are the same processes."""
    before, generations = server.wait_workers(2), server.generations()
    with server.load(clients=4, keep_alive=keep_alive) as load:
        load.wait_for_body(b"v1")
        break_it()
        mark = server.mark()
        server.send(signal.SIGHUP)
        line = server.wait_for(r"\[ERROR\] Reload failed at step '\w+': .*(" + words + ").*$", timeout=20, after=mark)
        load.wait_for_more(50)
    load.assert_clean()
    assert set(load.bodies) == {b"v1"}
    eventually("the new generation's processes gone",
               lambda: server.worker_pids() == before and server.generations() == generations, 20)
    eventually("one template", lambda: sum(t.startswith("narwhal: template") for t in server.processes().values()) == 1)
    return line[0]


BROKEN_FILES = {
    "truncated": (truncated, "app.so"),
    "of another architecture": (other_architecture, "app.so"),
    "no ELF at all": (not_elf, "app.so"),
    "missing": (os.unlink, "app.so"),
    "empty": (lambda path: path.write_bytes(b""), "app.so"),
    "without the symbol": (lambda path: becomes(path, "no_symbol"), "narwhal_plugin_v1"),
    "with an undefined symbol": (lambda path: becomes(path, "undefined_symbol"), "undefined symbol"),
    "whose init fails": (lambda path: becomes(path, "init_fails"), "init"),
    "whose init crashes": (lambda path: becomes(path, "init_crashes"), "SIGSEGV|SIGABRT|signal"),
    "whose init hangs": (lambda path: becomes(path, "init_hangs"), "boot_timeout|not ready|within"),
    "whose init exits": (lambda path: becomes(path, "init_exits"), "exit"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_plugin_that_cannot_serve_changes_nothing(serve, app, name):
    break_file, words = BROKEN_FILES[name]
    server = serve(app, "-w", "2", *PATIENCE)
    line = assert_old_serves_on(server, lambda: break_file(app), words)
    assert "app.so" in line or "init" in line, f"the line does not say what failed: {line}"
    deploy(app, "v2")
    server.reload()
    assert server.get("/").text == "v2"


CONFIG_FAULTS = {
    "a typo": ("worker_conections: 5\n", r"narwhal\.yaml:2:1.*worker_connections"),
    "a wrong type": ("workers: many\n", r"narwhal\.yaml:2:\d+"),
    "no YAML": ("workers: [1\n", r"narwhal\.yaml:\d+:\d+"),
    "a plugin that is not there": ("routes:\n  - {prefix: /x, app: ./gone.so}\n", r"gone\.so"),
}


@pytest.mark.parametrize("name", CONFIG_FAULTS)
def test_a_config_fault_changes_nothing(serve, app, name):
    text, words = CONFIG_FAULTS[name]
    server = serve(app, config="workers: 2\n")
    fault = (lambda: server.config_path.write_text("# edited\n" + text))
    assert_old_serves_on(server, fault, words)
    server.config_path.write_text("workers: 1\n")
    deploy(app, "v2")
    server.reload()
    assert server.get("/").text == "v2" and len(server.wait_workers(1)) == 1


def test_a_bind_that_is_taken_changes_nothing(serve, app):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = serve(app, config="bind: ['127.0.0.1:0']\nworkers: 2\n", bind=None)
        port = taken.getsockname()[1]
        assert_old_serves_on(server, lambda: server.config_path.write_text(
            f"bind: ['127.0.0.1:0', '127.0.0.1:{port}']\nworkers: 2\n"), f"{port}.*(in use|Address)")


def test_a_failed_reload_does_not_end_the_server(serve, app):
    server = serve(app, "-w", "1", *PATIENCE)
    server.wait_workers(1)
    becomes(app, "init_fails")
    for _ in range(3):
        mark = server.mark()
        server.send(signal.SIGHUP)
        server.wait_for(r"\[(ERROR|CRITICAL)\]", timeout=20, after=mark)
    assert server.process.poll() is None and server.get("/").text == "v1"


def test_one_failed_worker_of_many_discards_the_generation(serve, app):
    """A generation is whole or absent: if one worker fails, workers that were ready leave with it."""
    server = serve(app, "-w", "4", *PATIENCE)
    before = server.wait_workers(4)
    becomes(app, "init_crashes")
    mark = server.mark()
    server.send(signal.SIGHUP)
    server.wait_for(r"Worker died of SIG\w+ in worker_init\(\) of \S+app\.so$", timeout=20, after=mark)
    server.wait_for(r"\[ERROR\]", timeout=20, after=mark)
    eventually("only the old ones", lambda: server.worker_pids() == before, 20)
    assert server.get("/").text == "v1"


# ---- the file changes without a reload ----
@pytest.mark.parametrize("how", ["overwritten in place", "replaced by rename", "deleted", "overwritten with rubbish"])
def test_a_changed_file_means_nothing_until_hup(serve, app, tmp_path, how):
    server = serve(app, "-w", "2")
    before = server.wait_workers(2)
    with server.load(clients=4) as load:
        load.wait_for_body(b"v1")
        if how == "overwritten in place":
            inode = app.stat().st_ino
            shutil.copyfile(versioned(tmp_path / "other.so", "v2"), app)
            assert app.stat().st_ino == inode
        elif how == "replaced by rename":
            deploy(app, "v2")
        elif how == "deleted":
            app.unlink()
        else:
            app.write_bytes(os.urandom(app.stat().st_size))
        load.wait_for_more(50)
    load.assert_clean()
    assert set(load.bodies) == {b"v1"}
    os.kill(before[0], signal.SIGKILL)
    os.kill(before[1], signal.SIGKILL)
    server.wait_workers(2, without=before)
    for _ in range(10):
        assert server.get("/").text == "v1"
    deploy(app, "v3")
    server.reload()
    assert server.get("/").text == "v3"


def test_the_same_file_may_be_reloaded(serve, app):
    server = serve(app, "-w", "1")
    server.wait_workers(1)
    assert server.generations() == [1]
    server.reload()
    assert server.generations() == [2] and server.get("/").text == "v1"


# ---- what a reload changes ----
def test_a_reload_changes_the_number_of_workers_both_ways(serve, app):
    server = serve(app, config="workers: 1\n")
    server.wait_workers(1)
    with server.load(clients=4) as load:
        for count in (4, 2, 1):
            server.config_path.write_text(f"workers: {count}\n")
            server.reload()
            server.wait_workers(count)
            load.wait_for_more(20)
    load.assert_clean()


def test_a_reload_adds_and_drops_addresses_and_keeps_the_others(serve, app, tmp_path):
    path = tmp_path / "extra.sock"
    server = serve(app, config="bind: ['127.0.0.1:0']\n", bind=None)
    port = server.port
    with server.load(clients=4, keep_alive=False) as load:
        load.wait_for_more(20)
        server.config_path.write_text(f"bind: ['127.0.0.1:0', 'unix:{path}']\n")
        server.reload()
        assert fetch(str(path)).text == "v1"
        assert server.get("/").text == "v1"
        server.config_path.write_text("bind: ['127.0.0.1:0']\n")
        server.reload()
        with pytest.raises(OSError):
            fetch(str(path))
        load.wait_for_more(20)
    load.assert_clean()
    assert server.port == port and not path.exists()


def test_a_reload_reads_routes_and_options_again(serve, app, tmp_path):
    other = versioned(tmp_path / "other.so", "other")
    server = serve(config=f"routes:\n  - {{prefix: /, app: {app}}}\n")
    assert server.get("/x/").text == "v1"
    server.config_path.write_text(f"routes:\n  - {{prefix: /, app: {app}}}\n  - {{prefix: /x, app: {other}}}\n")
    server.reload()
    assert server.get("/x/").text == "other" and server.get("/").text == "v1"


# ---- crash loops after a reload ----
def test_a_generation_that_crash_loops_in_probation_is_rolled_back(serve, app):
    server = serve(app, "-w", "2", "--probation", "20")
    server.wait_workers(2)
    becomes(app, "dies_later")
    mark = server.mark()
    server.send(signal.SIGHUP)
    server.wait_for(r"(?i)roll", timeout=40, after=mark)
    eventually("the first code", lambda: answers(server) == "v1", 40)
    with server.load(clients=2) as load:
        load.wait_for_more(50)
    load.assert_clean()


def answers(server):
    try:
        return server.get("/", timeout=3).text
    except Exception:  # while it crash-loops, requests may fail
        return None


# ---- the master's own resources ----
def test_20_reloads_leave_the_master_as_it_was(serve, app):
    server = serve(app, "-w", "2")
    server.wait_workers(2)

    def reload_once(number):
        deploy(app, f"v{number}")
        server.reload()
        eventually("the old template gone", lambda: len(server.processes()) == settled, 20)

    settled, descriptors = len(server.processes()), len(proc.descriptors(server.pid))
    for number in range(3):  # the first reload may allocate memory permanently
        reload_once(number)
    before = footprint(server.pid)
    for number in range(20):
        reload_once(number)
    # The last old workers leave when their last connections close.
    eventually("no descriptor more than at the start", lambda: len(proc.descriptors(server.pid)) <= descriptors, 40)
    after = footprint(server.pid)
    assert after["threads"] == before["threads"] and (SANITIZED or after["threads"] == 1)
    assert SANITIZED or after["mappings"] == before["mappings"]
    assert SANITIZED or after["rss"] <= before["rss"] + 256 * 1024
    assert not [line for line in proc.maps(server.pid) if "app" in line], "the master maps plugin code"


def footprint(pid):
    return {"threads": proc.thread_count(pid), "mappings": len(proc.maps(pid)), "rss": proc.rollup(pid, "Rss")}


def test_staged_copies_do_not_pile_up(serve, app, tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    server = serve(app, "-w", "1", "--stage-dir", stage)
    server.wait_workers(1)

    def files():
        return [name for _, _, names in os.walk(stage) for name in names if name.endswith(".so")]

    for number in range(6):
        deploy(app, f"v{number}")
        server.reload()
    eventually(f"few copies: {files()}", lambda: len(files()) <= 3, 10)


def test_a_reload_says_what_it_cannot_change(serve, app, tmp_path):
    (tmp_path / "other").mkdir()
    server = serve(app, config=f"pidfile: {tmp_path}/a.pid\n")
    server.config_path.write_text(f"pidfile: {tmp_path}/b.pid\nthreads: 3\nstage_dir: {tmp_path}/other\n")
    mark = server.mark()
    server.reload()
    server.wait_for(r"\[WARNING\].*stage_dir", after=mark)
    assert (tmp_path / "b.pid").exists() and not (tmp_path / "a.pid").exists()  # as Gunicorn does
    assert server.get("/").text == "v1"


def test_a_reload_changes_time_limits(serve):
    server = serve(example("echo"), config="timeout: 60\nkeepalive: 60\n")
    server.config_path.write_text("timeout: 1\nkeepalive: 0\n")
    server.reload()
    assert server.get("/?sleep=10").status == 504
    with server.connect() as wire:
        assert wire.ask("/").closes


def test_clients_that_pipeline_lose_nothing_unannounced(serve, app):
    """Each sends four requests at a time. Requests after an answer that announces the end were never begun."""
    server = serve(app, "-w", "2", "--graceful-timeout", "20")
    server.wait_workers(2)
    stop = threading.Event()

    def client(_):
        wire, answered = None, 0
        while not stop.is_set():
            wire = wire or server.connect()
            wire.send(request_bytes("/") * 4)
            for _ in range(4):
                response = wire.response()
                assert response.status == 200
                answered += 1
                if response.closes:
                    wire.close()
                    wire = None
                    break
        return answered

    clients = Background(in_parallel, 6, client)
    try:
        for number in range(2, 8):
            deploy(app, f"v{number}")
            server.reload()
    finally:
        stop.set()
    counts = clients.result()
    assert all(isinstance(count, int) and count > 50 for count in counts), counts
