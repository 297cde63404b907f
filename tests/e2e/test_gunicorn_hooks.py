"""Hooks of a gunicorn.conf.py in the workers of a Python application: which run, in what order, and what they may do."""
import ast
import os
import re
import signal
import textwrap

import pytest

from clock import eventually
from saying import SAY
from server import BUILD, WSGI, port_is_free, run

pytestmark = pytest.mark.skipif(not WSGI.exists(),
                                reason="this build has no WSGI plugin: it needs the package python3-dev")

APP = SAY + """\
import time
say("import")
def app(environ, start_response):
    path = environ["PATH_INFO"]
    say("app", path)
    if path == "/raise":
        raise ValueError("by the app")
    if path == "/sleep":
        time.sleep(1000)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "yes")])
    shown = {key: value for key, value in environ.items() if key.startswith("HTTP_") or key == "PATH_INFO"}
    return [repr(shown).encode()]
"""


@pytest.fixture
def hooked(serve, tmp_path):
    """hooked(text, *flags): a server of APP with a gunicorn.conf.py that may say()."""
    def start(text, *flags, **named):
        (tmp_path / "shop.py").write_text(APP)
        (tmp_path / "gunicorn.conf.py").write_text(SAY + textwrap.dedent(text))
        return serve("shop:app", *flags, **named)
    return start


ALL = """
    workers = 1
    def on_starting(server): say("on_starting")
    def when_ready(server): say("when_ready")
    def post_fork(server, worker): say("post_fork", worker.pid == os.getpid(), server.pid == os.getppid(), worker.age)
    def post_worker_init(worker): say("post_worker_init", worker.app.wsgi().__name__)
    def pre_request(worker, req): say("pre_request", req.method, req.path, req.query, req.uri, req.remote_addr[0])
    def post_request(worker, req, environ, resp):
        say("post_request", req.path, environ["PATH_INFO"], resp.status, resp.status_code, dict(resp.headers).get("X-App"))
    def worker_exit(server, worker): say("worker_exit", worker.alive)
    """


@pytest.mark.parametrize("flags, began", [((), ["on_starting", "when_ready", "post_fork True True 1", "import"]),
                                          (("--preload",), ["on_starting", "when_ready", "import", "post_fork True True 1"])])
def test_hooks_run_in_gunicorns_order(hooked, said, flags, began):
    server = hooked(ALL, *flags)
    assert server.get("/a%20b?c=d").status == 200
    eventually("what post_request says", lambda: any(line.startswith("post_request") for line in said()))
    assert server.stop() == 0
    assert said() == began + [
        "post_worker_init app",
        "pre_request GET /a%20b c=d /a%20b?c=d 127.0.0.1",
        "app /a b",
        "post_request /a%20b /a b 200 OK 200 yes",
        "worker_exit False",
    ]
    assert "ignored" not in server.log()


def test_the_log_and_the_settings_are_within_reach(hooked):
    server = hooked("""
        timeout = 77
        threads = 2
        bind = "127.0.0.1:1"
        def post_fork(server, worker):
            server.log.info("Worker spawned (pid: %s)", worker.pid)
            worker.log.warning("%(a)s of %(b)s", {"a": 1, "b": 2})
            worker.log.debug("unseen")
            try:
                raise ValueError("shown")
            except ValueError:
                server.log.exception("with its traceback")
            cfg = worker.cfg
            server.log.error("%s", (cfg.timeout, cfg.workers, cfg.threads, cfg.bind, cfg.max_requests, cfg.worker_class))
            server.log.error("%s", getattr(cfg, "nothing", "no such setting"))
        """, "-w", 2)
    log = server.log()
    for pid in server.worker_pids():
        assert re.search(rf"\[{pid}\] \[INFO\] Worker spawned \(pid: {pid}\)$", log, re.MULTILINE)
    assert re.search(r"\[WARNING\] 1 of 2$", log, re.MULTILINE) and "unseen" not in log
    assert re.search(r"\[ERROR\] with its traceback\nTraceback .*\n(  .*\n)+ValueError: shown$", log, re.MULTILINE)
    assert "[ERROR] (77, 2, 2, ['127.0.0.1:0'], 0, 'sync')" in log and "[ERROR] no such setting" in log


def test_a_hook_may_assign_what_narwhal_does_not_use(hooked):
    """One warning each; the application is called as it is."""
    server = hooked("""
        def post_fork(server, worker):
            worker.timeout = worker.max_requests = server.proc_name = 7
        def post_worker_init(worker):
            worker.wsgi = lambda *_: 1 / 0
        """)
    for _ in range(2):
        assert server.get("/").status == 200
    assert re.search(r"\[WARNING\] Hooks: 'worker\.wsgi' was assigned, which has no effect: narwhal does not call it; wrap the "
                     "application itself\n", server.log())
    assert server.log().count("was assigned, which has no effect") == 4


def test_responses_have_the_methods_of_gunicorn(hooked, said):
    server = hooked("""
        def post_request(worker, req, environ, resp):
            say("post", resp.is_chunked(), resp.should_close(), req.should_close(), resp.headers_sent, hasattr(resp, "made_up"))
        """)
    assert server.get("/").status == 200
    eventually("what post_request says", lambda: said()[-1].startswith("post"))
    assert said()[-1].split()[1] == "True" and said()[-1].endswith(" True False")


@pytest.mark.parametrize("hook", ["post_fork(server, worker)", "post_worker_init(worker)"])
@pytest.mark.parametrize("flags", [(), ("--preload",)])
def test_a_hook_that_raises_fails_the_boot(hooked, hook, flags):
    server = hooked(f"def {hook}: raise KeyError('by the hook')\n", *flags, wait=False)
    assert server.wait_exit() == 3
    assert "Exception in worker process\nTraceback" in server.log() and "KeyError: 'by the hook'" in server.log()
    assert re.search(r"hooks of \S+/gunicorn\.conf\.py: KeyError: 'by the hook'", server.log()), server.log()


def test_the_boot_fails_with_a_hook_of_the_wrong_arity(hooked):
    server = hooked("def pre_request(req): pass\n", wait=False)
    assert server.wait_exit() == 3
    assert "TypeError: pre_request must have an arity of: 2" in server.log()


@pytest.mark.parametrize("parameters", ["worker, req", "worker, req, environ", "worker, req, environ, resp"])
def test_post_request_has_two_to_four_parameters(hooked, said, parameters):
    server = hooked(f"def post_request({parameters}): say('post', sorted(locals()))\n")
    server.wait_serving()
    eventually("what post_request says", lambda: said()[-1] == f"post {sorted(parameters.split(', '))}")


def test_pre_request_may_refuse_and_add_headers(hooked, said):
    server = hooked("""
        def pre_request(worker, req):
            if req.path == "/no":
                raise PermissionError("not you")
            req.path = req.path.replace("old", "new")
            req.headers.append(("X-REQUEST-ID", "17"))
            req.headers.append(("X-TWICE", "b"))
            req.headers = [pair for pair in req.headers if pair[0] != "X-SECRET"]
        def post_request(worker, req, environ, resp): say("post", req.path, len(environ) > 3, resp and resp.status)
        """)
    assert ast.literal_eval(server.get("/old%20page").text)["PATH_INFO"] == "/new page"
    answer = server.get("/yes", headers=[("X-Secret", "s"), ("X-Twice", "a"), ("X-Kept", "k")])
    seen = ast.literal_eval(answer.text)
    assert (seen["HTTP_X_REQUEST_ID"], seen["HTTP_X_TWICE"], seen["HTTP_X_KEPT"]) == ("17", "a,b", "k")
    assert "HTTP_X_SECRET" not in seen
    assert server.get("/no").status == 500
    assert "Error handling request /no" in server.log() and "PermissionError: not you" in server.log()
    assert server.get("/raise").status == 500
    eventually("all of post_request", lambda: [line for line in said() if line.startswith("post")] == [
        "post /new%20page True 200 OK", "post /yes True 200 OK", "post /no False None", "post /raise True None"])


def test_post_request_that_raises_is_only_logged(hooked):
    server = hooked("def post_request(worker, req): raise KeyError('afterwards')\n")
    for _ in range(2):
        server.wait_serving()
    server.wait_for(r"\[ERROR\] Exception in post_request hook\nTraceback", count=2)


@pytest.mark.parametrize("flags", [(), ("--preload",)])
def test_worker_abort_runs_when_a_request_is_past_its_deadline(hooked, said, flags):
    server = hooked("def worker_abort(worker): say('abort', worker.pid)\n", "-t", "1", "--graceful-timeout", "1", *flags)
    pids = server.worker_pids()
    assert server.get("/sleep").status == 504
    eventually("what worker_abort says", lambda: f"abort {pids[0]}" in said())
    server.wait_workers(1, without=pids)
    assert "Python stacks" in server.log() and "was sent signal" not in server.log()


CONF_EFFECTS = """
    import os, secrets, sys
    os.environ["OF_THE_FILE"] = secrets.token_hex(8)
    sys.path.insert(0, os.path.join(os.getcwd(), "lib"))
    """


@pytest.mark.parametrize("flags", [(), ("--preload",)])
@pytest.mark.parametrize("hook", ["", "def post_fork(server, worker): pass\n", "def on_exit(server): pass\n"])
def test_the_file_is_run_once_for_all_workers_and_what_it_does_holds_for_them(serve, tmp_path, hook, flags):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "of_the_file.py").write_text("name = 'found'\n")
    (tmp_path / "shop.py").write_text("import os, of_the_file\n"
                                      "def app(environ, start_response):\n"
                                      "    start_response('200 OK', [('Connection', 'close')])\n"
                                      "    return [f\"{os.environ['OF_THE_FILE']} {os.getpid()}\".encode()]\n")
    (tmp_path / "gunicorn.conf.py").write_text(textwrap.dedent(CONF_EFFECTS) + hook)
    server = serve("shop:app", "-w", 2, *flags)
    first = server.worker_pids()
    os.kill(first[0], signal.SIGKILL)
    server.wait_workers(2, without=[first[0]])
    answers = set()
    eventually("answers of both workers", lambda: answers.add(server.get("/").text) or len(answers) == 2)
    assert len({answer.split()[0] for answer in answers}) == 1


def test_workers_that_come_later_have_the_file_of_their_generation(hooked, said, tmp_path):
    """Not the one on disk, which may be broken, or another one that a reload has refused."""
    server = hooked("def post_fork(server, worker): say('first')\n")
    (tmp_path / "gunicorn.conf.py").write_text("x = (\n")
    server.send(signal.SIGHUP)
    server.wait_for("Reload failed at step 'config'")
    worker, = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    server.wait_workers(1, without=[worker])
    server.wait_serving()
    assert said().count("first") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("hook", ["", "def post_fork(server, worker): pass\n"])
def test_a_file_that_the_user_of_the_workers_cannot_read(serve, tmp_path, hook):
    """Its settings count. Without hooks for workers they serve, and the log says what they lack."""
    (tmp_path / "shop.py").write_text("def app(environ, start_response):\n"
                                      "    start_response('200 OK', [])\n    return [b'x']\n")
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("workers = 1\n" + hook)
    for folder in [tmp_path, *tmp_path.parents[:-2]]:
        folder.chmod(0o755)
    conf.chmod(0o600)
    server = serve("shop:app", "-u", "nobody", wait=not hook)
    if hook:
        assert server.wait_exit() == 3 and re.search("hooks of .*: PermissionError", server.log())
    else:
        server.wait_serving()
        assert "gunicorn.conf.py cannot be run for the workers: what it sets" in server.log()


def test_a_process_that_the_file_starts_does_not_hold_the_port(hooked, tmp_path):
    server = hooked("import multiprocessing\nmanager = multiprocessing.Manager()\n", "--preload")
    server.wait_serving()
    address = server.address
    assert server.stop() == 0
    assert port_is_free(address)
    server.kill_everything()



def test_a_reload_runs_the_changed_hooks(hooked, said, tmp_path):
    server = hooked("def post_fork(server, worker): say('first')\n")
    (tmp_path / "gunicorn.conf.py").write_text(SAY + "def post_fork(server, worker): say('second')\n")
    server.reload()
    assert [line for line in said() if line != "import"] == ["first", "second"]
    (tmp_path / "gunicorn.conf.py").write_text(SAY + "def post_fork(server, worker): raise KeyError('no')\n")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step 'boot': .*hooks of .*KeyError: 'no'.*generation 2 continues to serve")
    server.wait_serving()


def test_two_applications_share_one_set_of_hooks(serve, said, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "blog.py").write_text(APP)
    (tmp_path / "hooks.py").write_text(SAY + textwrap.dedent(ALL))
    server = serve(config=f"""
routes:
  - prefix: /shop
    app: shop:app
    options: {{hooks: {tmp_path}/hooks.py}}
  - prefix: /blog
    app: blog:app
    options: {{hooks: {tmp_path}/hooks.py}}
""")
    for path in ("/shop/1", "/blog/2"):
        assert server.get(path).status == 200
    server.stop()
    names = [line.split()[0] for line in said()]
    assert names.count("post_fork") == names.count("post_worker_init") == names.count("worker_exit") == 1
    assert names.count("pre_request") == names.count("post_request") == names.count("app") == 2
    assert names[0] == "post_fork" and names[1:3] == ["import", "import"] and names[-1] == "worker_exit"


def test_hooks_of_a_module_and_of_other_modules(serve, said, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "__init__.py").write_text("")
    (tmp_path / "conf" / "web.py").write_text("post_fork = 'other.forked'\nproc_name = 'by module'\n")
    (tmp_path / "other.py").write_text(SAY + "def forked(server, worker): say('forked', server.cfg.proc_name)\n")
    server = serve("-c", "python:conf.web", "shop:app")
    server.wait_serving()
    assert said()[0] == "forked by module"


def test_hooks_of_a_native_application_are_named(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("def post_fork(server, worker): pass\n")
    done = run("--check-config", BUILD / "examples" / "echo.so", cwd=tmp_path)
    assert done.stderr == "narwhal: gunicorn.conf.py: ignored, because narwhal does not use them: post_fork\n"
