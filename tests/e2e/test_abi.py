"""Plugins and hosts of different minor versions of the ABI: each loads the other, and does without what the other lacks. Of a
different major version: refused by name."""
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import abi_layout
from server import BINARY, BUILD, SANITIZED, run, test_plugin
from test_every_hook import ask_each_route, options

ROOT = Path(__file__).resolve().parents[2]
ABI = ROOT / "tests" / "abi"
RELEASED = ["1.0"]
TOOL = BUILD / "tools" / "narwhal-plugin"
LATE = {each: "  int (*tomorrow)(void);\n" for each in ("host", "plugin", "boot", "counters", "metrics", "loop")}
LATE.update(request="  int64_t tomorrow;\n", response="  int64_t tomorrow;\n")


def fixture(name):
    return BUILD / "tests" / "abi" / f"{name}.so"


def compile_plugin(source, include, out):
    subprocess.run([*abi_layout.compiler(), "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden",
                    "-pthread", f"-I{include}", "-o", str(out), str(source)], check=True)
    return out


# ---- plugins that were built with each released version of the headers ----
def test_each_released_version_has_a_plugin():
    assert sorted(path.name for path in ABI.iterdir() if path.is_dir()) == RELEASED


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("version", RELEASED)
def test_a_plugin_of_a_released_version_serves(serve, tmp_path, version, threads):
    data = tmp_path / "data.txt"
    data.write_text("what is sent\n")
    server = serve(fixture(f"every_hook_{version}"), "-w", "2", "--threads", threads, "--preload",
                   *options(data=data, greeting="Hej", repeat=2))
    ask_each_route(server)
    server.reload()
    ask_each_route(server)
    assert server.stop(signal.SIGTERM) == 0
    assert "every_hook: the template has forked workers" in server.log() and "every_hook: done" in server.log()


@pytest.mark.parametrize("version", RELEASED)
def test_the_tool_reads_a_plugin_of_a_released_version(version):
    done = subprocess.run([TOOL, "check", fixture(f"every_hook_{version}")], capture_output=True, text=True, check=True)
    assert f"every_hook 1.0, built for ABI {version}\n" in done.stdout and "a worker boots with it" in done.stdout


# ---- plugins whose headers end earlier ----
HOOKS = ["cancel", "drain", "worker_exit", "before_fork", "after_fork", "stuck", "template_exit"]
NEVER_HERE = {"cancel", "stuck"}  # no request is cancelled or stuck in this test


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return abi_layout.promises(ROOT / "include", tmp_path_factory.mktemp("layout"))


@pytest.mark.parametrize("last", ["handle", *HOOKS])
def test_hooks_beyond_the_end_of_the_plugins_table_are_not_called(serve, layout, last):
    table = layout.structs["narwhal_plugin"].members
    server = serve(fixture("cut"), "-w", "1", "--preload", env={"ABI_CUT": str(table[last].offset + table[last].size)})
    assert server.get(f"/?{layout.structs['narwhal_response'].size}").text == "cut"
    assert server.stop(signal.SIGTERM) == 0
    called = set(re.findall(r"(\w+) is called", server.log()))
    assert called == {hook for hook in HOOKS if table[hook].offset <= table[last].offset} - NEVER_HERE


def test_a_response_that_ends_earlier_is_read_to_its_end_only(serve, layout):
    """The byte after it cannot be read."""
    server = serve(fixture("cut"), "-w", "1")
    response = layout.structs["narwhal_response"].members
    for last in ("body_size", "release", "release_arg", "reason"):
        assert server.get(f"/?{response[last].offset + response[last].size}").text == "cut"
    assert server.get(f"/?{response['body_size'].offset}").status == 500
    server.wait_for(r"respond\(\) with a narwhal_response whose struct_size is 40: set it to sizeof\(narwhal_response\)")


def test_a_table_that_ends_before_handle_is_refused(layout):
    size = layout.structs["narwhal_plugin"].members["handle"].offset
    done = run("--check-config", fixture("cut"), env={"ABI_CUT": str(size)})
    assert done.returncode == 1 and f"its narwhal_plugin_v1 is too small ({size} bytes): was struct_size set?" in done.stderr


# ---- later versions: each struct of the living headers has a member more ----
@pytest.fixture(scope="module")
def tomorrow(tmp_path_factory):
    include = tmp_path_factory.mktemp("tomorrow") / "include"
    shutil.copytree(ROOT / "include" / "narwhal", include / "narwhal")
    for header in abi_layout.HEADERS:
        path = include / "narwhal" / header
        text = re.sub(r"^\} narwhal_(\w+);", lambda end: LATE.get(end[1], "") + end[0], path.read_text(), flags=re.MULTILINE)
        path.write_text(re.sub(r"(NARWHAL_ABI_MINOR) \d+", r"\1 77", text))
    return include


def test_a_plugin_of_a_later_version_does_without_what_this_server_lacks(serve, tomorrow, tmp_path):
    plugin = compile_plugin(ABI / "of_tomorrow.c", tomorrow, tmp_path / "of_tomorrow.so")
    server = serve(plugin, "-w", "1")
    assert server.get("/").text == "host 0, boot 0, request 0, loop 0"
    server.wait_for(r"of_tomorrow.so was built for ABI 1\.78, and this server has 1\.\d+: what came later is not there for it")
    done = subprocess.run([TOOL, "check", plugin], capture_output=True, text=True, check=True)
    assert "of_tomorrow 1, built for ABI 1.78; this narwhal has 1." in done.stdout
    assert "flags: 0x100000, which ABI 1." in done.stdout


def test_the_plugin_with_every_hook_serves_when_built_with_later_headers(serve, tomorrow, tmp_path):
    data = tmp_path / "data.txt"
    data.write_text("what is sent\n")
    plugin = compile_plugin(ROOT / "examples" / "every_hook.c", tomorrow, tmp_path / "every_hook.so")
    ask_each_route(serve(plugin, "-w", "1", *options(data=data, greeting="Hej", repeat=2)))


def test_a_host_of_a_later_version_serves_plugins_of_today_and_of_released_ones(tomorrow, tmp_path):
    """The host is the harness, compiled from the later headers."""
    drive = tmp_path / "drive"
    objects = []
    for compiler, source in ((abi_layout.compiler(), ABI / "drive.c"),
                             (["c++", "-std=c++20"], tomorrow / "narwhal" / "testing" / "c_face.cpp")):
        objects.append(tmp_path / f"{source.stem}.o")
        subprocess.run([*compiler, "-c", f"-I{tomorrow}", "-o", str(objects[-1]), str(source)], check=True)
    subprocess.run(["c++", "-pthread", "-o", str(drive), *map(str, objects)], check=True)

    def answers(plugin, *targets):
        return subprocess.run([drive, plugin, *targets], capture_output=True, text=True, check=True).stdout

    plugin = compile_plugin(ABI / "of_tomorrow.c", tomorrow, tmp_path / "of_tomorrow.so")
    assert answers(plugin, "/") == "200 host 1, boot 1, request 1, loop 1\n"
    if SANITIZED:
        return  # the others are built with a sanitizer, and this host has no runtime of it
    for old in [BUILD / "examples" / "every_hook.so", *(fixture(f"every_hook_{version}") for version in RELEASED)]:
        assert answers(old, "/cgi?REQUEST_METHOD", "/stream", "/fail").startswith("200 GET\n200 part\npart\npart\nlast\n\n503 ")


# ---- another major version ----
WRONG_MAJOR = (r"wrong_major\.so: a plugin for version 2 of the plugin ABI \(narwhal_plugin_v2\), but this narwhal has version 1 "
               r"\(narwhal_plugin_v1\): build the plugin again with this narwhal's headers, or run a narwhal that has its version")


@pytest.mark.parametrize("command", [[BINARY, "-b", "127.0.0.1:0"], [BINARY, "--check-config"], [BINARY, "--debug", "-b", "127.0.0.1:0"],
                                     [TOOL, "check"], [TOOL, "inspect"], [TOOL, "call"]], ids=lambda command: " ".join(map(str, command[1:])))
def test_a_plugin_of_another_major_version_is_refused_by_name(command):
    target = ["/"] if command[-1] == "call" else []
    done = subprocess.run([*map(str, command), str(test_plugin("wrong_major")), *target], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and re.search(WRONG_MAJOR, done.stderr), done.stderr
