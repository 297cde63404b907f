"""Hooks of a gunicorn.conf.py that belong to the master: which run, in what order, and that nothing they do harms the
service."""
import os
import re
import signal
import textwrap
import time

import pytest

import proc
from clock import eventually
from saying import SAY
from server import example, run


@pytest.fixture
def hooked(serve, tmp_path):
    """hooked(text, *flags): a server with a gunicorn.conf.py that may say()."""
    def start(text, *flags, **named):
        write(tmp_path, text)
        return serve(example("echo"), *flags, **named)
    return start


def write(folder, text):
    (folder / "gunicorn.conf.py").write_text(SAY + textwrap.dedent(text))


ALL = """
    import socket
    def is_bound(server):
        with socket.socket() as probe:
            return probe.connect_ex(server.LISTENERS[0].getsockname()) == 0
    def nworkers_changed(server, new, old): say("nworkers_changed", new, old, server.num_workers)
    def on_starting(server): say("on_starting", server.pid == os.getppid(), os.path.exists("pid"))
    def when_ready(server): say("when_ready", is_bound(server))
    def on_reload(server): say("on_reload", server.cfg.timeout)
    def pre_fork(server, worker): say("pre_fork", worker.age, worker.pid)
    def child_exit(server, worker): say("child_exit", worker.age, worker.pid)
    def on_exit(server): say("on_exit", sorted(server.WORKERS))
    """


def is_hook_process(pid):
    return proc.title(pid).rstrip("\0") == "narwhal: hooks [gunicorn.conf.py]"


def names(lines):
    return [line.split()[0] for line in lines]


def test_the_masters_hooks_run_once_each_in_gunicorns_order(hooked, said):
    server = hooked(ALL, "-w", 2, "-p", "pid")
    first = server.worker_pids()
    eventually("both pre_fork", lambda: names(said()).count("pre_fork") == 2)
    assert said()[:3] == ["nworkers_changed 2 None 2", "on_starting True True", "when_ready True"]
    assert sorted(said()[3:]) == ["pre_fork 1 [booting]", "pre_fork 2 [booting]"]
    server.send(signal.SIGTTIN)
    server.wait_workers(3)
    eventually("the third pre_fork", lambda: said()[5:] == ["nworkers_changed 3 2 3", "pre_fork 3 [booting]"])
    server.send(signal.SIGTTOU)
    left, = {*first, *server.worker_pids()} - set(server.wait_workers(2))
    eventually("a child_exit", lambda: said()[7:] == ["nworkers_changed 2 3 2", said()[-1]] and "child_exit" in said()[-1])
    assert int(said()[-1].split()[2]) == left
    last = set(server.worker_pids())
    assert server.stop() == 0
    ends = said()[9:]
    assert names(ends) == ["child_exit", "child_exit", "on_exit"] and ends[-1] == "on_exit []"
    assert {int(line.split()[2]) for line in ends[:-1]} == last
    assert "ignored" not in server.log()


def test_a_reload_runs_the_hooks_of_the_changed_file(hooked, said, tmp_path):
    server = hooked(ALL, "-w", 1)
    old, = server.worker_pids()
    write(tmp_path, ALL.replace('say("', 'say("new-') + "timeout = 77\n    workers = 1\n")
    server.reload()
    new, = server.worker_pids()
    eventually("the end of the old worker", lambda: f"child_exit 1 {old}" in said())
    assert server.stop() == 0
    assert [line for line in said() if line.startswith("new-")] == [
        "new-nworkers_changed 1 1 1", "new-on_reload 77", "new-pre_fork 2 [booting]", f"new-child_exit 2 {new}", "new-on_exit []"]
    assert "on_exit []" not in said()


def test_a_reload_that_fails_leaves_the_hooks_as_they_were(hooked, said, tmp_path):
    server = hooked(ALL)
    worker, = server.worker_pids()
    write(tmp_path, "def child_exit(server): pass\n")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step 'config': gunicorn\.conf\.py:5: child_exit: child_exit must have an arity of: 2")
    assert server.stop() == 0
    assert said()[-2:] == [f"child_exit 1 {worker}", "on_exit []"]


def test_child_exit_runs_for_a_worker_that_was_killed(hooked, said):
    server = hooked(ALL)
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    server.wait_workers(1, without=[worker])
    eventually("child_exit", lambda: said().count(f"child_exit 1 {worker}") == 1)


HOOKS = ["on_starting(server)", "when_ready(server)", "pre_fork(server, worker)", "child_exit(server, worker)",
         "nworkers_changed(server, new, old)", "on_reload(server)", "on_exit(server)"]
FAULTS = {"raises": "raise KeyError('by the hook')", "ends": "os._exit(7)", "leaves": "raise SystemExit(7)",
          "hangs": "import time; time.sleep(600)", "is killed": "os.kill(os.getpid(), 9)",
          "forks": "pid = os.fork(); say('parent' if pid else 'child')",
          "signals": "os.kill(os.getpid(), 15); os.kill(os.getpid(), 2)"}
MESSAGES = {"raises": r"Exception in {0} hook\nTraceback(.*\n)+KeyError: 'by the hook'",
            "ends": r"Hook {0} of gunicorn\.conf\.py: its process exited with code 7; the server goes on",
            "leaves": r"Exception in {0} hook\nTraceback(.*\n)+SystemExit: 7",
            "hangs": r"Hook {0} of gunicorn\.conf\.py has not returned within boot_timeout \(1 s\): its process is ended",
            "is killed": r"Hook {0} of gunicorn\.conf\.py: its process was sent SIGKILL"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_fails_is_a_line_in_the_log(hooked, said, hook, fault):
    """The service starts, reloads, replaces workers and stops whatever a hook does; later hooks run."""
    name = hook.split("(")[0]
    others = "".join(f"def {each}: say('{each.split('(')[0]}')\n" for each in HOOKS if each != hook)
    server = hooked(others + f"def {hook}:\n    say('{name}')\n    {FAULTS[fault]}\n", "--boot-timeout",
                    1 if fault == "hangs" else 20)
    server.wait_serving()
    old = server.worker_pids()
    server.reload()
    server.wait_serving()
    server.send(signal.SIGTTIN)
    server.wait_workers(2)
    eventually("child_exit of the old worker", lambda: "child_exit" in said(), timeout=20)
    assert server.stop(timeout=30) == 0
    assert said().count("on_reload") == 1 and said().count("on_exit") == 1 and said().count("on_starting") == 1
    if fault in MESSAGES:
        assert re.search(MESSAGES[fault].format(name), server.log()), server.log()
    if fault == "forks":
        eventually("what the children say", lambda: said().count("child") == said().count("parent") > 0)
    assert old and "Traceback" not in server.log() or fault in ("raises", "leaves")


def test_a_hook_may_use_what_gunicorn_gives(hooked, said):
    server = hooked("""
        def on_starting(server):
            server.log.info("%s listens at %s", server.proc_name, server.address)
            say(server.cfg.workers, server.cfg.timeout, server.cfg.max_requests, server.cfg.accesslog, server.worker_class)
            say(server.SIG_QUEUE, server.SIG_QUEUE, hasattr(server, "made_up"))
        def child_exit(server, worker):
            say(worker, worker.alive, worker.nr, worker.ppid == server.pid, worker.pid in server.WORKERS)
        """, "-w", 2, "--max-requests", 1000, "-n", "shop")
    assert re.search(r"\[INFO\] shop listens at \[\('127\.0\.0\.1', \d+\)\]$", server.log(), re.MULTILINE)
    assert server.log().count("narwhal does not have 'server.SIG_QUEUE': it is None") == 1
    assert said() == ["2 30 1000 None sync", "None None False"]
    worker = server.worker_pids()[0]
    os.kill(worker, signal.SIGKILL)
    eventually("child_exit", lambda: said()[2:] == [f"<Worker {worker}> False 0 True False"])


def test_hooks_see_the_directory_the_environment_and_the_modules_of_the_application(hooked, tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "of_the_app.py").write_text("name = 'found'\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "of_the_path.py").write_text("name = 'found too'\n")
    hooked("""
        raw_env = ["WHO=me=you"]
        def on_starting(server):
            import of_the_app, of_the_path
            with open("seen", "w") as file:
                print(of_the_app.name, of_the_path.name, os.environ["WHO"], server.cfg.raw_env, server.cfg.env, file=file)
        """, "--chdir", "web", "--pythonpath", "../lib")
    seen = (tmp_path / "web" / "seen").read_text()
    assert seen == "found found too me=you ['WHO=me=you'] {'WHO': 'me=you'}\n"


def test_a_thread_of_the_file_may_log_and_costs_the_master_nothing(hooked):
    server = hooked("""
        def when_ready(server):
            import threading, time
            def tick():
                for number in range(3):
                    time.sleep(0.2)
                    server.log.info("tick %d", number)
            threading.Thread(target=tick).start()
        """)
    server.wait_for("tick 2")
    before = proc.cpu_seconds(server.pid)
    time.sleep(0.5)
    assert proc.cpu_seconds(server.pid) - before < 0.2


def test_server_methods_reach_the_master(hooked, said):
    server = hooked("""
        def when_ready(server):
            say("ready")
        def child_exit(server, worker):
            say("dead")
            server.stop()
        """)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    assert server.wait_exit() == 0
    assert said()[:2] == ["ready", "dead"]


def test_signals_to_the_whole_group_do_not_end_the_hooks(hooked, said):
    server = hooked(ALL)
    os.killpg(server.pid, signal.SIGTERM)
    assert server.wait_exit() == 0
    assert said()[-1] == "on_exit []"


@pytest.mark.parametrize("hook", ["on_starting", "when_ready"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_a_hook_of_the_start(hooked, said, hook, number):
    server = hooked(f"def {hook}(server):\n    say('here')\n    import time; time.sleep(600)\n", wait=False)
    eventually(hook, lambda: said() == ["here"])
    server.send(number)
    assert server.wait_exit(timeout=8) == 0
    assert "The start was interrupted while a hook was running: its process is ended" in server.log()


def test_no_process_is_kept_for_a_file_without_hooks_of_the_master(hooked):
    server = hooked("workers = 1\n")
    server.wait_serving()
    assert not [pid for pid in server.processes() if "narwhal" not in proc.title(pid) or is_hook_process(pid)]


def test_one_process_is_kept_through_reloads(hooked, said):
    server = hooked(ALL, "--probation", 0)
    for _ in range(3):
        server.reload()
    eventually("one Python", lambda: len([pid for pid in server.processes() if is_hook_process(pid)]) == 1)


def hook_process(server):
    return eventually("the process for hooks", lambda: [pid for pid in server.processes() if is_hook_process(pid)])[0]


def test_a_process_that_is_killed_between_hooks_is_started_again_for_the_next(hooked, said):
    server = hooked(ALL)
    killed = hook_process(server)
    os.kill(killed, signal.SIGKILL)
    server.wait_for(r"The process for the hooks of gunicorn\.conf\.py was sent SIGKILL: it is started again for the next hook")
    assert not [pid for pid in server.processes() if is_hook_process(pid)]
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    eventually("child_exit", lambda: f"child_exit 1 {worker}" in said())
    assert hook_process(server) != killed
    assert server.stop() == 0 and said()[-1] == "on_exit []"


def test_many_reloads_leave_nothing(hooked, said):
    """No descriptor, no zombie, no process, whether the reload succeeds or not."""
    server = hooked(ALL, "--probation", 0)
    server.reload()
    eventually("one process", lambda: len([pid for pid in server.processes() if is_hook_process(pid)]) == 1)
    before = len(proc.descriptors(server.pid))
    good = (server.folder / "gunicorn.conf.py").read_text()
    for number in range(4):
        (server.folder / "gunicorn.conf.py").write_text(good + "workers = 0\n" * (number % 2))
        mark = server.mark()
        server.send(signal.SIGHUP)
        server.wait_for("Reload failed" if number % 2 else "is ready .*: retiring", after=mark)
    eventually("one process", lambda: len([pid for pid in server.processes() if is_hook_process(pid)]) == 1)
    eventually("the descriptors of before", lambda: len(proc.descriptors(server.pid)) == before)
    assert said().count("on_reload 30") == 3


def test_a_long_line_of_a_hook_is_cut(hooked):
    server = hooked("def when_ready(server): server.log.error('%s', 'x' * 1000000)\n")
    line, = [line for line in server.log().splitlines() if "xxx" in line]
    assert 30000 < len(line) < 40000


def test_a_line_of_a_hook_is_followed_by_the_next_line(hooked):
    server = hooked("def when_ready(server):\n    server.log.info('first')\n    server.log.info('second')\n")
    assert re.search(r"\[INFO\] first\n\[.*\[INFO\] second\n\[", server.log()), server.log()


def test_loggers_of_gunicorn_reach_the_error_log(hooked):
    server = hooked("""
        import logging
        def when_ready(server):
            logging.getLogger("gunicorn.error").info("by %s", "name")
            server.log.error_log.warning("by the log")
            logging.getLogger("gunicorn.error").debug("unseen")
            try:
                raise ValueError("shown")
            except ValueError:
                server.log.error_log.exception("with its traceback")
        """)
    log = server.wait_for("ValueError: shown") and server.log()
    assert log.count("[INFO] by name\n[") == 1 and log.count("[WARNING] by the log\n[") == 1 and "unseen" not in log
    assert re.search(r"\[ERROR\] with its traceback\nTraceback .*\n(  .*\n)+ValueError: shown$", log, re.MULTILINE)


@pytest.mark.parametrize("flags, reaches_the_log", [((), False), (("--capture-output",), True)])
def test_what_a_hook_prints_is_captured_with_capture_output(hooked, flags, reaches_the_log):
    server = hooked("""
        def when_ready(server):
            print("printed by Python")
            os.system("echo printed by a shell")
        """, *flags)
    captured, other = (server.log, server.stdout) if reaches_the_log else (server.stdout, server.log)
    for line in ("printed by Python", "printed by a shell"):
        eventually(line, lambda: line in captured())
        assert line not in other()


def test_halt_logs_its_reason(hooked):
    server = hooked("def child_exit(server, worker): server.halt('no disk', 7)\n")
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    assert server.wait_exit() == 0
    assert re.search(r"\[ERROR\] Reason: no disk\n\[", server.log())


@pytest.mark.parametrize("closing", ["os.closerange(3, 100); import time; time.sleep(600)", "os.execvp('sleep', ['sleep', '600'])"])
def test_a_hook_that_closes_the_connection_to_the_server_is_named(hooked, said, closing):
    server = hooked(f"def when_ready(server):\n    {closing}\ndef on_exit(server): say('on_exit')\n")
    server.wait_for(r"Hook when_ready of gunicorn\.conf\.py: its process has closed its connection to the server; the server "
                    "goes on")
    server.wait_serving()
    assert server.stop() == 0 and said() == ["on_exit"]


def test_nworkers_changed_runs_at_each_reload(hooked, said):
    server = hooked(ALL, "-w", 2)
    server.reload()
    eventually("on_reload", lambda: "on_reload 30" in said())
    assert said()[said().index("on_reload 30") - 1] == "nworkers_changed 2 2 2"


def test_a_hook_that_on_exit_waits_for_is_named(hooked):
    server = hooked("""
        def child_exit(server, worker): import time; time.sleep(600)
        def on_exit(server): pass
        """, "--graceful-timeout", 1)
    assert server.stop() == 0
    assert "child_exit has not returned within 1 s: its process is ended, and on_exit does not run" in server.log()


def test_a_file_that_breaks_after_the_start_is_named(hooked, said, tmp_path):
    """Its process ended, and the file cannot be read again."""
    server = hooked("def child_exit(server, worker):\n    os._exit(1)\n", "-w", 2)
    write(tmp_path, "def child_exit(\n")
    pids = server.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.wait_for(r"Hooks of gunicorn\.conf\.py do not run any more: gunicorn\.conf\.py:\d+: SyntaxError.*; send HUP when")
    server.wait_workers(2, without=pids)
    server.wait_serving()


def test_arity_is_checked_when_the_file_is_read(tmp_path):
    write(tmp_path, "def on_exit(): pass\n")
    done = run("--check-config", example("echo"), cwd=tmp_path)
    assert done.returncode == 1
    assert "gunicorn.conf.py:5: on_exit: on_exit must have an arity of: 1" in done.stderr
