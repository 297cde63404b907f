"""narwhal-plugin(7): each command of the page is run, and shows what the page says."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import wire
from clock import eventually
from manual_commands import Typed, commands, literal_blocks, typed
from server import ROOT, SANITIZED

PAGE = "narwhal-plugin.7"
SOURCE = ROOT / "tests" / "plugins" / "crashes.c"
NAME = f"shop{os.getpid()}"  # in place of "shop": no other test has a worker of this title
TRIED = set()
pytestmark = pytest.mark.skipif(SANITIZED, reason="debuggers and sanitizers of plugins need an ordinary build")


def shown(*parts):
    """The one command of the page that has all of these parts."""
    found = [command for command in commands(PAGE) if all(part in command for part in parts)]
    assert len(found) == 1, f"{parts}: {found}"
    TRIED.add(found[0])
    return found[0].replace("shop", NAME)


BUILD_CXX, BUILD_C, SERVE = shown("c++ ", "hello.cpp"), shown("cc ", "hello.c"), shown("--reload")
GDB_RUN, GDB_BREAK = shown("gdb -ex run"), shown("gdb ", "break ")
VALGRIND = shown("valgrind")
ASAN_BUILD, ASAN_RUN = shown("cc ", "-fsanitize=address"), shown("libasan")
TSAN_BUILD, TSAN_OPTIONS = shown("cc ", "-fsanitize=thread"), shown("export TSAN_OPTIONS")
TSAN_RUN, TSAN_FIXED = shown("LD_PRELOAD", "libtsan.so) narwhal"), shown("setarch")
COREDUMPCTL, CORE = shown("coredumpctl"), shown("solib-search-path")
SLOW, GDB_ATTACH, STRACE = shown("--soft-timeout"), shown("gdb -p"), shown("strace")


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {' '.join(missing)}")


def line_of(what):
    lines = SOURCE.read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if f"line: {what} " in line)


@pytest.fixture
def folder(tmp_path):
    """A folder with the plugin's source."""
    shutil.copyfile(SOURCE, tmp_path / f"{NAME}.c")
    return tmp_path


@pytest.fixture
def plugin(folder):
    """The same with the plugin, built as the page says."""
    typed(BUILD_C.replace("hello", NAME), folder)
    return folder


def get(address, target="/"):
    return wire.fetch(address, target, timeout=60)


def give_up_on(address, target):
    with pytest.raises((wire.WireError, OSError)):
        get(address, target)


def test_the_page_has_no_other_command():
    assert set(commands(PAGE)) == TRIED


# ---- writing a plugin ----
def test_the_smallest_plugins_are_built_and_served_and_loaded_again(tmp_path):
    for block in literal_blocks(PAGE):
        if match := re.match(r"(?:// |/\* )(hello\.\w+)", block):
            (tmp_path / match[1]).write_text(block)
    typed(BUILD_CXX, tmp_path, 120)
    with Typed(SERVE, tmp_path) as server:
        address, pid = server.serving()
        assert get(address).text == "Hello, world!\n"
        typed(BUILD_C, tmp_path)
        server.wait_for(r"Generation \d+ is ready .*: retiring generation 1")  # it may have been seen half written
        assert get(address).text == "Hello, world!\n"
        os.kill(pid, signal.SIGTERM)
        assert server.wait_exit() == 0


def test_the_plugin_with_extensions_is_built_and_counts(tmp_path):
    (source,) = [block for block in literal_blocks(PAGE) if block.startswith("// counting.cpp\n")]
    (tmp_path / "counting.cpp").write_text(source)
    typed(BUILD_CXX.replace("hello", "counting").replace("-O2", "-O0 -Wall -Wextra -Werror"), tmp_path, 120)
    with Typed("narwhal --workers 2 ./counting.so", tmp_path) as server:
        address, _ = server.serving()
        assert [get(address).text for _ in range(3)] == ["visitor 1\n", "visitor 2\n", "visitor 3\n"]


# ---- when it crashes ----
@needs("addr2line")
def test_the_log_ends_with_the_command_that_the_page_shows(plugin):
    sample = next(block for block in literal_blocks(PAGE) if "died of SIGSEGV" in block)
    with Typed(f"narwhal ./{NAME}.so", plugin) as server:
        address, _ = server.serving()
        give_up_on(address, "/null")
        line = server.wait_for(rf"^addr2line -Cfipe {plugin}/{NAME}\.so( 0x[0-9a-f]+){{2}}$")[0]
        assert f"write_to_null at {plugin}/{NAME}.c:{line_of('write')}" in typed(line, plugin)
    shape = r"\[[-0-9]+ [:0-9]+ \+0000\] \[\d+\] \[CRITICAL\] Worker died of SIGSEGV while handling GET \S+\n" \
            r"(\S+\(\S*\+0x[0-9a-f]+\)\[0x[0-9a-f]+\]\n)+(addr2line -Cfipe \S+( 0x[0-9a-f]+)+\n)+"
    assert re.fullmatch(shape, sample) and re.search(shape, server.output())


@needs("gdb")
def test_gdb_shows_the_stack_of_a_crash(plugin):
    with Typed(GDB_RUN, plugin) as gdb:
        address, _ = gdb.serving()
        give_up_on(address, "/null")
        gdb.wait_for(rf"^#0 .*write_to_null .*{NAME}\.c:{line_of('write')}$")
        gdb.wait_for(rf"^#1 .*handle (.*\n)?.*{NAME}\.c:{line_of('handle')}$")


@needs("gdb")
def test_gdb_stops_at_a_breakpoint_of_the_plugin(plugin):
    with Typed(GDB_BREAK, plugin) as gdb:
        address, _ = gdb.serving()
        give_up_on(address, "/")  # gdb has no terminal here, and ends
        gdb.wait_for(rf"Breakpoint 1, handle \((.*\n)?.*at {NAME}\.c:\d+$")


@needs("valgrind")
def test_valgrind_reports_what_the_plugin_has_lost_and_nothing_of_the_server(plugin):
    with Typed(VALGRIND, plugin) as server:
        address, pid = server.serving()
        for _ in range(3):
            assert get(address, "/leak").text == "ok"
        assert get(address, "/overrun").text == "ok"
        os.kill(pid, signal.SIGINT)
        assert server.wait_exit() == 0
        text = server.output()
    assert "crashes: worker_exit" in text
    assert re.search(rf"Invalid write of size 1\n.*overrun \({NAME}\.c:{line_of('overrun')}\)", text), text
    assert re.search(rf"definitely lost.*\n.*malloc.*\n.*leak \({NAME}\.c:{line_of('leak')}\)", text), text
    assert "definitely lost: 12,963 bytes in 3 blocks" in text, text
    assert "ERROR SUMMARY: 2 errors from 2 contexts" in text, text


@needs("cc")
def test_address_sanitizer_reports_an_overrun_and_a_leak(folder):
    typed(ASAN_BUILD, folder)
    with Typed(ASAN_RUN, folder) as server:
        address, pid = server.serving()
        for _ in range(3):
            assert get(address, "/leak").text == "ok"
        os.kill(pid, signal.SIGINT)
        assert server.wait_exit() != 0
        text = server.output()
        assert re.search(rf"leak of 12963 byte\(s\) in 3 object.*\n(.*\n)?.* in leak .*{NAME}\.c:{line_of('leak')}", text), text
        assert "SUMMARY: AddressSanitizer: 12963 byte(s) leaked in 3 allocation(s)." in text, text
    with Typed(ASAN_RUN, folder) as server:
        address, _ = server.serving()
        give_up_on(address, "/overrun")
        server.wait_for(rf"heap-buffer-overflow .*\n(.*\n)*.*#0 .* in overrun .*{NAME}\.c:{line_of('overrun')}")


@needs("cc")
def test_thread_sanitizer_reports_a_race_and_nothing_else(folder):
    typed(TSAN_BUILD, folder)
    command = TSAN_RUN
    with Typed(f"{TSAN_OPTIONS}\n{command}", folder) as server:
        eventually("ready, or not possible", lambda: re.search("is ready|unexpected memory", server.output()), 60)
        needs_setarch = "unexpected memory mapping" in server.output()
    with Typed(f"{TSAN_OPTIONS}\n{TSAN_FIXED if needs_setarch else command}", folder) as server:
        address, pid = server.serving()
        wires = [wire.Wire(address, 60) for _ in range(2)]
        for each in wires:
            each.send(wire.request_bytes("/race"))
        for each in wires:
            assert each.response().text == "ok"
            each.close()
        server.wait_for(rf"WARNING: ThreadSanitizer: data race.*\n(.*\n)*.*#0 race .*{NAME}\.c:{line_of('race')}")
        os.kill(pid, signal.SIGINT)
        server.wait_exit()
        text = server.output()
    reports = re.findall(r"SUMMARY: ThreadSanitizer: (.*)", text)
    assert reports and all(" in race" in report for report in reports), reports


@needs("setarch")
def test_without_address_randomisation_it_serves_too(plugin):
    command = TSAN_FIXED.replace("LD_PRELOAD=$(cc -print-file-name=libtsan.so) ", "")
    with Typed(command, plugin) as server:
        address, _ = server.serving()
        assert get(address).text == "ok"


@needs("coredumpctl")
def test_coredumpctl_knows_the_command_of_the_page():
    done = subprocess.run(["coredumpctl", "--help"], capture_output=True, text=True, check=True)
    assert COREDUMPCTL.split()[1] in done.stdout


@needs("gdb")
@pytest.mark.skipif(not re.fullmatch(r"core\n?", Path("/proc/sys/kernel/core_pattern").read_text()),
                    reason="core files do not go to the working directory")
def test_gdb_finds_the_plugin_of_a_core_file_after_the_servers_end(plugin):
    with Typed(f"narwhal ./{NAME}.so", plugin, core_bytes=1) as server:
        address, pid = server.serving()
        give_up_on(address, "/null")
        core = eventually("a core file", lambda: next(iter(plugin.glob("core*")), None), 30)
        server.wait_for(r"Booting worker with pid: (.*\n)*.*Booting worker")
        os.kill(pid, signal.SIGTERM)
        assert server.wait_exit() == 0
    text = typed(CORE.replace(" core", f" {core.name}"), plugin)
    assert re.search(rf"write_to_null .*{NAME}\.c:{line_of('write')}", text), text


# ---- when it hangs ----
@needs("addr2line")
def test_soft_timeout_shows_where_a_request_is(plugin):
    with Typed(SLOW.replace("--soft-timeout 2", "--soft-timeout 1"), plugin) as server:
        address, _ = server.serving()
        assert get(address, "/slow").text == "ok"
        line = server.wait_for(rf"^addr2line -Cfipe {plugin}/{NAME}\.so .*$")[0]
        assert f"wait_long at {plugin}/{NAME}.c:{line_of('wait')}" in typed(line, plugin)


def hanging(server, folder):
    """The connection of a request that hangs in its handler."""
    address, _ = server.serving()
    client = wire.Wire(address, 60)
    client.send(wire.request_bytes("/hang"))
    eventually("in its handler", (folder / "hangs").exists, 20)
    return client


@needs("gdb", "pgrep")
def test_gdb_shows_all_threads_of_a_worker_which_then_goes_on(plugin):
    with Typed(f"narwhal ./{NAME}.so", plugin) as server:
        client = hanging(server, plugin)
        text = typed(GDB_ATTACH, plugin, 90)
        assert re.search(rf"^#\d+ .*hang .*{NAME}\.c:\d+$", text, re.MULTILINE), text
        (plugin / "go").touch()
        assert client.response().text == "ok"


@needs("strace", "pgrep")
def test_strace_shows_the_system_calls_of_all_threads_and_the_worker_goes_on(plugin):
    with Typed(f"narwhal ./{NAME}.so", plugin) as server:
        client = hanging(server, plugin)
        with Typed(f"exec {STRACE}", plugin) as strace:
            strace.wait_for(r'access\("go"')
            strace.process.send_signal(signal.SIGINT)
            strace.wait_exit()
        (plugin / "go").touch()
        assert client.response().text == "ok"
