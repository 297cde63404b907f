"""What a Python application and its gunicorn.conf.py start in processes of the server ends with the generation, not before."""
import re
import signal
import textwrap

import pytest

import proc
from clock import eventually
from load import Background
from saying import SAY
from server import WSGI

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin")

MANAGER = textwrap.dedent("""
    import atexit
    import multiprocessing
    manager = multiprocessing.Manager()
    say("manager", manager._process.pid)
    atexit.register(say, "atexit")
    """)
APP = SAY + textwrap.dedent("""
    import time
    def app(environ, start_response):
        while environ["PATH_INFO"] == "/slow" and not os.path.exists("go"):
            time.sleep(0.01)
        values["answered"] = True
        start_response("200 OK", [])
        return [repr(values["answered"]).encode()]
    """)


def managers(lines):
    """The pids of the managers that have been started."""
    return [int(match[1]) for line in lines if (match := re.fullmatch(r"manager (\d+)", line))]


def alive(pids):
    return list(filter(proc.alive, pids))


def the_only_manager(said):
    return eventually("one manager", lambda: len(pids := alive(managers(said()))) == 1 and pids)[0]


def write_files(folder, where):
    """The manager is the configuration file's, or the application's."""
    conf, app = (MANAGER, "from __config__ import manager\n") if where == "conf" else ("", MANAGER)
    (folder / "gunicorn.conf.py").write_text(SAY + conf + f"preload_app = {where == 'app'}\n")
    (folder / "shop.py").write_text(APP + app + "values = manager.dict()\n")


@pytest.mark.parametrize("where", ["conf", "app"])
def test_a_manager_serves_the_last_request_and_ends_with_its_generation(serve, tmp_path, said, where):
    write_files(tmp_path, where)
    server = serve("shop:app", "--chdir", tmp_path, "-w", "2")
    first = the_only_manager(said)
    slow = Background(server.get, "/slow")
    eventually("the slow request", lambda: server.get("/").text == "True")
    server.send(signal.SIGHUP)
    eventually("the second generation", lambda: server.generations() == [1, 2] and server.workers(2))
    eventually("the new manager alone beside the first", lambda: len(alive(managers(said()))) == 2)
    assert not slow.done and proc.alive(first)
    (tmp_path / "go").touch()
    assert slow.result().text == "True"
    eventually("the end of the first manager", lambda: not proc.alive(first))
    assert len(alive(managers(said()))) == 1 and server.get("/").text == "True"
    assert server.stop() == 0
    eventually("the end of all managers", lambda: not alive(managers(said())))


def test_an_application_that_does_not_load_leaves_no_manager(serve, tmp_path, said):
    write_files(tmp_path, "conf")
    server = serve("shop:app", "--chdir", tmp_path)
    first = the_only_manager(said)
    for preload in (False, True):
        (tmp_path / "gunicorn.conf.py").write_text(SAY + MANAGER + f"preload_app = {preload}\n")
        (tmp_path / "shop.py").write_text("import no_such_module\n")
        mark = server.mark()
        server.send(signal.SIGHUP)
        server.wait_for("No module named 'no_such_module'", after=mark)
        eventually("only the first manager", lambda: alive(managers(said())) == [first])
    assert len(managers(said())) >= 5 and server.get("/").text == "True"


def test_the_process_of_the_hooks_ends_its_manager_too(serve, tmp_path, said):
    """The files of the two processes each have one."""
    write_files(tmp_path, "conf")
    with open(tmp_path / "gunicorn.conf.py", "a") as file:
        file.write("def child_exit(server, worker): say('child_exit')\n")
    server = serve("shop:app", "--chdir", tmp_path)
    first = eventually("two managers", lambda: len(pids := alive(managers(said()))) == 2 and pids)
    for _ in range(2):  # the second one drops what a rollback would need
        server.reload()
    eventually("the end of the first two", lambda: not alive(first))
    assert "child_exit" in said()
    assert server.stop() == 0
    eventually("the end of all managers", lambda: not alive(managers(said())))


def test_atexit_functions_run_in_each_worker_and_in_the_template(serve, tmp_path, said):
    write_files(tmp_path, "app")
    server = serve("shop:app", "--chdir", tmp_path, "-w", "2")
    assert server.stop() == 0
    assert said().count("atexit") == 3
    assert "Traceback" not in server.log()
