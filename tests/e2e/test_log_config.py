"""logconfig, logconfig_dict, logconfig_json and logger_class: both logs and the records of an application go where they say."""
import json
import re
import signal
import venv

import pytest

from clock import eventually
from server import WSGI, example, run

needs_python = pytest.mark.skipif(not WSGI.exists(),
                                  reason="this build has no WSGI plugin: it needs the package python3-dev")

APP = '''
import logging
def app(environ, start_response):
    logging.getLogger("shop").warning("from the application")
    logging.getLogger("gunicorn.error").warning("through gunicorn.error")
    start_response("200 OK", [("X-Out", "out")])
    return [b"x"]
'''


def handler(path):
    return {"class": "logging.FileHandler", "formatter": "own", "filename": str(path)}


def dictionary(folder, **more):
    return {"version": 1, "formatters": {"own": {"format": "%(name)s|%(process)d|%(levelname)s|%(message)s"}},
            "handlers": {name: handler(folder / f"{name}.out") for name in ("error", "access", "root")},
            "root": {"level": "INFO", "handlers": ["root"]},
            "loggers": {f"gunicorn.{name}": {"level": "INFO", "handlers": [name], "propagate": False}
                        for name in ("error", "access")}, **more}


def text_of(path):
    return path.read_text() if path.exists() else ""


def wait_for(path, pattern):
    eventually(f"{pattern!r} in {path}: {text_of(path)!r}", lambda: re.search(pattern, text_of(path)))


def start(serve, folder, *flags, **named):
    """A server of the application; ready when its own log, which is no longer standard error, says so."""
    (folder / "site_app.py").write_text(APP)
    server = serve("site_app:app", "--chdir", folder, *flags, wait=False, **named)
    wait_for(folder / "error.out", "Generation 1 is ready")
    port = re.search(r"http://127\.0\.0\.1:(\d+)", text_of(folder / "error.out"))[1]
    server.address = ("127.0.0.1", int(port))
    return server


@needs_python
def test_a_dictionary_in_json(serve, tmp_path):
    (tmp_path / "log.json").write_text(json.dumps(dictionary(tmp_path)))
    server = start(serve, tmp_path, "--log-config-json", tmp_path / "log.json")
    worker = server.worker_pids()[0]
    server.get("/seen", headers=[("User-Agent", "agent/1")])
    wait_for(tmp_path / "access.out", rf'gunicorn\.access\|{worker}\|INFO\|127\.0\.0\.1 - - \[[^]]+\] "GET /seen HTTP/1\.1" 200 1 "-" "agent/1"\n')
    wait_for(tmp_path / "root.out", rf"shop\|{worker}\|WARNING\|from the application\n")
    wait_for(tmp_path / "error.out", rf"gunicorn\.error\|{worker}\|WARNING\|through gunicorn\.error\n")
    assert server.stop() == 0
    lines = text_of(tmp_path / "error.out").splitlines()
    assert lines[0].startswith(f"gunicorn.error|{server.pid}|INFO|Starting narwhal")
    assert lines[-1] == f"gunicorn.error|{server.pid}|INFO|Shutting down: Master"
    assert server.log() == ""


@needs_python
def test_a_file_of_logging(serve, tmp_path):
    names = ["error", "access", "root"]
    (tmp_path / "log.ini").write_text("[loggers]\nkeys=root,error,access\n[handlers]\nkeys=root,error,access\n"
                                      "[formatters]\nkeys=own\n"
                                      "[formatter_own]\nformat=%(name)s|%(process)d|%(levelname)s|%(message)s\n" + "".join(
        f"[handler_{name}]\nclass=FileHandler\nformatter=own\nargs=('%(here)s/{name}.out',)\n"
        f"[logger_{name}]\nlevel=INFO\nhandlers={name}\n" +
        ("" if name == "root" else f"qualname=gunicorn.{name}\npropagate=0\n") for name in names))
    server = start(serve, tmp_path, "--log-config", "log.ini")
    worker = server.worker_pids()[0]
    server.get("/seen")
    wait_for(tmp_path / "access.out", rf"gunicorn\.access\|{worker}\|INFO\|.*GET /seen")
    wait_for(tmp_path / "root.out", rf"shop\|{worker}\|WARNING\|from the application\n")


CONF = '''
import logging, sys
class NoHealth(logging.Filter):
    """Sees what it sees with Gunicorn: the atoms in record.args."""
    def filter(self, record):
        return record.args["U"] != "/health" and record.args["{x-quiet}i"] == "-"
class Line(logging.Formatter):
    def format(self, record):
        atoms = record.args
        return "|".join(str(atoms[name]) for name in
                        ("h", "m", "U", "q", "s", "b", "B", "T", "{x-in}i", "{x-out}o", "{X-None}i", "a", "r", "p"))
FOLDER = FOLDER_OF_TEST
logconfig_dict = {
    "version": 1, "root": {"level": "INFO", "handlers": []}, "filters": {"health": {"()": NoHealth}},
    "formatters": {"own": {"format": "%(message)s"}, "line": {"()": Line}},
    "handlers": {"access": {"class": "logging.FileHandler", "formatter": "line", "filters": ["health"],
                            "filename": FOLDER + "/access.out"},
                 "error": {"class": "logging.FileHandler", "formatter": "own", "filename": FOLDER + "/error.out"}},
    "loggers": {"gunicorn.access": {"handlers": ["access"], "propagate": False},
                "gunicorn.error": {"handlers": ["error"], "propagate": False}}}
'''


@needs_python
def test_a_dictionary_of_a_gunicorn_conf_py_with_classes_of_its_own(serve, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(CONF.replace("FOLDER_OF_TEST", repr(str(tmp_path))))
    server = start(serve, tmp_path)
    worker = server.worker_pids()[0]
    server.get("/health")
    server.get("/quiet", headers=[("X-Quiet", "yes")])
    server.get("/seen?x=1", headers=[("X-In", 'in"'), ("User-Agent", "agent/1")])
    wait_for(tmp_path / "access.out", "seen")
    assert text_of(tmp_path / "access.out") == (
        f'127.0.0.1|GET|/seen|x=1|200|1|1|0|in\\"|out|-|agent/1|GET /seen?x=1 HTTP/1.1|<{worker}>\n')
    assert server.stop() == 0
    assert text_of(tmp_path / "error.out").endswith("Shutting down: Master\n")


@needs_python
def test_gunicorns_own_dictionary_is_below_ours(serve, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text('logconfig_dict = {"formatters": {"generic": {"format": "own %(message)s"}}}\n')
    (tmp_path / "site_app.py").write_text(APP)
    server = serve("site_app:app", "--chdir", tmp_path)
    server.get("/seen")
    eventually("the line", lambda: re.search('^own 127.* "GET /seen', server.stdout(), re.MULTILINE))
    assert "own Starting narwhal" in server.log() and "own Starting narwhal" in server.stdout()  # it propagates, as there
    eventually("the application's", lambda: "own from the application" in server.stdout())


@pytest.mark.parametrize("name, text, fault", [
    ("log.json", "{", r"logconfig_json: PATH:1:2: Expecting property name enclosed in double quotes"),
    ("log.json", '{"handlers": {"x": {"class": "no.Such"}}}', r"logconfig_json: PATH: Unable to configure handler 'x': .*No module named 'no'"),
    ("log.json", "[]", r"logconfig_json: PATH: is not a dictionary"),
    ("log.json", None, r"logconfig_json: PATH: No such file or directory"),
    ("log.ini", "[loggers\n", r"logconfig: PATH: .*line: 1 '\[loggers\\n'.*"),
    ("log.ini", "[loggers]\nkeys=root\n", r"logconfig: PATH: .*formatters.*"),
    ("log.ini", None, r"logconfig: PATH: there is no such file"),
])
def test_a_fault_is_reported_at_the_start_with_its_file_and_by_check_config(tmp_path, name, text, fault):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    flag = "--log-config-json" if name.endswith("json") else "--log-config"
    for more in ([], ["--check-config"]):
        done = run(flag, path, *more, "-b", "127.0.0.1:0", example("echo"))
        assert done.returncode == 1
        assert re.fullmatch("narwhal: " + fault.replace("PATH", re.escape(str(path))) + "\n", done.stderr), done.stderr


@needs_python
def test_a_fault_of_a_dictionary_in_the_file(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text('wsgi_app = "site_app:app"\nlogconfig_dict = {"handlers": {"x": {"class": "a"}}}\n')
    (tmp_path / "site_app.py").write_text(APP)
    done = run("-b", "127.0.0.1:0", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("narwhal: logconfig_dict: Unable to configure handler 'x': ")


@needs_python
def test_a_reload_changes_the_configuration_and_a_broken_one_keeps_the_old(serve, tmp_path):
    path, other = tmp_path / "log.json", tmp_path / "other"
    path.write_text(json.dumps(dictionary(tmp_path)))
    server = start(serve, tmp_path, "--log-config-json", path)
    path.write_text("{broken")
    server.send(signal.SIGHUP)
    wait_for(tmp_path / "error.out", r"ERROR\|Reload failed at step 'log': logconfig_json: \S+log.json:1:2: .*; generation 1 continues to serve")
    server.get("/old")
    wait_for(tmp_path / "access.out", "GET /old")
    other.mkdir()
    path.write_text(json.dumps(dictionary(other)))
    server.send(signal.SIGHUP)
    wait_for(other / "error.out", "retiring generation 1")
    server.get("/new")
    wait_for(other / "access.out", "GET /new")
    wait_for(other / "root.out", "from the application")
    assert "/new" not in text_of(tmp_path / "access.out")


FILTERS = '''
import logging
accesslog = "-"
class NoHealth(logging.Filter):
    def filter(self, record):
        return "GET /health" not in record.getMessage()
'''


@needs_python
def test_a_filter_that_the_file_adds_to_gunicorns_logger(serve, tmp_path):
    (tmp_path / "site_app.py").write_text(APP)
    (tmp_path / "gunicorn.conf.py").write_text(FILTERS + 'logging.getLogger("gunicorn.access").addFilter(NoHealth())\n')
    server = serve("site_app:app", "--chdir", tmp_path)
    server.get("/health")
    server.get("/seen")
    eventually("the line", lambda: "GET /seen" in server.stdout())
    assert "/health" not in server.stdout()


@needs_python
def test_a_filter_that_a_hook_adds_is_named_as_of_no_effect(serve, tmp_path):
    (tmp_path / "site_app.py").write_text(APP)
    (tmp_path / "gunicorn.conf.py").write_text(
        FILTERS + 'def on_starting(server):\n    server.log.access_log.addFilter(NoHealth())\n')
    server = serve("site_app:app", "--chdir", tmp_path)
    server.wait_for("Hook on_starting: a filter or a handler that a hook adds to gunicorn.access or gunicorn.error has no effect; "
                    "add it outside of functions, or in logconfig_dict")
    server.get("/health")
    eventually("the line", lambda: "GET /health" in server.stdout())


# ---- logger_class ----
LOGGERS = '''
import os
from gunicorn.glogging import Logger
from gunicorn import glogging

class Own(glogging.Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.path = os.path.join(os.getcwd(), "own.out")
        self.put(f"setup {cfg.workers} {cfg.proc_name}")
    def put(self, text):
        with open(self.path, "a") as file:
            file.write(text + "\\n")
    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["x"] = "extra"
        return atoms
    def access(self, resp, req, environ, request_time):
        if environ["PATH_INFO"] == "/health":
            return
        names = dict(req.headers)
        self.put("|".join(map(str, (resp.status, resp.sent, dict(resp.headers)["X-Out"], names["X-IN"], req.method, req.path,
                                    environ["HTTP_X_IN"], environ["REMOTE_ADDR"], environ["RAW_URI"],
                                    request_time.total_seconds() >= 0))))
        super().access(resp, req, environ, request_time)
    def info(self, msg, *args, **kwargs):
        self.put("info " + (msg % args if args else msg))
        super().info(msg, *args, **kwargs)
'''
OWN_LINE = "200 OK|1|out|in|GET|/seen|in|127.0.0.1|/seen?x=1|True"


@pytest.fixture(params=["gunicorn is not installed", "the machine's packages"])
def python(request, tmp_path):
    """Flags for a Python without the package gunicorn, and for one that may have it."""
    if request.param.startswith("the"):
        return []
    venv.EnvBuilder(symlinks=True).create(tmp_path / "bare")
    return ["--venv", tmp_path / "bare"]


def check_own(serve, folder, *flags):
    (folder / "site_app.py").write_text(APP)
    server = serve("site_app:app", "--chdir", folder, "--access-logfile", "-", "--access-logformat", "%(x)s %(U)s", *flags)
    server.get("/health", headers=[("X-In", "in")])
    server.get("/seen?x=1", headers=[("X-In", "in")])
    eventually("the line", lambda: server.stdout() == "extra /seen\n")
    assert server.stop() == 0
    lines = text_of(folder / "own.out").splitlines()
    assert lines[0] == "setup 1 site_app:app"
    assert OWN_LINE in lines and lines[-1] == "info Shutting down: Master"
    assert any(line.startswith("info Starting narwhal") for line in lines)
    assert "Shutting down: Master" in server.log()


@needs_python
def test_a_subclass_of_gunicorns_logger_by_its_name(serve, tmp_path, python):
    (tmp_path / "site_logs.py").write_text(LOGGERS)
    check_own(serve, tmp_path, "--logger-class", "site_logs.Own", *python)


@needs_python
def test_a_subclass_that_writes_to_files(serve, tmp_path, python):
    (tmp_path / "site_logs.py").write_text("from gunicorn.glogging import Logger\nclass Own(Logger):\n    pass\n")
    server = start(serve, tmp_path, "--logger-class", "site_logs.Own", "--access-logfile", "access.out",
                   "--error-logfile", "error.out", *python)
    server.get("/seen")
    wait_for(tmp_path / "access.out", "GET /seen")
    for name in ("access", "error"):
        (tmp_path / f"{name}.out").rename(tmp_path / f"{name}.old")
    server.send(signal.SIGUSR1)
    wait_for(tmp_path / "error.out", "")
    eventually("a new file", lambda: (tmp_path / "access.out").exists())
    server.get("/after")
    wait_for(tmp_path / "access.out", "GET /after")
    assert server.stop() == 0
    assert text_of(tmp_path / "error.out").endswith("Shutting down: Master\n")


@needs_python
@pytest.mark.parametrize("text", [LOGGERS + "logger_class = Own\n", "from site_logs import Own\nlogger_class = Own\n",
                                  "logger_class = 'site_logs.Own'\n"])
def test_a_class_of_a_gunicorn_conf_py(serve, tmp_path, python, text):
    (tmp_path / "site_logs.py").write_text(LOGGERS)
    (tmp_path / "gunicorn.conf.py").write_text(text)
    check_own(serve, tmp_path, *python)


@pytest.mark.parametrize("name, fault", [
    ("Own", "logger_class: 'Own' is not a name such as module.Class"),
    ("json.Own", "logger_class: the module json has no Own"),
    ("no_such.Own", "logger_class: no_such.Own cannot be imported: ModuleNotFoundError: No module named 'no_such'"),
    ("json.loads", "logger_class: loads: TypeError: the JSON object must be str, bytes or bytearray, not Config"),
])
def test_a_class_that_cannot_be_used_is_a_fault(name, fault):
    done = run("--logger-class", name, "-b", "127.0.0.1:0", example("echo"))
    assert (done.returncode, done.stderr) == (1, f"narwhal: {fault}\n")


def test_gunicorns_own_class_needs_no_log_process(serve):
    server = serve(example("echo"), "--logger-class", "gunicorn.glogging.Logger")
    assert not re.search("is not|has no effect", server.log())


@needs_python
def test_json_lines_by_the_log_process(serve, tmp_path):
    (tmp_path / "site_app.py").write_text(APP)
    server = serve("site_app:app", "--chdir", tmp_path, "--access-logfile", "-", "--statsd-host", "127.0.0.1:1",
                   "--access-logformat", "json %({x-in}i)s")
    server.get('/a"b?\\', headers=[("X-In", "caf\xe9".encode().decode("latin-1"))])
    eventually("the line", lambda: server.stdout().endswith("}\n"))
    line = json.loads(server.stdout())
    assert line["path"] == '/a"b' and line["request_headers"] == {"x-in": "caf\xe9"} and line["status"] == 200
    assert "headers" not in line


@needs_python
def test_a_handler_of_a_module_that_only_pythonpath_finds(serve, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "own_handlers.py").write_text("import logging\nclass Own(logging.FileHandler): pass\n")
    described = dictionary(tmp_path)
    described["handlers"]["error"]["class"] = "own_handlers.Own"
    (tmp_path / "log.json").write_text(json.dumps(described))
    start(serve, tmp_path, "--log-config-json", tmp_path / "log.json", "--pythonpath", tmp_path / "lib")
