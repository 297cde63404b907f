"""A gunicorn.conf.py in place of a narwhal.yaml: settings that Python computes, faults with their place, reloads."""
import re
import signal
import time

import pytest

import proc
from clock import eventually, scaled
from server import example, run

NOT_USED = r"\[WARNING\] .*ignored, because narwhal does not use them: (.*)$"


def test_settings_that_the_file_computes(serve, tmp_path):
    (tmp_path / "sibling.py").write_text("COUNT = 1\n")
    (tmp_path / "gunicorn.conf.py").write_text(
        "import multiprocessing\n"
        "from sibling import COUNT\n"
        "workers = min(multiprocessing.cpu_count(), COUNT) * 2 + 1\n"
        "proc_name = 'computed'\n"
        "accesslog = '-'\n"
        "print('hello from the file')\n")
    server = serve(example("echo"))
    assert len(server.workers()) == 3
    assert any("[computed]" in title for title in server.processes().values())
    assert "hello from the file" in server.stdout()
    server.wait_serving()
    eventually("an access line", lambda: '"GET / HTTP/1.1" 200' in server.stdout())
    assert "not used" not in server.log()


@pytest.mark.parametrize("name", ["ast", "json", "traceback"])
def test_a_file_of_the_project_named_like_a_module_of_python_does_not_stop_the_reading(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('not Python\'s own')\n")
    (tmp_path / "gunicorn.conf.py").write_text("workers = 3\n")
    done = run("--print-config", example("echo"), cwd=tmp_path)
    assert "workers: 3" in done.stdout, done.stderr


def test_narwhal_yaml_takes_precedence_over_it(serve, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("raise Exception('is not read')\n")
    server = serve(example("echo"), config="workers: 2\n")
    assert len(server.workers()) == 2


def test_ignored_settings_are_named_once(serve, tmp_path):
    conf = tmp_path / "web.py"
    conf.write_text("import os\n"
                    "worker_tmp_dir = '/dev/shm'\n"
                    "no_setting_of_anybody = 5\n"
                    "def dirty_post_fork(arbiter, worker): os._exit(9)\n"
                    "def ssl_context(config, factory): os._exit(9)\n")
    server = serve("-c", conf, example("echo"))
    server.reload()
    assert re.findall(NOT_USED, server.log(), re.MULTILINE) == ["ssl_context, dirty_post_fork"]
    conf.write_text("worker_class = 'sync'\ndef on_dirty_starting(arbiter): pass\n")
    server.reload()
    assert re.findall(NOT_USED, server.log(), re.MULTILINE)[1:] == ["on_dirty_starting"]


def test_what_has_no_effect_is_named_once_whatever_the_log_level_is(serve, tmp_path):
    conf = tmp_path / "web.py"
    conf.write_text("spew = True\nloglevel = 'critical'\n")
    server = serve("-c", conf, "-k", "gevent", example("echo"), wait=False)
    server.wait_for("'spew' is a setting of Gunicorn that narwhal does not have")
    server.wait_for("worker_class 'gevent': .* 64 handler threads")
    assert server.stop() == 0
    assert server.log().count("'spew' is") == 1


@pytest.mark.parametrize("text, fault", [
    ("workers = 1\nbind = nope\n", "web.py:2: NameError: name 'nope' is not defined"),
    ("workers = 1\nbind = (\n", "web.py:2: SyntaxError: '(' was never closed"),
    ("\nworkers = 'some'\n", "web.py:2: workers: 'some' is not a whole number"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
     "web.py: Python was sent SIGSEGV( (core dumped))? before it had read the file"),
])
def test_a_file_that_cannot_be_read_ends_in_1(tmp_path, text, fault):
    (tmp_path / "web.py").write_text(text)
    done = run("-c", "web.py", example("echo"), cwd=tmp_path)
    assert done.returncode == 1
    fault = fault if "SIGSEGV" in fault else re.escape(fault)
    assert re.fullmatch("narwhal: " + fault, done.stderr.splitlines()[-1]), done.stderr
    assert ("Traceback" in done.stderr) == ("NameError" in fault)


def test_a_reload_reads_it_again_and_a_broken_one_is_refused(serve, tmp_path):
    conf = tmp_path / "web.py"
    conf.write_text("workers = 1\n")
    server = serve("-c", conf, example("echo"))
    conf.write_text("workers = 2\n")
    server.reload()
    assert len(server.workers()) == 2
    before = server.worker_pids()
    conf.write_text("workers = 2\nraise RuntimeError('not today')\n")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step 'config': \S*web\.py:2: RuntimeError: not today; generation 2 continues to serve")
    assert "Traceback" in server.log()
    assert server.worker_pids() == before
    server.wait_serving()
    conf.write_text("workers = 1\n")
    server.reload()
    assert len(server.workers()) == 1


def test_the_master_serves_its_signals_while_the_file_is_being_read(serve, tmp_path):
    conf, reading = tmp_path / "web.py", tmp_path / "reading"
    conf.write_text("")
    server = serve("-c", conf, example("echo"))
    conf.write_text(f"import time\nopen({str(reading)!r}, 'w').close()\ntime.sleep(1000)\n")
    server.send(signal.SIGHUP)
    eventually("the file being read", reading.exists)
    server.send(signal.SIGTTIN)
    server.wait_workers(2)
    server.wait_serving()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < scaled(10)


def test_a_file_that_hangs_is_given_up_after_boot_timeout(serve, tmp_path):
    conf = tmp_path / "web.py"
    conf.write_text("")
    server = serve("-c", conf, "--boot-timeout", "2", example("echo"))
    conf.write_text("import time\ntime.sleep(1000)\n")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step 'config': \S*web\.py: reading it took longer than boot_timeout")
    eventually("no Python left", lambda: not [title for title in map(proc.title, proc.session_members(server.pid))
                                              if not title.startswith("narwhal: ")])
    server.wait_serving()


def test_check_config_and_print_config_read_it(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("import os\n\nworkers = 1 + 2\nspew = True\n")
    done = run("--check-config", example("echo"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == ("narwhal: gunicorn.conf.py:4: 'spew' is a setting of Gunicorn that narwhal does not have: "
                           "it does not trace Python code; it has no effect\n")
    done = run("--print-config", example("echo"), cwd=tmp_path)
    assert re.search(r"^workers: 3 +# gunicorn\.conf\.py:3$", done.stdout, re.MULTILINE), done.stdout
