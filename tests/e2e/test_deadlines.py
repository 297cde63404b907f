"""A handler that is slow, stuck or crashing: its client gets an error, the log names the request, others notice nothing."""
import json
import re
import signal
import time

import pytest

import proc
from clock import SCALE, eventually, scaled
from load import Background
from server import example, test_plugin
from wire import Truncated, WireError, request_bytes


def holder(server, wire):
    """The pid of the worker that holds a connection."""
    port = wire.sock.getsockname()[1]

    def find():
        inodes = {inode for local, remote, _, inode in proc.tcp_table() if local == server.port and remote == port}
        for pid in server.worker_pids():
            if proc.socket_inodes(pid) & inodes:
                return pid
        return None
    return eventually("the connection accepted", find)


# ---- past the deadline ----
def test_a_request_past_timeout_gets_504_and_the_log_names_it(serve):
    server = serve(example("echo"), "-w", "2", "--threads", "4", "--timeout", "1", "--graceful-timeout", "10")
    before = server.wait_workers(2)
    with server.load(clients=6) as load:
        load.wait_for_more(50)
        with server.connect(timeout=30) as wire:
            began = time.monotonic()
            wire.send(request_bytes("/stuck?sleep=30", method="PUT"))
            stuck = holder(server, wire)
            response = wire.response("PUT")
            assert response.status == 504 and 0.9 < time.monotonic() - began < scaled(6)
        replaced = server.wait_workers(2, without=[stuck], timeout=30)
        load.wait_for_more(50)
    load.assert_clean(100)
    assert (set(before) - {stuck}) <= set(replaced)
    line = server.wait_for(r"\[(ERROR|CRITICAL)\].*PUT /stuck\?sleep=30.*")[0]
    assert re.search(r"\d(\.\d+)? ?s", line), f"no age: {line}"
    server.wait_for(r"echo\.so")  # the backtrace shows the plugin's frame
    server.wait_for(r"0x[0-9a-f]+|#\d+ ")


def test_other_requests_of_a_stuck_worker_finish(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "4", "--timeout", "3", "--graceful-timeout", "20")
    server.wait_workers(1)
    stuck = Background(server.get, "/?sleep=60", timeout=40)
    time.sleep(2.0 * SCALE)
    others = [Background(server.get, "/?sleep=2&size=4", timeout=40) for _ in range(3)]  # in progress when the worker gets stuck
    assert stuck.result().status == 504
    assert [other.result().body for other in others] == [b"xxxx"] * 3


def test_with_one_thread_a_stuck_handler_gets_504_and_queued_requests_an_answer(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--timeout", "1", "--graceful-timeout", "5")
    server.wait_workers(1)
    stuck = Background(server.get, "/?sleep=60", timeout=40)
    time.sleep(0.3)
    queued = [Background(server.get, f"/?size={number + 1}", timeout=40) for number in range(4)]
    assert stuck.result().status == 504
    for request in queued:
        assert request.result().status in (200, 503, 504)
    assert server.get("/", timeout=30).status == 200


def test_requests_queued_after_a_stuck_handler_get_503_when_a_reload_ends_their_worker(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--timeout", "1", "--graceful-timeout", "3")
    server.wait_workers(1)
    stuck = Background(server.get, "/?sleep=60", timeout=40)
    time.sleep(0.3)
    queued = [Background(server.get, "/", timeout=40) for _ in range(4)]
    time.sleep(0.3)
    server.reload()
    assert stuck.result().status == 504
    assert {request.result().status for request in queued} == {503}


# ---- waiting for the client does not count ----
def test_a_handler_that_writes_to_a_slow_reader_is_not_past_its_deadline(serve):
    server = serve(example("echo"), "-w", "1", "--timeout", "1")
    before = server.wait_workers(1)
    with server.connect(receive_buffer=16384, timeout=60) as wire:
        wire.send(request_bytes("/?size=8000000&write=1"))
        end = time.monotonic() + scaled(3)
        while time.monotonic() < end:
            wire.buffer += wire.sock.recv(16384)
            time.sleep(0.03)
        assert len(wire.buffer) < 8_000_000, "it was not slow enough"
        assert len(wire.response().body) == 8_000_000
    assert server.worker_pids() == before


def test_a_handler_that_reads_from_a_slow_sender_is_not_past_its_deadline(serve):
    server = serve(example("echo-stream"), "-w", "1", "--timeout", "1")
    before = server.wait_workers(1)
    with server.connect(timeout=60) as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "12")]))
        for _ in range(12):
            assert wire.quiet_for(0.25 * SCALE)
            wire.send(b"a")
        assert json.loads(wire.response().body)["body_len"] == 12
    assert server.worker_pids() == before


def test_a_sender_that_falls_silent_frees_the_handler_that_reads_from_it(serve):
    server = serve(example("echo-stream"), "-w", "1", "--body-timeout", "1")
    before = server.wait_workers(1)
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "12")], body=b"a"))
        assert server.get("/", timeout=15).status == 200  # by the only handler there is
    assert server.worker_pids() == before


def test_a_late_answer_never_reaches_the_next_request(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "2", "--timeout", "1", "--graceful-timeout", "10")
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/late?sleep=1.5&size=100") + request_bytes("/next?size=7"))
        assert wire.response().status == 504
        try:
            after = wire.response(timeout=10)
            assert after.status in (200, 503) and b"x" * 100 not in after.body
            if after.status == 200:
                assert after.body == b"xxxxxxx"
        except Truncated as end:
            assert end.got == 0 or end.reset


def test_a_response_that_has_begun_is_cut_off_at_the_deadline(serve):
    server = serve(test_plugin("slow"), "-w", "1", "--threads", "2", "--timeout", "1", "--graceful-timeout", "10")
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/?begin=1&ms=30000"))
        with pytest.raises(Truncated) as end:
            wire.response()
        assert end.value.partial.status == 200 and end.value.got <= len("half")
    assert server.get("/").status == 200


def test_the_stack_of_a_stuck_handler_is_in_the_log_before_its_worker_ends(serve):
    server = serve(test_plugin("slow"), "-w", "1", "--threads", "2", "--timeout", "1", "--graceful-timeout", "10")
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/?deaf=1700&ms=30000"))  # its thread takes the signal that asks for it late
        assert wire.response().status == 504
    server.wait_for("exits although 1 handler")
    assert re.search(r"Stack of the thread that handles GET /\?deaf=1700&ms=30000\n.*0x[0-9a-f]+", server.log())


def test_timeout_0_means_none(serve):
    server = serve(example("echo"), "-w", "1", "--timeout", "0")
    assert server.get("/?sleep=1.5&size=2").body == b"xx"


# ---- of one route ----
def test_a_route_has_its_own_timeout(serve):
    echo, deferred = example("echo"), test_plugin("defers")
    server = serve(config=f"""workers: 1
threads: 4
timeout: 60
routes:
  - {{prefix: /, app: {echo}}}
  - {{prefix: /short, app: {echo}, timeout: 1}}
  - {{prefix: /none, app: {echo}, timeout: 0}}
  - {{prefix: /deferred, app: {deferred}, timeout: 1}}
""")
    server.wait_workers(1)
    others = [Background(server.get, f"{prefix}/?sleep=3&size=2", timeout=40) for prefix in ("", "/none")]
    began = time.monotonic()
    assert server.get("/deferred/?never=1", timeout=30).status == 504
    assert server.get("/short/?sleep=30", timeout=30).status == 504
    assert time.monotonic() - began < scaled(12)
    assert [other.result().body for other in others] == [b"xx", b"xx"]


def test_a_reload_changes_the_timeout_of_a_route(serve):
    config = "workers: 1\ntimeout: 60\nroutes: [{{prefix: /, app: {app}, timeout: {limit}}}]\n"
    server = serve(config=config.format(app=example("echo"), limit=0))
    assert server.get("/?sleep=1.5&size=2").body == b"xx"
    server.config_path.write_text(config.format(app=example("echo"), limit=1))
    server.reload()
    assert server.get("/?sleep=30", timeout=30).status == 504


# ---- past the soft deadline ----
def test_a_request_past_soft_timeout_is_logged_once_with_its_stack_and_goes_on(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "2", "--soft-timeout", "1")
    before = server.wait_workers(1)
    assert server.get("/slow?sleep=3&size=2", timeout=30).body == b"xx"
    lines = [line for line in server.log().splitlines() if "Slow request" in line]
    assert len(lines) == 1
    assert re.search(rf"\[WARNING\] Slow request \(pid:{before[0]}\): GET /slow\?sleep=3&size=2 \(route /\) is still in "
                     r"\S*echo\.so after 1\.\d s \(soft_timeout 1 s\)", lines[0])
    assert re.search(r"\[WARNING\] Stack of the thread that handles GET /slow\?sleep=3&size=2\n(.*\n)*?.*echo\.so", server.log())
    assert "WORKER TIMEOUT" not in server.log() and "CRITICAL" not in server.log()
    assert server.worker_pids() == before


def test_requests_past_soft_timeout_are_named_one_a_second_and_the_others_are_counted(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "20", "--soft-timeout", "1")
    server.wait_workers(1)
    flood = [Background(server.get, f"/{number}?sleep=3&size=2", timeout=40) for number in range(20)]
    assert [request.result().body for request in flood] == [b"xx"] * 20
    server.wait_for(r"\[WARNING\] Slow requests \(pid:\d+\): \d+ more within a second")
    named = len(re.findall("Slow request ", server.log()))
    counted = sum(int(count) for count in re.findall(r"Slow requests .*: (\d+) more", server.log()))
    assert 1 <= named <= 4 and named + counted == 20


def test_a_route_has_its_own_soft_timeout(serve):
    echo = example("echo")
    server = serve(config=f"workers: 1\nroutes: [{{prefix: /, app: {echo}}}, {{prefix: /a, app: {echo}, soft_timeout: 1}}]\n")
    assert server.get("/?sleep=2&size=2").body == b"xx" and server.get("/a/?sleep=2&size=2").body == b"xx"
    assert re.findall(r"Slow request .* \(route (.*?)\)", server.log()) == ["/a"]


def test_a_slow_python_application_logs_its_python_stack_and_goes_on(serve, tmp_path):
    (tmp_path / "lazy.py").write_text("""import time
def dreams():
    time.sleep(3)
def app(environ, start_response):
    dreams()
    start_response("200 OK", [])
    return [b"rested"]
""")
    server = serve("lazy:app", "-w", "1", "--chdir", tmp_path, "--soft-timeout", "1")
    before = server.wait_workers(1)
    assert server.get("/", timeout=30).text == "rested"
    server.wait_for(r"\[WARNING\] Slow request .*lazy:app")
    server.wait_for(r"\[WARNING\] Python stacks, with GET / past soft_timeout\n(.*\n)*?.*lazy\.py.*dreams")
    assert server.worker_pids() == before and "CRITICAL" not in server.log()


# ---- slow among quick ----
def test_quick_requests_do_not_wait_for_a_slow_one_beside_them(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "2")
    server.wait_serving()
    slow = Background(lambda: [server.get("/?sleep=1").status for _ in range(3)])
    with server.load(clients=2, pause=0.01) as load:
        slow.result()
    load.assert_clean(50)
    assert load.percentile(0.99) < scaled(0.25)


def test_connections_avoid_a_worker_whose_only_handler_is_busy(serve):
    server = serve(example("echo"), "-w", "4", "--threads", "1", "--timeout", "60")
    server.wait_workers(4)
    server.wait_serving()
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/?sleep=10"))
        holder(server, wire)
        time.sleep(0.2)
        with server.load(clients=50, keep_alive=False, pause=0.1) as load:
            load.wait_for_more(600)
        load.assert_clean(600)
        assert max(load.latencies) < scaled(3), "a request waited for the slow handler"
        # Kept-alive connections that are made while it is busy go to other workers too.
        wires = [server.connect() for _ in range(30)]
        try:
            assert all(other.ask("/", ).elapsed < scaled(3) for other in wires)
        finally:
            for other in wires:
                other.close()
        assert wire.quiet_for(0.01)


def test_the_busy_worker_still_drains(serve):
    """TERM while its only handler sleeps: idle connections end, the sleeper's answer arrives, then it leaves."""
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--graceful-timeout", "30")
    idle = server.connect()
    idle.ask("/")
    request = Background(server.get, "/?sleep=3&size=2", timeout=30)
    time.sleep(0.5)
    server.send(signal.SIGTERM)
    assert idle.end(timeout=2.5) == "eof" or request.done
    assert not request.done
    assert request.result().body == b"xx"
    assert server.wait_exit() == 0
    idle.close()


# ---- crashes ----
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_crash_names_request_and_plugin_and_the_rest_serves(serve, threads):
    server = serve(example("echo"), "-w", "2", "--threads", threads)
    before = server.wait_workers(2)
    mark = server.mark()
    with server.connect() as wire:
        wire.send(request_bytes("/die?crash=1", method="DELETE"))
        with pytest.raises((WireError, OSError)):
            wire.response("DELETE")
    server.wait_for(r"DELETE /die\?crash=1", after=mark)
    server.wait_for(r"SIG(SEGV|ABRT)", after=mark)
    server.wait_for(r"echo", after=mark)
    with server.load(clients=4, keep_alive=False) as load:
        load.wait_for_more(50)
    load.assert_clean(50)
    server.wait_workers(2)
    assert len(set(before) & set(server.worker_pids())) == 1
    for text in server.log()[mark:].splitlines():
        assert "\x00" not in text and "\x1b" not in text


def test_a_crash_in_one_worker_cannot_forge_log_lines(serve):
    server = serve(example("echo"), "-w", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/%0a%0d[forged]?crash=1&" + "a" * 3000))
        with pytest.raises((WireError, OSError)):
            wire.response()
    server.wait_for(r"SIG(SEGV|ABRT)")
    assert not re.search(r"^\[forged\]", server.log(), re.MULTILINE)
    assert max(map(len, server.log().splitlines())) < 4000
