"""The first boot: exit codes that say what is wrong, and back-off when workers die early later."""
import os
import re
import signal
import time

import pytest

import proc
from clock import eventually, scaled
from plugin_files import not_elf, other_architecture, truncated, versioned
from server import example, run, test_plugin


def boot(*args, timeout=20):
    return run("-b", "127.0.0.1:0", "--boot-timeout", "2", *args, timeout=timeout)


def test_a_missing_app_exits_4(tmp_path):
    done = boot(tmp_path / "gone.so")
    assert done.returncode == 4, done.stderr
    assert "gone.so" in done.stderr and "App failed to load" in done.stderr


@pytest.mark.parametrize("plugin", ["no_symbol", "undefined_symbol"])
def test_an_app_that_cannot_be_loaded_exits_4(plugin):
    done = boot(test_plugin(plugin))
    assert done.returncode == 4, done.stderr
    assert plugin in done.stderr


@pytest.mark.parametrize("ruin", [truncated, other_architecture, not_elf])
def test_a_file_that_is_not_a_plugin_exits_4(tmp_path, ruin):
    app = versioned(tmp_path / "app.so", "v1")
    ruin(app)
    done = boot(app)
    assert done.returncode == 4, done.stderr
    assert "app.so" in done.stderr


@pytest.mark.parametrize("plugin", ["init_fails", "init_crashes", "init_hangs", "init_exits"])
@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_worker_that_cannot_boot_exits_3(plugin, workers):
    done = boot(test_plugin(plugin), "-w", workers)
    assert done.returncode == 3, done.stderr
    assert "Worker failed to boot" in done.stderr
    assert "Shutting down: Master" in done.stderr


def test_a_port_that_is_taken_exits_1(serve):
    server = serve(example("echo"))
    done = run("-b", f"127.0.0.1:{server.port}", example("echo"))
    assert done.returncode == 1
    assert str(server.port) in done.stderr and re.search("in use", done.stderr)
    assert server.get("/").status == 200


def test_a_bad_flag_exits_2():
    done = run("--no-such-flag", example("echo"))
    assert done.returncode == 2 and "no-such-flag" in done.stderr


def test_no_app_exits_with_advice():
    done = run("-b", "127.0.0.1:0")
    assert done.returncode in (1, 2) and done.stderr.strip()


def test_a_bad_config_exits_1(tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text("workers: many\n")
    done = run("-c", config, example("echo"))
    assert done.returncode == 1 and re.search(r"narwhal\.yaml:1:\d+", done.stderr)


def test_nothing_remains_after_a_failed_boot(serve, tmp_path):
    pidfile = tmp_path / "narwhal.pid"
    server = serve(test_plugin("init_fails"), "-w", "3", "--pid", pidfile, wait=False)
    assert server.wait_exit() == 3
    eventually("no process left", lambda: not proc.session_members(server.pid), 5)
    assert not pidfile.exists()


def test_a_plugin_built_for_a_later_minor_version_loads(serve):
    assert serve(test_plugin("future_minor")).get("/").status == 200


def test_a_plugin_that_starts_a_thread_while_it_is_loaded_serves_or_is_refused_with_reason(serve):
    """A thread made in the template does not survive the fork: the log must say so, in either case."""
    server = serve(test_plugin("thread_in_constructor"), wait=False)
    eventually("an outcome", lambda: server.process.poll() is not None or server.workers(), 20)
    server.wait_for(r"\[(WARNING|ERROR|CRITICAL)\].*thread")
    if server.process.poll() is not None:
        server.expected_exit = (3, 4)


# ---- workers that die early, again and again ----
def test_workers_that_die_young_are_replaced_ever_more_slowly(serve):
    """The plugin dies_later dies soon after it was ready."""
    server = serve(test_plugin("dies_later"), "-w", "1", "--probation", "0")
    end = time.monotonic() + scaled(6)
    pids = set()
    while time.monotonic() < end:
        pids |= set(server.worker_pids())
        time.sleep(0.01)
    assert server.process.poll() is None, "the master must not end"
    assert 2 <= len(pids) <= 12, f"{len(pids)} workers in 6 s is {'a hot loop' if len(pids) > 12 else 'giving up'}"
    assert proc.cpu_seconds(server.pid) < scaled(2)
    assert re.search(r"(?i)(again|back.?off|wait|retry|in \d)", server.log()), "nothing says that it backs off"


def test_a_worker_that_cannot_come_back_leaves_the_others_serving(serve, tmp_path):
    """The plugin's init fails as soon as a file exists: the first boot is fine, replacements are not."""
    flag = tmp_path / "broken"
    server = serve(test_plugin("init_fails"), "-w", "2", env={"NARWHAL_TEST_INIT_FAILS_IF": str(flag)}, wait=True)
    before = server.wait_workers(2)
    flag.write_text("")
    os.kill(before[0], signal.SIGKILL)
    with server.load(clients=4, keep_alive=False) as load:
        server.wait_for(r"(?i)(fail|boot)", after=server.mark(), timeout=20)
        load.wait_for_more(100)
    assert len(load.failures) <= 1, load.reasons()
    assert server.process.poll() is None
    flag.unlink()
    server.wait_workers(2, without=before[:1], timeout=60)
