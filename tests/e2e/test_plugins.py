"""What a plugin may do, and what the host does about plugins that break the rules."""
import collections
import json
import hashlib
import os
import random
import re
import signal
import time

import pytest

import proc
from clock import SCALE, eventually, scaled
from load import Background, in_parallel
from server import SANITIZED, example, run, test_plugin
from wire import Truncated, WireError, chunked, request_bytes

NOISE = random.Random(5).randbytes(1 << 20)


# ---- bodies that are read as they arrive ----
@pytest.fixture(scope="module")
def streaming(serve_module):
    return serve_module(test_plugin("stream_in"), "-w", "1", "--threads", "4", "--body-timeout", "10")


def numbers(response):
    assert response.status == 200, response
    return [int(word) for word in response.text.split()]


@pytest.mark.parametrize("size", [0, 1, 65536, 1 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_streamed_body_is_read_to_its_end(streaming, size, framing):
    body = NOISE[:size]
    with streaming.connect() as wire:
        if framing == "chunked":
            pieces = [body[at:at + 10_000] for at in range(0, size, 10_000)]
            wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                                    body=chunked(*pieces)))
        else:
            wire.send(request_bytes("/", method="POST", body=body))
        assert numbers(wire.response())[::2] == [size, sum(body)]
        assert numbers(wire.ask("/", method="POST", body=b"\1\2"))[::2] == [2, 3]


def test_a_handler_sees_a_streamed_body_while_it_comes(streaming):
    with streaming.connect() as wire:
        wire.send(request_bytes("/?most=3", method="POST", headers=[("Content-Length", "6")], body=b"\1\1\1"))
        assert numbers(wire.response())[::2] == [3, 3]  # answered before the second half was sent
        try:
            wire.send(b"\1\1\1" + request_bytes("/", method="POST", body=b"\5"))
            assert numbers(wire.response())[::2] == [1, 5]
        except (WireError, OSError) as error:
            assert not isinstance(error, Truncated) or error.got == 0  # closing instead of draining is allowed


def test_an_unread_rest_is_never_taken_for_a_request(streaming):
    smuggled = request_bytes("/smuggled")
    with streaming.connect() as wire:
        wire.send(request_bytes("/?most=1", method="POST", body=b"a" + smuggled))
        assert wire.response().status == 200
        try:
            assert wire.quiet_for(0.3) or wire.buffer == b"", bytes(wire.buffer)
        except WireError:
            pass


def test_a_slow_consumer_holds_the_client_back(streaming):
    """Backpressure: while the handler reads slowly, an upload of 64 MiB does not accumulate in the worker."""
    worker, = streaming.wait_workers(1)
    before = proc.status_field(worker, "RssAnon")
    with streaming.connect(timeout=3) as wire:
        wire.send(request_bytes("/?ms=100&piece=1000", method="POST", headers=[("Content-Length", str(64 << 20))]))
        wire.sock.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += wire.sock.send(NOISE)
        except TimeoutError:
            pass
        assert sent < 48 << 20, "the worker took it all"
        assert SANITIZED or proc.status_field(worker, "RssAnon") - before < 8 * 1024
        wire.reset()
    eventually("the connection given back", lambda: proc.connection_count(worker) == 0)


def test_many_slow_uploads_occupy_their_handlers_and_no_more(serve):
    server = serve(test_plugin("stream_in"), "-w", "1", "--threads", "2", "--body-timeout", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "10")], body=b"a"))
        assert wire.quiet_for(0.1)
        assert numbers(server.get("/", method="POST", body=b"\7"))[::2] == [1, 7]
        data = b""
        try:
            data = wire.rest(10)  # silence: 408 or an end, never an invented body
        except Truncated:
            pass
        assert data == b"" or data[9:12] in (b"408", b"500"), data


def test_echo_stream_says_the_same_as_echo(serve):
    whole, streamed = serve(example("echo")), serve(example("echo-stream"))
    body = NOISE[:300_000]
    for server in (whole, streamed):
        in_chunks = {"headers": [("Transfer-Encoding", "chunked")], "body": chunked(body[:7], body[7:])}
        for parts in ({"body": body}, in_chunks):
            answer = json.loads(server.get("/a?b=c", method="POST", **parts).body)
            assert answer["body_sha256"] == hashlib.sha256(body).hexdigest()
            assert (answer["path"], answer["query"], answer["body_len"]) == ("/a", "b=c", len(body))


def test_a_streamed_body_gets_its_continue(serve):
    server = serve(example("echo-stream"))
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Expect", "100-continue"), ("Content-Length", "5")]))
        assert wire.response(interim=True).status == 100
        wire.send(b"hello")
        assert json.loads(wire.response().body)["body"] == "hello"


def test_an_answer_without_reading_asks_for_no_body(serve):
    server = serve(example("echo-stream"))
    with server.connect() as wire:
        wire.send(request_bytes("/?noread=1", method="POST",
                                headers=[("Expect", "100-continue"), ("Content-Length", "5")]))
        assert wire.response(interim=True).status in (100, 200)


@pytest.mark.parametrize("fd", ["0", "1"])
def test_a_body_is_the_same_by_view_and_by_descriptor(serve, fd):
    server = serve(test_plugin("big_body"))
    for size, where in ((1000, "memory"), (1 << 20, "file")):
        answer = server.get(f"/?fd={fd}", method="POST", body=NOISE[:size]).text
        assert answer == f"{size} {sum(NOISE[:size])} {where}"


# ---- deferred responses ----
def test_writes_after_the_client_has_gone_all_say_gone(serve):
    server = serve(test_plugin("late_writer"), "-w", "1", "--threads", "2")
    for ending in ("close", "reset"):
        wires = [server.connect(receive_buffer=8192) for _ in range(10)]
        for wire in wires:
            wire.send(request_bytes("/"))
        for wire in wires:
            assert wire.head().status == 200
            getattr(wire, ending)()
    eventually("all streams ended", lambda: server.get("/stats").text.split()[:2] == ["20", "20"], 30)
    assert server.get("/stats").text.split()[2:] == ["0", "20"]


def test_a_deferred_stream_is_cancelled_when_its_client_goes(serve):
    server = serve(test_plugin("late_writer"), "-w", "1", "--timeout", "1")
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        wire.send(request_bytes("/"))
        assert wire.head().status == 200
        end = time.monotonic() + 2  # longer than timeout: a stream that has begun may continue
        while time.monotonic() < end:
            assert wire.chunk()
        assert server.get("/stats").text == "1 0 0 0"
    eventually("the writer knows", lambda: server.get("/stats").text == "1 1 0 1", 20)
    assert server.worker_pids() == [worker], "a deferred exchange keeps no thread: no reason to replace the worker"


def test_a_deferred_exchange_that_says_nothing_gets_504_and_is_cancelled(serve):
    server = serve(test_plugin("defers"), "-w", "1", "--timeout", "1")
    worker, = server.wait_workers(1)
    with server.connect(timeout=20) as wire:
        wire.send(request_bytes("/silent", method="PUT"))
        assert wire.response("PUT").status == 504
    server.wait_for(r"CRITICAL.*PUT /silent was deferred, and not answered, by .*defers\.so after")
    assert server.get("/stats").text == "1 1"
    assert server.worker_pids() == [worker], "no thread is stuck in it"


@pytest.mark.parametrize("way", ["half-close", "close", "reset"])
def test_a_deferred_exchange_is_cancelled_when_its_client_leaves(serve, way):
    server = serve(test_plugin("defers"), "-w", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/"))
        eventually("deferred", lambda: server.get("/stats").text == "1 0")
        {"half-close": wire.shut_down_writing, "close": wire.close, "reset": wire.reset}[way]()
        eventually("cancelled", lambda: server.get("/stats").text == "1 1")


def test_deferred_requests_of_a_worker_that_dies_are_named(serve):
    """After those that handlers run; of many, eight are named and the rest are counted. What was cancelled is not there."""
    server = serve(test_plugin("defers"), "-w", "1")
    worker, = server.wait_workers(1)
    wires = [server.connect() for _ in range(72)]
    for wire in wires[:2]:
        wire.send(request_bytes("/left"))
    eventually("deferred", lambda: server.get("/stats").text == "2 0")
    for wire in wires[:2]:
        wire.close()
    eventually("cancelled", lambda: server.get("/stats").text == "2 2")
    for number, wire in enumerate(wires[2:]):
        wire.send(request_bytes(f"/open/{number}"))
        eventually("deferred", lambda: server.get("/stats").text == f"{number + 3} 2")
    os.kill(worker, signal.SIGKILL)
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) .* was running: GET /open/0 \(route /, deferred, \d+\.\d s\); "
                    r"GET /open/1 .*; GET /open/7 \(.*\); and 62 more$")
    server.wait_workers(1)


# ---- threads ----
def test_with_one_thread_it_is_always_the_main_thread(serve):
    server = serve(test_plugin("counts"), "-w", "1", "--threads", "1")
    worker, = server.wait_workers(1)
    answers = in_parallel(4, lambda _: [numbers(server.get("/"))[:2] for _ in range(20)])
    assert {tuple(answer) for one in answers for answer in one} == {(worker, worker)}


def test_with_one_thread_it_stays_the_main_thread_when_handlers_are_slow(serve):
    """The loop moves to another thread; the application never does."""
    server = serve(config=f"routes:\n  - {{prefix: /, app: {test_plugin('counts')}}}\n"
                   f"  - {{prefix: /slow, app: {test_plugin('slow')}}}\n")
    worker, = server.wait_workers(1)

    def client(number):
        return [server.get("/slow?ms=30" if number % 2 else "/").text for _ in range(10)]
    results = in_parallel(6, client)
    for number, texts in enumerate(results):
        if number % 2 == 0:
            assert all(text.split()[:2] == [str(worker)] * 2 for text in texts), texts


def test_an_inline_handler_beside_a_slow_one_runs_on_an_initialised_thread(serve):
    """With one handler thread the thread that runs the loop runs inline handlers too."""
    server = serve(config=f"routes:\n  - {{prefix: /, app: {test_plugin('inline_state')}}}\n"
                   f"  - {{prefix: /slow, app: {test_plugin('slow')}}}\n")
    server.wait_serving()
    slow = Background(lambda: server.get(f"/slow?ms={int(2000 * SCALE)}"))
    answers = [server.get("/").text for _ in range(50)]
    assert not slow.done and set(answers) == {"initialised 2"}
    assert slow.result().status == 200


@pytest.mark.parametrize("threads,most", [(1, 1), (3, 4)])
def test_thread_init_runs_once_on_each_thread_that_may_handle(serve, threads, most):
    """With several there is one more thread than handlers may run at once: the spare one runs the loop."""
    server = serve(test_plugin("counts"), "-w", "1", "--threads", threads)
    assert threads <= numbers(server.get("/"))[3] <= most


def test_two_handlers_run_at_once_and_not_three(serve):
    server = serve(test_plugin("slow"), "-w", "1", "--threads", "2")
    server.wait_serving()
    answers = in_parallel(4, lambda _: numbers(server.get(f"/?ms={int(500 * SCALE)}")))
    running = [begun - done + 1 for begun, done in answers]
    assert max(running) <= 2, answers


# ---- instances, options, hooks ----
def test_each_mount_has_its_own_instance_and_options(serve):
    app = test_plugin("two_mounts")
    server = serve(config=f"routes:\n  - {{prefix: /a, app: {app}, options: {{say: one}}}}\n"
                   f"  - {{prefix: /b, app: {app}}}\n")
    assert server.get("/a").text == "/a one 1"
    assert server.get("/b").text == "/b hello 1"
    assert server.get("/a").text == "/a one 2"


@pytest.mark.parametrize("options,words", [("sey: x", "say"), ("times: many", "times"), ("loud: 7", "loud"),
                                           ("volume: high", "volume")])
def test_a_wrong_option_is_an_error_before_any_code_runs(tmp_path, options, words):
    config = tmp_path / "narwhal.yaml"
    config.write_text(f"routes:\n  - prefix: /\n    app: {test_plugin('two_mounts')}\n    options: {{{options}}}\n")
    done = run("--check-config", "-c", config)
    assert done.returncode == 1 and words in done.stderr and options.split(":")[0] in done.stderr
    started = run("-b", "127.0.0.1:0", "-c", config)
    assert started.returncode in (1, 4) and words in started.stderr


@pytest.mark.parametrize("written,place,reason", [
    ("routes:\n  - prefix: /\n    app: {app}\n    options:\n      sya: x\n", "5:7", "unknown option 'sya': did you mean 'say'?"),
    ("app: {app}\noptions:\n  say: x\n  loud: maybe\n", "4:3", "loud: 'maybe' is not of type bool: true or false")])
def test_a_wrong_option_is_reported_with_file_and_line(tmp_path, written, place, reason):
    app = test_plugin("two_mounts")
    (tmp_path / "narwhal.yaml").write_text(written.format(app=app))
    for args, code in ((("--check-config",), 1), (("-b", "127.0.0.1:0"), 4), (("--debug", "-b", "127.0.0.1:0"), 4)):
        done = run(*args, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert f"narwhal.yaml:{place}: options of {app}: {reason}\n" in done.stderr, done.stderr
    done = run("--check-config", app, "--option", "tims=3", cwd="/")
    assert f"--option: options of {app}: unknown option 'tims': did you mean 'times'?\n" in done.stderr, done.stderr


def test_a_missing_option_is_reported_with_the_place_where_it_belongs(tmp_path):
    app = example("upload")
    text = f"options of {app}: 'folder' is missing: where files are kept: a path (set it in the application's 'options', " \
           "or at \"/\" by --option folder=VALUE)\n"
    (tmp_path / "narwhal.yaml").write_text(f"workers: 1\napp: {app}\n")
    assert f"narwhal.yaml:2:1: {text}" in run("--check-config", cwd=tmp_path).stderr
    (tmp_path / "narwhal.yaml").write_text(f"app: {app}\noptions: {{}}\n")
    assert f"narwhal.yaml:2:1: {text}" in run("--check-config", cwd=tmp_path).stderr
    assert f"narwhal: {text}" in run("--check-config", app, cwd="/").stderr


@pytest.mark.parametrize("options", ["times: -3", "loud: true", "loud: yes", "loud: No", "loud: on", "loud: off", "volume: 1.5e3", "say: ''"])
def test_right_options_pass(tmp_path, options):
    config = tmp_path / "narwhal.yaml"
    config.write_text(f"app: {test_plugin('two_mounts')}\noptions: {{{options}}}\n")
    done = run("--check-config", "-c", config)
    assert done.returncode == 0, done.stderr


def test_preload_runs_in_the_template_only_when_asked_for(serve):
    server = serve(test_plugin("preloads"), "-w", "2", "--preload")
    workers, template = server.wait_workers(2), server.template()
    for _ in range(10):
        preloaded, booted, now, count = numbers(server.get("/"))
        assert preloaded == template and booted == now and now in workers and count == 1
    server = serve(test_plugin("preloads"))
    assert numbers(server.get("/"))[0] == 0


def test_preload_and_reload_work_together(serve):
    server = serve(test_plugin("preloads"), "--preload")
    first = server.template()
    server.reload()
    eventually("one template", lambda: server.template() != first)
    preloaded, booted, now, count = numbers(server.get("/"))
    assert preloaded == server.template() and count == 1


def test_fork_hooks_run_around_each_fork_of_a_template_that_preloaded(serve):
    server = serve(test_plugin("forks_with_hooks"), "-w", "1", "--preload")
    assert numbers(server.get("/")) == [1, 0]
    for forks in (2, 3):  # the hook after the fork before this one has run, in the template
        before = server.wait_workers(1)
        os.kill(before[0], signal.SIGKILL)
        server.wait_workers(1, without=before)
        eventually("the new worker", lambda: numbers(server.get("/")) == [forks, forks - 1])
    assert numbers(serve(test_plugin("forks_with_hooks")).get("/")) == [0, 0]


def test_template_exit_runs_after_the_last_worker_has_ended(serve):
    server = serve(test_plugin("forks_with_hooks"), "-w", "2", "--preload")
    workers = server.worker_pids()
    template = server.template()
    server.reload()
    server.wait_for(r"template_exit after 2 forks")
    assert not any(map(proc.alive, workers))
    eventually("the end of the template", lambda: not proc.alive(template))
    assert server.stop() == 0
    assert server.log().count("template_exit after 2 forks") == 2
    without = serve(test_plugin("forks_with_hooks"))
    assert without.stop() == 0 and "template_exit" not in without.log()


def test_a_template_exit_that_hangs_is_killed(serve):
    server = serve(test_plugin("forks_with_hooks"), "--preload", env={"HANG_AT_EXIT": "1"})
    template = server.template()
    server.reload()
    server.wait_for(rf"Template of generation 1 \(pid:{template}\) has not ended within 2 s of its last worker: it is killed")
    eventually("the end of the template", lambda: not proc.alive(template))
    server.wait_serving()


def test_a_thread_that_preload_leaves_is_an_error_without_fork_hooks():
    done = run("-b", "127.0.0.1:0", "--preload", test_plugin("forks"))
    assert done.returncode == 4, done.stderr
    assert "preload of " in done.stderr and "threads belong in worker_init" in done.stderr


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["worker_init", "preload"])
@pytest.mark.parametrize("text,code,last", [("broken", 3, "Worker failed to boot."), ("no app", 4, "App failed to load.")])
def test_the_exit_code_distinguishes_a_failed_set_up_from_a_missing_app(tmp_path, preload, text, code, last):
    app, config = tmp_path / "app", tmp_path / "narwhal.yaml"
    app.write_text(text)
    config.write_text(f"app: {test_plugin('watches')}\noptions: {{file: {app}}}\n")
    done = run("-b", "127.0.0.1:0", "-c", config, *preload)
    assert done.returncode == code, done.stderr
    assert f"Reason: {last}" in done.stderr and "the file" in done.stderr


# ---- plugins that disturb the server ----
def test_a_plugin_that_changes_signal_actions_can_still_be_stopped(serve):
    server = serve(test_plugin("changes_signals"), "-w", "2")
    workers = server.wait_workers(2)
    assert server.get("/").text == "ok"
    os.kill(workers[0], signal.SIGKILL)
    server.wait_workers(2, without=workers[:1])
    with server.connect(receive_buffer=8192) as wire:  # SIGPIPE is back at its default
        wire.send(request_bytes("/") * 20)
        wire.reset()
    server.reload()
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < scaled(10)


def test_a_thread_started_in_init_lives(serve):
    server = serve(test_plugin("thread_in_init"), "-w", "2")
    first = numbers(server.get("/"))[0]
    eventually("the thread goes round", lambda: numbers(server.get("/"))[0] > first + 5)


def test_a_self_check_that_says_no_fails_the_boot():
    done = run("-b", "127.0.0.1:0", test_plugin("ready_check_fails"))
    assert done.returncode == 3 and "the self-check fails on purpose" in done.stderr


def test_an_exception_out_of_init_fails_the_boot():
    done = run("-b", "127.0.0.1:0", test_plugin("init_throws"))
    assert done.returncode == 3, done.stderr


@pytest.mark.parametrize("plugin", ["constructor_crashes", "constructor_hangs"])
def test_a_constructor_that_never_returns_fails_the_load(plugin):
    done = run("-b", "127.0.0.1:0", "--boot-timeout", "1", test_plugin(plugin))
    assert done.returncode == 4 and plugin in done.stderr, done.stderr


# ---- what a plugin says of itself ----
TABLES = {
    "struct_size": "its narwhal_plugin_v1 is too small .0 bytes.: was struct_size set",
    "handle": r"it has no handle\(\)",
    "name": "it has no name: set narwhal_plugin.name",
    "empty_name": "it has no name: set narwhal_plugin.name",
    "flags": r"it sets flags that ABI 1\.\d+ does not have: 0x40",
    "type": "its option 'two' has the type 'integer': string, int, float or bool",
    "no_type": "its option 'two' has the type '': string, int, float or bool",
    "fallback": "its option 'two' has the fallback 'many', which is not of its type int",
    "twice": "its option 'one' is declared twice",
    "option_flags": r"its option 'two' has flags that ABI 1\.\d+ does not have: 0x40",
    "required": "its option 'two' is required and has the fallback '2': it can have one of the two",
}


@pytest.mark.parametrize("fault", TABLES)
def test_a_table_with_a_fault_is_refused(fault):
    done = run("--check-config", test_plugin("bad_table"), env={"BAD_TABLE": fault})
    assert done.returncode == 1 and re.search(rf"load \S*bad_table\.so: {TABLES[fault]}", done.stderr), done.stderr


def test_a_required_option_must_have_a_value(tmp_path):
    environ = {"BAD_TABLE": "no_value"}
    done = run("--check-config", test_plugin("bad_table"), env=environ)
    assert done.returncode == 1 and re.search(r"options of \S*bad_table\.so: 'one' is missing: the first of two", done.stderr), done.stderr
    settings = tmp_path / "narwhal.yaml"
    settings.write_text(f"app: {test_plugin('bad_table')}\noptions: {{one: two}}\n")
    assert run("--check-config", "-c", str(settings), env=environ).returncode == 0


def test_a_table_without_a_fault_is_taken():
    assert run("--check-config", test_plugin("bad_table")).returncode == 0


def test_what_a_plugin_prints_is_not_lost_when_its_worker_dies(serve):
    server = serve(test_plugin("prints"), "-w", "1")
    server.get("/first")
    assert server.stdout() == "printed for /first\n", "at once, not when some buffer is full"
    with pytest.raises(WireError):
        server.get("/crash")
    assert server.stdout() == "printed for /first\nprinted for /crash\n"


# ---- versions ----
def test_a_plugin_of_a_later_minor_version_loads(serve):
    assert serve(test_plugin("future_minor")).get("/").status == 200


def test_a_plugin_of_an_earlier_minor_version_loads(serve):
    assert serve(test_plugin("past_minor")).get("/").status == 200


def test_a_plugin_of_another_major_version_is_refused_by_name():
    done = run("-b", "127.0.0.1:0", test_plugin("wrong_major"))
    assert done.returncode == 4 and "wrong_major" in done.stderr and "narwhal_plugin_v1" in done.stderr
    assert "version 2" in done.stderr and "has version 1" in done.stderr


# ---- loading ----
def test_a_library_beside_the_plugin_is_found_although_a_copy_is_loaded(serve):
    server = serve(test_plugin("needs_lib/needs_lib"), "-w", "2")
    assert server.get("/").text == "good neighbours"
    server.reload()
    assert server.get("/").text == "good neighbours"


def test_the_same_app_serves_from_many_workers(serve):
    server = serve(test_plugin("counts"), "-w", "3")
    workers = server.wait_workers(3)
    seen = collections.Counter(numbers(server.get("/"))[0] for _ in range(90))
    assert set(seen) <= set(workers) and len(seen) >= 2
