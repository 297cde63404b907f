"""The stack of a crash or of a slow handler names functions, and ends with commands that name lines of the source."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from clock import eventually
from server import ROOT, SANITIZED, example, test_plugin
from wire import WireError

SOURCE = ROOT / "tests" / "plugins" / "crashes.c"
FRAME = r"(?P<file>/[^\n(]*)\((?P<function>[^)+]*)\+0x[0-9a-f]+\)\[0x[0-9a-f]+\]"
needs_addr2line = pytest.mark.skipif(shutil.which("addr2line") is None, reason="no addr2line")


def line_of(what):
    """The number of the source's line with that comment."""
    return 1 + next(number for number, line in enumerate(SOURCE.read_text().splitlines()) if f"line: {what} " in line)


def stack_of(server, begins, after=0):
    """The lines of the stack that follows the first line that begins so, when they are complete."""
    def complete():
        lines = server.log()[after:].splitlines()
        at = next((number for number, line in enumerate(lines) if re.search(begins, line)), None)
        if at is None:
            return None
        stack = []
        for line in lines[at + 1:]:
            if not line.startswith(("/", "[0x", "addr2line ")):
                return stack
            stack.append(line)
        return None
    return eventually(f"a stack after {begins!r}", complete, 15)


def crash(server, target, name="SIGSEGV"):
    with pytest.raises((WireError, OSError)):
        server.get(target)
    server.wait_workers(1, timeout=30)
    return stack_of(server, rf"Worker died of {name} while handling GET {target}$")


def commands_of(stack):
    return [line for line in stack if line.startswith("addr2line ")]


def output_of(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.fixture
def plugin(tmp_path):
    return Path(shutil.copyfile(test_plugin("crashes"), tmp_path / "it's a shop.so"))


# ---- a crash ----
@needs_addr2line
def test_a_crash_names_the_hidden_functions_and_its_command_the_lines_of_the_source(serve, plugin):
    server = serve(plugin, "-w", "1")
    stack = crash(server, "/null")
    first, second = (re.fullmatch(FRAME, line) for line in stack[:2])
    assert (first["file"], first["function"]) == (str(plugin), "write_to_null"), stack
    assert (second["file"], second["function"]) == (str(plugin), "handle"), stack
    commands = commands_of(stack)
    assert stack[-len(commands):] == commands, "the commands are the end of the stack"
    assert len(commands) == len({command.split(" 0x")[0] for command in commands}) >= 2, "one for each object"
    lines = output_of(commands[0]).splitlines()
    assert len(lines) == 2, "of the plugin first, and all of its frames"
    assert re.search(rf"write_to_null at .*crashes\.c:{line_of('write')}\b", lines[0]), lines
    assert re.search(rf"handle at .*crashes\.c:{line_of('handle')}\b", lines[1]), lines


@needs_addr2line
def test_a_call_of_a_null_pointer_shows_its_caller(serve, plugin):
    server = serve(plugin, "-w", "1")
    stack = crash(server, "/call")
    assert stack[0] == "[0x0]"
    assert re.fullmatch(FRAME, stack[1])["function"] == "call_null"
    assert re.search(rf"call_null at .*crashes\.c:{line_of('call')}\b", output_of(commands_of(stack)[0]))


@needs_addr2line
def test_of_an_abort_the_command_of_the_plugin_is_first_although_its_frame_is_not(serve, plugin):
    server = serve(plugin, "-w", "1")
    stack = crash(server, "/abort", "SIGABRT")
    assert str(plugin) not in stack[0]
    assert "handle at " in output_of(commands_of(stack)[0])


def test_a_source_that_was_replaced_or_deleted_is_not_taken_for_what_ran(serve, plugin):
    server = serve(plugin, "-w", "1")
    shutil.copyfile(example("hello_c"), plugin)
    for change in (lambda: shutil.copyfile(example("hello_c"), plugin), plugin.unlink):
        change()
        mark = server.mark()
        with pytest.raises((WireError, OSError)):
            server.get("/null")
        command = commands_of(stack_of(server, "Worker died of SIGSEGV", mark))[0]
        assert command.endswith(f"  # {plugin} has changed since"), command
        assert "addr2line -Cfipe /" not in command and "/narwhal-" in command, "the copy, in quotes"
        if shutil.which("addr2line"):
            assert "write_to_null at " in output_of(command)
        server.wait_workers(1, timeout=30)


def test_a_stripped_plugin_has_frames_without_names(serve, plugin):
    if shutil.which("strip") is None:
        pytest.skip("no strip")
    subprocess.run(["strip", "-s", plugin], check=True)
    stack = crash(serve(plugin, "-w", "1"), "/null")
    first = re.fullmatch(FRAME, stack[0])
    assert (first["file"], first["function"]) == (str(plugin), "")
    assert commands_of(stack)


def test_a_crash_that_another_process_has_sent_shows_where_the_thread_was(serve, plugin):
    server = serve(plugin, "-w", "1")
    worker, = server.wait_workers(1)
    os.kill(worker, signal.SIGSEGV)
    stack = stack_of(server, "Worker died of SIGSEGV outside of a handler")
    assert re.search(r"libc\.so|ld-|epoll", stack[0]), "the handler's own frames are left out"
    assert all("crashes" not in line for line in commands_of(stack))


# ---- code that ends the process without a crash ----
def test_a_handler_that_calls_exit_is_named_with_its_request_and_stack(serve, plugin):
    server = serve(plugin, "-w", "1")
    worker, = server.wait_workers(1)
    with pytest.raises((WireError, OSError)):
        server.get("/exit")
    stack = stack_of(server, r"\[CRITICAL\] Worker was ended by a call of exit\(0\) while handling GET /exit$")
    assert any(re.fullmatch(FRAME, line) and "(leave_by_exit+" in line for line in stack), stack
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) exited with code 1\.$")
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) .* was running: GET /exit")
    server.wait_workers(1, timeout=30)
    assert server.get("/").text == "ok"


def test_a_worker_that_leaves_without_a_word_is_an_error(serve, plugin):
    server = serve(plugin, "-w", "1")
    worker, = server.wait_workers(1)
    with pytest.raises((WireError, OSError)):
        server.get("/leave")
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) exited with code 0, but nobody had asked it to leave: has its code called _exit\(\)\?$")
    server.wait_for(rf"\[ERROR\] Worker \(pid:{worker}\) .* was running: GET /leave")


@pytest.mark.parametrize("mode", [[], ["--debug"]])
def test_a_child_of_a_plugin_may_call_exit(serve, plugin, mode):
    server = serve(*mode, plugin)
    assert server.get("/child").text == "ok"
    assert server.stop() == 0
    assert not re.search(r"ended by a call|nobody had asked", server.log())


def test_in_debug_mode_exit_is_named_too(serve, plugin):
    server = serve("--debug", plugin)
    with pytest.raises((WireError, OSError)):
        server.get("/exit")
    assert server.wait_exit() == 1
    server.wait_for(r"\[CRITICAL\] The process was ended by a call of exit\(0\) while handling GET /exit$")


# ---- a slow handler ----
@needs_addr2line
@pytest.mark.skipif(SANITIZED, reason="the unwinder does not pass the sanitizer's frame of nanosleep")
def test_the_stack_of_a_slow_handler_ends_with_the_same_commands_and_the_request_goes_on(serve, plugin):
    server = serve(plugin, "-w", "1", "--soft-timeout", "1")
    assert server.get("/slow", timeout=30).text == "ok"
    server.send(signal.SIGUSR1)  # its line ends the stack
    stack = stack_of(server, r"\[WARNING\] Stack of the thread that handles GET /slow$")
    assert any(re.fullmatch(FRAME, line) and "(wait_long+" in line for line in stack)
    lines = output_of(commands_of(stack)[0])
    assert re.search(rf"wait_long at .*crashes\.c:{line_of('wait')}\b", lines), lines
