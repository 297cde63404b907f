"""What public gunicorn.conf.py files do with hooks, agents and logging: each idiom serves with its meaning, or one message
says what is missing. test_conf_idioms.py has the settings."""
import json
import os
import re
import signal
import socket

import pytest

import wire
from clock import eventually
from conf_idioms import ask, project  # noqa: F401
from server import WSGI

pytestmark = pytest.mark.skipif(not WSGI.exists(),
                                reason="the WSGI plugin was not built: it needs python3-dev")

EVERY_WORKERS_HOOK_LOGS = """
import sys, threading, traceback
workers = 2
def pre_fork(server, worker):
    pass
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
def pre_exec(server):
    server.log.info("Forked child, re-executing.")
def when_ready(server):
    server.log.info("Server is ready. Spawning workers")
def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, stack in sys._current_frames().items():
        worker.log.debug("thread %s: %s", names.get(ident, ""), "".join(traceback.format_stack(stack)))
def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")
def child_exit(server, worker):
    server.log.info("Worker %s has exited", worker.pid)
def worker_exit(server, worker):
    server.log.info("Worker %s is exiting", worker.pid)
def on_exit(server):
    server.log.info("Shutting down the service")
"""


# ---- hooks that log ----
def test_the_hooks_of_gunicorns_own_example(project):
    server = project.start(EVERY_WORKERS_HOOK_LOGS)
    first = server.worker_pids()
    server.wait_for(r"\[INFO\] Server is ready\. Spawning workers")
    for pid in first:
        server.wait_for(rf"\[{pid}\] \[INFO\] Worker spawned \(pid: {pid}\)")
    assert "Forked child" not in server.log()
    os.kill(first[0], signal.SIGQUIT)
    server.wait_for(rf"\[{first[0]}\] \[INFO\] worker received INT or QUIT signal")
    server.wait_for(rf"Worker {first[0]} has exited")
    server.wait_workers(2, without=[first[0]])
    assert server.stop() == 0
    server.wait_for(rf"Worker {first[1]} is exiting")
    server.wait_for(rf"Worker {first[1]} has exited")
    server.wait_for("Shutting down the service")


def test_a_request_that_hangs_is_reported_by_worker_abort(project):
    server = project.start("timeout = 1\ndef worker_abort(worker):\n    worker.log.critical('aborted: %s', worker.pid)\n")
    pid = ask(server, "os.getpid()")
    assert server.get("/?__import__('time').sleep(30)").status == 504
    server.wait_for(rf"\[CRITICAL\] aborted: {pid}")


def test_hooks_of_requests_measure_time(project):
    server = project.start(
        "import time\n"
        "def pre_request(worker, req):\n"
        "    req.began = time.time()\n"
        "    worker.log.debug('%s %s', req.method, req.path)\n"
        "def post_request(worker, req, environ, resp):\n"
        "    took = time.time() - req.began\n"
        "    worker.log.info('%s %s %s took less than 5 s: %s', req.method, req.path, resp.status, took < 5)\n"
        "    worker.log.info('answered with %s', resp.status_code)\n")
    assert ask(server, "1") == 1
    server.wait_for(r"\[INFO\] GET / 200 OK took less than 5 s: True")
    server.wait_for(r"\[INFO\] answered with 200")


# ---- hooks of the master ----
def test_a_file_that_tells_nginx_to_begin(project):
    # The buildpack's nginx waits for it.
    server = project.start("def when_ready(server):\n    open('app-initialized', 'w').close()\n")
    eventually("the file", lambda: project.has("app-initialized"))
    assert ask(server, "1") == 1


def test_a_directory_that_is_emptied_before_the_first_worker(project):
    project.write("metrics/old.db", "of the run before")
    project.write("show.py", "import os\nat_import = os.listdir('metrics')\n" + project.read("show.py"))
    server = project.start("import os, shutil\ndef on_starting(server):\n"
                           "    shutil.rmtree('metrics', ignore_errors=True)\n    os.makedirs('metrics')\n")
    assert ask(server, "at_import") == []
    project.write("metrics/new.db", "of this run")
    server.reload()
    assert project.has("metrics/new.db")


def test_a_reload_and_a_change_of_the_number_are_reported(project):
    server = project.start("def on_reload(server):\n    server.log.info('reloading with %s', server.cfg.workers)\n"
                           "def nworkers_changed(server, new_value, old_value):\n"
                           "    server.log.info('workers: %s, before: %s', new_value, old_value)\n")
    server.wait_for("workers: 1, before: None")
    server.send(signal.SIGTTIN)
    server.wait_for("workers: 2, before: 1")
    server.reload()
    server.wait_for("reloading with 1")


def test_a_database_connection_is_closed_in_the_parent_and_opened_in_each_worker(project):
    project.write("database.py", "import os\nopened_by = None\ndef connect():\n    global opened_by\n    opened_by = os.getpid()\n"
                                 "def close():\n    global opened_by\n    opened_by = None\n")
    server = project.start("preload_app = True\nworkers = 2\n"
                           "def pre_fork(server, worker):\n    import database\n    database.close()\n"
                           "def post_fork(server, worker):\n    import database\n    database.connect()\n"
                           "def worker_exit(server, worker):\n    import database\n    database.close()\n"
                           "    open('closed-%d' % worker.pid, 'w').close()\n")
    assert ask(server, "__import__('database').opened_by == os.getpid()") is True
    pids = server.worker_pids()
    assert server.stop() == 0
    assert all(project.has(f"closed-{pid}") for pid in pids)


def test_the_collector_is_frozen_before_the_fork(project):
    server = project.start("import gc\npreload_app = True\ndef when_ready(server):\n    gc.freeze()\n"
                           "def post_fork(server, worker):\n    gc.freeze()\n")
    assert ask(server, "__import__('gc').get_freeze_count() > 1000") is True


def test_the_worker_is_given_the_application_and_its_settings(project):
    server = project.start("threads = 2\ndef post_worker_init(worker):\n"
                           "    worker.log.info('serves %s with %d threads, %s', worker.app.callable.__name__, worker.cfg.threads,\n"
                           "                    callable(worker.wsgi))\n")
    server.wait_for("serves app with 2 threads, True")


# ---- agents ----
AGENT = "import os\nstarted_in = []\ndef start(name, **options):\n    started_in.append(os.getpid())\n"


@pytest.mark.parametrize("hook", ["post_fork(server, worker)", "post_worker_init(worker)"])
def test_an_agent_of_traces_starts_in_each_worker(project, hook):
    project.write("tracing.py", AGENT)
    server = project.start(f"workers = 2\ndef {hook}:\n    worker.log.info('tracing %s', worker.pid)\n"
                           "    from tracing import start\n    start('web', worker=worker.age)\n")
    seen = set()
    eventually("both workers", lambda: seen.add(tuple(ask(server, "[os.getpid(), *sys.modules['tracing'].started_in]"))) or
               len(seen) == 2)
    assert all(len(each) == 2 and each[0] == each[1] for each in seen)


def test_an_agent_at_the_top_of_the_file_starts_before_the_workers_are_forked(project):
    # Once, in the process that they are forked from, as with Gunicorn.
    project.write("agent.py", AGENT)
    server = project.start("workers = 2\nimport agent\nagent.start('web')\n")
    assert ask(server, "sys.modules['agent'].started_in") == [server.template()]


# ---- Prometheus ----
METRICS = """
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess
requests = Counter("shop_requests", "Requests")
active = Gauge("shop_active", "Requests in hand", multiprocess_mode="livesum")
def app(environ, start_response):
    active.set(1)
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [generate_latest(registry)]
    requests.inc()
    start_response("200 OK", [])
    return [b"ok"]
"""


@pytest.mark.parametrize("cause", ["max_requests", "reload", "death"])
def test_prometheus_forgets_the_gauges_of_workers_that_have_left(project, cause):
    pytest.importorskip("prometheus_client", reason="python3-prometheus-client is not installed")
    project.write("metered.py", METRICS)
    (project.folder / "multiproc").mkdir()
    server = project.start("from prometheus_client import multiprocess\nworkers = 2\n"
                           + ("max_requests = 3\n" if cause == "max_requests" else "") +
                           "def child_exit(server, worker):\n    multiprocess.mark_process_dead(worker.pid)\n",
                           app="metered:app", env={"PROMETHEUS_MULTIPROC_DIR": str(project.folder / "multiproc")})

    def pids_of_gauges():
        return {int(path.stem.rpartition("_")[2]) for path in (project.folder / "multiproc").glob("gauge_livesum_*.db")}
    first = set(server.worker_pids())
    eventually("gauges of both", lambda: server.get("/").status == 200 and (cause == "max_requests" or pids_of_gauges() == first))
    if cause == "reload":
        server.reload()
    if cause == "death":
        os.kill(min(first), signal.SIGKILL)
    sent = 0
    while cause == "max_requests" and first & set(server.worker_pids()):
        sent += server.get("/").status == 200
        assert sent < 200
    gone = {min(first)} if cause == "death" else first
    eventually("the gauges of the dead gone", lambda: not pids_of_gauges() & gone)
    eventually("a gauge of a new one", lambda: server.get("/").status == 200 and pids_of_gauges() - first)
    eventually("only gauges of the living", lambda: pids_of_gauges() <= set(server.worker_pids()))
    text = server.get("/metrics").text
    # With max_requests, one that is being replaced may still live beside its successor.
    most = 4 if cause == "max_requests" else 2
    assert 1 <= float(re.search(r"^shop_active (\S+)$", text, re.MULTILINE)[1]) <= most
    assert float(re.search(r"^shop_requests_total (\S+)$", text, re.MULTILINE)[1]) >= 2  # counters of the dead count


# ---- logging ----
def test_a_dictionary_for_logging(project):
    server = project.start(
        "logconfig_dict = {\n"
        "    'version': 1, 'disable_existing_loggers': False,\n"
        "    'formatters': {'plain': {'format': '%(asctime)s %(levelname)s [%(name)s] %(message)s'}},\n"
        "    'handlers': {'errors': {'class': 'logging.FileHandler', 'filename': 'all.log', 'formatter': 'plain'}},\n"
        "    'root': {'level': 'INFO', 'handlers': ['errors']},\n"
        "    'loggers': {'gunicorn.error': {'level': 'INFO', 'handlers': ['errors'], 'propagate': False},\n"
        "                'gunicorn.access': {'level': 'INFO', 'handlers': ['errors'], 'propagate': False}},\n"
        "}\naccesslog = '-'\nbind = 'unix:app.sock'\n", bind=None, wait=False)
    eventually("the start", lambda: "Generation 1 is ready" in project.read("all.log"))
    server.address = str(project.folder / "app.sock")
    assert wire.fetch(server.address, "/?__import__('logging').getLogger('shop').warning('sold%20out')").status == 200
    eventually("each kind of line", lambda: all(re.search(text, project.read("all.log")) for text in (
        r"INFO \[gunicorn\.error\] Listening at", r"WARNING \[shop\] sold out", r'INFO \[gunicorn\.access\] .*"GET /\?')))
    assert server.stop() == 0


def test_a_class_of_loggers_that_leaves_health_checks_out(project):
    server = project.start(
        "from gunicorn import glogging\n"
        "class Quiet(glogging.Logger):\n"
        "    def access(self, resp, req, environ, request_time):\n"
        "        if req.path != '/health':\n"
        "            super().access(resp, req, environ, request_time)\n"
        "logger_class = Quiet\naccesslog = '-'\n")
    assert server.get("/health?1").status == server.get("/seen?1").status == 200
    eventually("a line of the other", lambda: "GET /seen" in server.stdout())
    assert "GET /health" not in server.stdout()


def test_metrics_to_statsd(project):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(0.1)
        server = project.start("import os\nstatsd_host = os.environ['STATSD']\nstatsd_prefix = 'shop'\n",
                               env={"STATSD": "127.0.0.1:%d" % statsd.getsockname()[1]})
        assert ask(server, "1") == 1
        seen = []

        def has(text):
            try:
                seen.append(statsd.recv(4096).decode())
            except TimeoutError:
                pass
            return any(text in each for each in seen)
        eventually("a count of requests", lambda: has("shop.gunicorn.requests:1|c"))


def test_lines_in_json_through_the_format_of_the_access_log(project):
    server = project.start("import json\naccesslog = '-'\n"
                           "access_log_format = json.dumps({'status': '%(s)s', 'path': '%(U)s', 'time': '%(M)s', 'id': '%({x-request-id}i)s'})\n")
    assert ask(server, "1", headers=[("X-Request-Id", "a\"b")]) == 1
    line = json.loads(eventually("a line", lambda: server.stdout().strip()).splitlines()[-1])
    assert (line["status"], line["path"]) == ("200", "/") and line["time"].isdigit()
