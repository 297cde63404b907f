"""plugins/wsgi/python/hooks.py: what the hooks of a gunicorn.conf.py get, and when they are called."""
import json
import os
import re
import sys

import hooks
import narwhal_gunicorn
import narwhal_lenient
import pytest


class Lines(list):
    """What was written to the server's log: (level, line, text)."""

    def __call__(self, level, line, text):
        self.append((level, line, text))


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def retired():
    """How often a hook has asked for the end of its worker."""
    def ask():
        ask.count += 1
    ask.count = 0
    return ask


@pytest.fixture
def make(tmp_path, lines, retired):
    """make(source): the Hooks of a file with this source."""
    def made(source):
        path = tmp_path / "gunicorn.conf.py"
        path.write_text(source)
        return hooks.Hooks(str(path), json.dumps({"workers": 2, "threads": 4, "max_requests": 0}), lines, lambda: 7, retired)
    return made


def request(headers=(("HOST", "h"),), version="HTTP/1.1"):
    return hooks.Request("GET", "/a?b=c", "/a", "b=c", version, "http", ("192.0.2.1", 7), list(headers))


def test_the_log_formats_as_logging_does(lines):
    log = narwhal_gunicorn.Log(lines)
    log.debug("plain %s")
    log.info("%s is %d", "x", 7)
    log.warn("%(a)s", {"a": 1})
    log.error("%d", "not a number")
    log.fatal("%s", {})
    assert lines == [(0, "plain %s", ""), (1, "x is 7", ""), (2, "1", ""), (3, "%d ('not a number',)", ""), (4, "{}", "")]


def test_the_log_takes_levels_of_logging_and_their_names(lines):
    log = narwhal_gunicorn.Log(lines)
    for level in (5, 10, 20, 30, 40, 50, 90, "WARNING", "unheard of"):
        log.log(level, "x")
    assert [level for level, _, _ in lines] == [0, 0, 1, 2, 3, 4, 4, 2, 1]


def test_the_log_adds_tracebacks(lines):
    log = narwhal_gunicorn.Log(lines)
    try:
        1 / 0
    except ZeroDivisionError as error:
        log.exception("during")
        log.error("given", exc_info=error)
        log.error("as a tuple", exc_info=(type(error), error, error.__traceback__))
    assert [text.splitlines()[-1] for _, _, text in lines] == ["ZeroDivisionError: division by zero"] * 3


def test_settings_are_those_of_the_file_else_gunicorns_defaults(make):
    made = make("bind = 'unix:a'\ntimeout = 7\nunknown = 1\n")
    cfg = made.worker.cfg
    assert (cfg.bind, cfg.timeout, cfg.backlog, cfg.workers, cfg.threads) == (["unix:a"], 7, 2048, 2, 4)
    with pytest.raises(AttributeError, match="No configuration setting for: unknown"):
        cfg.unknown


def test_the_servers_settings_come_before_the_files(make):
    cfg = make("workers = 9\nworker_tmp_dir = '/dev/shm'\nraw_env = ['A=1', 'B=2=3']\n").worker.cfg
    assert (cfg.workers, cfg.worker_tmp_dir, cfg.env) == (2, "/dev/shm", {"A": "1", "B": "2=3"})
    cfg.set("workers", 4)
    assert cfg.workers == cfg.settings["workers"].get() == 4


@pytest.mark.parametrize("bind, address", [
    ("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:8000", ("::1", 8000)), ("unix:/run/a:1", "/run/a:1"), ("fd://3", "fd://3"),
    (":80", ("0.0.0.0", 80))])
def test_addresses_are_those_of_gunicorn(bind, address):
    assert narwhal_gunicorn.address_of(bind) == address


@pytest.fixture(autouse=True)
def _no_warning_yet():
    narwhal_lenient.warned.clear()


def test_an_attribute_of_gunicorn_that_is_missing_is_none_with_one_warning(make, lines):
    made = make("")
    made.forked(1)
    response = hooks.Response("200 OK", [])
    missing = [(made.server, "SIG_QUEUE"), (made.worker, "nr_conns"), (request(), "unreader"), (response, "sock"),
               (made.server.log, "atoms"), (made.server.app, "prog")]
    for item, name in missing * 2:
        assert hasattr(item, name) and getattr(item, name) is None
    assert lines == [(2, f"Hooks: narwhal does not have '{type(item).__name__.lower()}.{name}': it is None", "")
                     for item, name in missing]


def test_an_attribute_that_gunicorn_does_not_have_is_an_attribute_error(make, lines):
    made = make("")
    for item in (made.server, made.worker, made.server.app, made.server.log, request(), hooks.Response("200 OK", [])):
        assert not hasattr(item, "made_up") and getattr(item, "own_name", 7) == 7
        with pytest.raises(AttributeError, match=f"'{type(item).__name__}' object has no attribute '__of_no_python__'"):
            item.__of_no_python__
    assert lines == []


def test_the_names_of_gunicorn_are_not_those_that_narwhal_has(make):
    made = make("")
    for item in (made.server, made.worker, made.server.app, request(), hooks.Response("200 OK", [])):
        own = vars(item).keys() | vars(type(item)).keys()
        assert item.gunicorns_names and not item.gunicorns_names & own


REPORTED = [("worker", name) for name in ("wsgi", "timeout", "nr", "pid", "ppid", "max_requests", "worker_connections")] + [
    ("server", name) for name in ("address", "pid", "timeout", "worker_class", "proc_name", "systemd", "num_workers")] + [
    ("log", "loglevel"), ("app", "callable")]


@pytest.mark.parametrize("owner, name", REPORTED)
def test_what_has_no_effect_may_be_assigned_with_one_warning(make, lines, owner, name):
    made = make("")
    made.ready("application")
    item = {"worker": made.worker, "server": made.server, "log": made.server.log, "app": made.worker.app}[owner]
    getattr(item, name)
    assert lines == []
    for value in ("one", "two"):
        setattr(item, name, value)
        assert getattr(item, name) == value
    (level, line, _), = lines
    assert level == 2 and line.startswith(f"Hooks: '{owner}.{name}' was assigned, which has no effect: ")


def test_an_application_that_is_wrapped_in_post_worker_init_is_not_called(make, lines):
    make("def post_worker_init(worker): worker.wsgi = [worker.wsgi]\n").ready("application")
    assert [line for _, line, _ in lines] == [
        "Hooks: 'worker.wsgi' was assigned, which has no effect: narwhal does not call it; wrap the application itself"]


def test_the_log_has_what_gunicorns_logger_has(make):
    log = make("loglevel = 'debug'\n").server.log
    assert log.loglevel == log.LOG_LEVELS["debug"] == 10 and log.cfg.timeout == 30
    assert re.fullmatch(r"\[\d\d/\w+/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", log.now())


def test_a_worker_that_is_not_alive_is_retired_once(make, retired):
    worker = make("").worker
    worker.alive = False
    worker.alive = False
    assert retired.count == 1 and not worker.alive and worker.nr == 7


def test_worker_int_runs_before_worker_exit_at_a_quick_stop_only(make, lines):
    made = make("""
calls = []
def worker_int(worker): calls.append("int"); 1 / 0
def worker_exit(server, worker): calls.append("exit")
""")
    calls = sys.modules["__config__"].calls
    made.leave(False)
    assert calls == ["exit"]
    made.leave(True)
    assert calls == ["exit", "int", "exit"]
    assert lines[0][1] == "Exception in worker_int hook" and "ZeroDivisionError" in lines[0][2]


def test_the_file_is_the_module_config(make):
    made = make("name = __name__\npath = __file__\ndef post_fork(server, worker): worker.seen = (name, path)\n")
    made.forked(3)
    assert made.worker.seen[0] == "__config__" and made.worker.seen[1].endswith("gunicorn.conf.py")


def test_hooks_are_called_in_turn_with_what_gunicorn_gives(make):
    made = make("""
calls = []
def post_fork(server, worker): calls.append(("post_fork", server.num_workers, worker.age, worker.booted))
def post_worker_init(worker): calls.append(("post_worker_init", worker.wsgi, worker.booted))
def worker_abort(worker): calls.append(("worker_abort", str(worker)))
def worker_exit(server, worker): calls.append(("worker_exit", worker.alive))
""")
    calls = sys.modules["__config__"].calls
    made.forked(3)
    made.ready("the application")
    assert made.worker.booted
    made.abort()
    made.leave(False)
    assert calls == [("post_fork", 2, 3, False), ("post_worker_init", "the application", False),
                     ("worker_abort", f"<Worker {os.getpid()}>"), ("worker_exit", False)]
    assert made.worker.pid == os.getpid() and made.server.pid == made.worker.ppid == os.getppid()


def test_without_hooks_nothing_is_called(make):
    made = make("")
    made.forked(3)
    made.ready(None)
    made.leave(False)
    assert made.pre_request is None and made.post_request is None


def test_pre_request_may_change_headers(make):
    made = make("""
def pre_request(worker, req):
    req.headers = [each for each in req.headers if each[0] != "COOKIE"] + [("X-ADDED", "1"), ("X-TWICE", "b")]
""")
    environ = {"HTTP_HOST": "h", "HTTP_COOKIE": "c", "HTTP_X_TWICE": "a", "CONTENT_TYPE": "t"}
    made.before(request([("HOST", "h"), ("COOKIE", "c"), ("X-TWICE", "a"), ("CONTENT-TYPE", "t")]), environ)
    assert environ == {"HTTP_HOST": "h", "HTTP_X_ADDED": "1", "HTTP_X_TWICE": "a,b", "CONTENT_TYPE": "t"}


@pytest.mark.parametrize("path, script_name, path_info", [
    ("/b%20c", "", "/b c"), ("/%C3%BC", "", "/\xc3\xbc"), ("/app/b", "/app", "/b"), ("/app", "/app", ""), ("/apple", "/app", "/apple"),
])
def test_pre_request_may_change_the_request(make, path, script_name, path_info):
    made = make(f"""
def pre_request(worker, req):
    req.method, req.path, req.query, req.uri, req.scheme = "PUT", {path!r}, "x=y", "/raw", "https"
    req.version = (1, 0)
    req.force_close()
""")
    environ = {"SCRIPT_NAME": script_name, "HTTP_HOST": "h"}
    made.before(request([("HOST", "h")]), environ)
    assert environ == {"REQUEST_METHOD": "PUT", "PATH_INFO": path_info, "QUERY_STRING": "x=y", "RAW_URI": "/raw",
                       "wsgi.url_scheme": "https", "SERVER_PROTOCOL": "HTTP/1.0", "SCRIPT_NAME": script_name, "HTTP_HOST": "h"}


@pytest.mark.parametrize("parameters, given", [("worker, req", 2), ("worker, req, environ", 3), ("w, r, e, resp", 4)])
def test_post_request_may_have_two_to_four_parameters(make, parameters, given):
    made = make(f"calls = []\ndef post_request({parameters}): calls.append(({parameters}))\n")
    made.after(request(), {}, hooks.Response("404 Not Found", []))
    call, = sys.modules["__config__"].calls
    assert len(call) == given
    if given == 4:
        assert (call[3].status, call[3].status_code) == ("404 Not Found", 404)


def test_what_post_request_raises_is_logged(make, lines):
    made = make("def post_request(worker, req): 1 / 0\n")
    made.after(request(), {}, None)
    (level, line, text), = lines
    assert (level, line) == (3, "Exception in post_request hook") and "ZeroDivisionError" in text


@pytest.mark.parametrize("source, message", [
    ("post_fork = 7\n", "post_fork is not callable: 7"),
    ("def post_fork(server): pass\n", "post_fork must have an arity of: 2"),
    ("def post_request(worker): pass\n", "post_request must have an arity of: 4"),
])
def test_a_hook_that_cannot_be_called_is_an_error(make, source, message):
    with pytest.raises(TypeError) as caught:
        make(source)
    assert str(caught.value) == message


def test_a_hook_may_be_the_name_of_a_function(make):
    assert make("worker_abort = 'os.path.exists'\n").worker_abort is os.path.exists


def test_a_request_has_gunicorns_attributes():
    made = request(version="HTTP/1.0")
    assert (made.version, made.uri, made.path, made.query, made.remote_addr) == (
        (1, 0), "/a?b=c", "/a", "b=c", ("192.0.2.1", 7))


@pytest.mark.parametrize("version, headers, closes", [
    ("HTTP/1.1", [], False), ("HTTP/1.0", [], True), ("HTTP/1.1", [("CONNECTION", " Close")], True),
    ("HTTP/1.0", [("CONNECTION", "keep-alive")], False), ("HTTP/1.0", [("CONNECTION", "upgrade")], True)])
def test_a_request_says_whether_its_client_closes(version, headers, closes):
    assert request(headers, version).should_close() is closes


@pytest.mark.parametrize("status, headers, length, chunked", [
    ("200 OK", [], None, True), ("200 OK", [("Content-Length", "7")], 7, False), ("204 No Content", [], None, False)])
def test_a_response_has_gunicorns_attributes(make, status, headers, length, chunked):
    made = make("calls = []\ndef post_request(worker, req, environ, resp): calls.append(resp)\n")
    response = hooks.Response(status, headers)
    made.after(request(), {}, response)
    assert sys.modules["__config__"].calls == [response]
    assert (response.response_length, response.chunked, response.is_chunked()) == (length, chunked, chunked)
    assert response.headers_sent and not response.should_close()
    assert response.cfg is response.req.cfg is made.worker.cfg
