"""When the event loop hangs, the log names the hook that it hangs in, not a request that runs on another thread."""
import contextlib
import os
import re
import signal

import pytest

from load import Background
from server import SANITIZED, THREAD_SANITIZED, test_plugin
from wire import WireError, request_bytes

ABORTED = "Worker died of SIGABRT"
HUNG = rf"\[CRITICAL\] {ABORTED}: its event loop hung for [1-9]\d* s"
PLUGIN = r"/\S*hangs\.so"


def start(serve, *args, **options):
    routes = f"app: {test_plugin('hangs')}\noptions: {{{', '.join(f'{name}: {value}' for name, value in options.items())}}}\n"
    server = serve("-w", "1", "--threads", "4", "--heartbeat-timeout", "1", *args, config=routes)
    server.wait_workers(1)
    return server


def send(server, target):
    """A request whose answer does not matter; its worker may end first."""
    def ask():
        try:
            return server.get(target, timeout=60)
        except (WireError, OSError):
            return None
    return Background(ask)


def sleep_beside(server):
    """On the main thread, which gets the signals of the process: it is the first to run a handler."""
    mark = server.mark()
    request = send(server, "/sleep?ms=60000")
    server.wait_for("sleeps$", after=mark)
    return request


def stack_after(server, line):
    """What follows the line, when it is complete."""
    frames = rf"{line}\n((?:(?:/|\[0x|addr2line ).*\n)+)\[20"
    return server.wait_for(frames, timeout=20)[1]


def hung_in(server, hook):
    stack = stack_after(server, rf"{HUNG} in {re.escape(hook)} of {PLUGIN}$")
    assert SANITIZED or "hangs.so(hang+0x" in stack, stack
    assert "sleep" not in stack
    assert server.log().count(ABORTED) == 1 and "while handling" not in server.log()


# ---- hooks ----
@pytest.mark.parametrize("target, hook", [("/post", "a posted call"), ("/timer", "a timer")])
def test_a_call_that_a_plugin_has_asked_for(serve, target, hook):
    server = start(serve)
    worker, = server.wait_workers(1)
    sleep_beside(server)
    send(server, target)
    server.wait_for(rf"WORKER TIMEOUT \(pid:{worker}\)")
    hung_in(server, hook)
    server.wait_workers(1, without=[worker])
    assert server.get("/sleep").text == "ok"


@pytest.mark.parametrize("threads", [1, 4])
def test_drain(serve, threads):
    server = start(serve, "--threads", str(threads))
    assert server.get("/drain").text == "ok"
    sleep_beside(server)
    server.reload()
    hung_in(server, "drain()")


def test_cancel(serve):
    server = start(serve)
    sleep_beside(server)
    with server.connect() as wire:
        wire.send(request_bytes("/defer"))
        server.wait_for("deferred$")
    hung_in(server, "cancel()")


def test_writable(serve):
    server = start(serve)
    sleep_beside(server)
    with server.connect(receive_buffer=16384) as wire:
        wire.send(request_bytes("/room"))
        server.wait_for("deferred$")
        with contextlib.suppress(OSError):
            while wire.sock.recv(1 << 20):
                pass
    hung_in(server, "writable()")


@pytest.mark.parametrize("flag, hook", [("--soft-timeout", "slow()"), ("--timeout", "stuck()")])
def test_the_hooks_for_a_late_request(serve, flag, hook):
    server = start(serve, flag, "1", limits="true")
    sleep_beside(server)
    hung_in(server, hook)


def test_worker_exit(serve):
    server = start(serve)
    assert server.get("/exit").text == "ok"
    server.reload()
    stack = stack_after(server, rf"\[CRITICAL\] {ABORTED} in worker_exit\(\) of {PLUGIN}$")
    assert SANITIZED or "hangs.so(hang+0x" in stack, stack


def test_a_hook_that_takes_no_signals_is_named_without_a_stack(serve):
    server = start(serve)
    sleep_beside(server)
    assert server.get("/deaf").text == "ok"
    server.reload()
    server.wait_for(rf"{HUNG} in drain\(\) of {PLUGIN}; there is no stack: the thread that it hangs on takes no signals$\n\[20",
                    timeout=20)


def test_a_hook_that_crashes_is_named_too(serve):
    server = start(serve)
    sleep_beside(server)
    assert server.get("/crash").text == "ok"
    server.reload()
    stack = stack_after(server, rf"\[CRITICAL\] Worker died of SIGSEGV in drain\(\) of {PLUGIN}$")
    assert SANITIZED or "hangs.so(drain+0x" in stack, stack


def test_a_hook_that_calls_exit_is_named_with_the_requests_that_it_has_ended(serve):
    server = start(serve)
    worker, = server.wait_workers(1)
    sleep_beside(server)
    assert server.get("/leave").text == "ok"
    server.reload()
    stack_after(server, rf"\[CRITICAL\] Worker was ended by a call of exit\(0\) in drain\(\) of {PLUGIN}$")
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) exited with code 1\.$")
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) .* was running: GET /sleep")


# ---- no hook ----
@pytest.mark.skipif(THREAD_SANITIZED, reason="ThreadSanitizer blocks other signals while a handler runs")
def test_a_loop_that_hangs_in_no_hook(serve):
    server = start(serve)
    send(server, "/loop")
    stack = stack_after(server, rf"{HUNG}$")
    assert SANITIZED or "hangs.so(hang+0x" in stack, stack


INLINE = """routes:
  - {{prefix: /, app: {plugin}}}
  - {{prefix: /handler, app: {plugin}, options: {{inline: true}}}}
"""


def with_inline_route(serve, *args):
    config = INLINE.format(plugin=test_plugin("hangs"))
    return serve("-w", "1", "--threads", "4", "--heartbeat-timeout", "1", *args, config=config)


def test_an_inline_handler_that_hangs_is_the_request_itself(serve):
    server = with_inline_route(serve)
    server.wait_workers(1)
    sleep_beside(server)
    send(server, "/handler")
    stack = stack_after(server, rf"\[CRITICAL\] {ABORTED} while handling GET /handler$")
    assert SANITIZED or "hangs.so(hang+0x" in stack, stack
    assert "GET /sleep" not in re.sub(r".* was running: .*", "", server.log()), "only the master's list has both"


def test_a_signal_from_somebody_else_shows_the_thread_that_has_got_it(serve):
    server = start(serve)
    worker, = server.wait_workers(1)
    sleep_beside(server)
    os.kill(worker, signal.SIGABRT)
    server.wait_for(rf"{ABORTED} while handling GET /sleep\?ms=60000$")


# ---- which request is counted as poison ----
def test_a_request_beside_a_hook_that_hangs_is_not_suspected(serve):
    server = start(serve, "--poison-limit", "1")
    worker, = server.wait_workers(1)
    sleep_beside(server)
    send(server, "/post")
    server.wait_workers(1, without=[worker])
    assert server.get("/sleep").text == "ok"
    assert "Poison breaker" not in server.log()


def test_a_request_beside_an_inline_handler_that_hangs_is_not_suspected(serve):
    server = with_inline_route(serve, "--poison-limit", "1")
    worker, = server.wait_workers(1)
    sleep_beside(server)
    send(server, "/handler")
    server.wait_for("Poison breaker: GET /handler was running in 1 workers", timeout=20)
    server.wait_workers(1, without=[worker])
    assert server.get("/handler").status == 503 and server.get("/sleep").text == "ok"


def test_a_request_past_its_timeout_is_suspected_although_the_hook_for_it_hangs(serve):
    server = start(serve, "--timeout", "1", "--poison-limit", "1", limits="true")
    sleep_beside(server)
    server.wait_for("Poison breaker: GET /sleep was running in 1 workers", timeout=20)
