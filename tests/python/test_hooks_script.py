"""plugins/wsgi/python/hooks.py: what the hooks of a gunicorn.conf.py get, and when they are called."""
import json
import os
import sys

import hooks
import narwhal_gunicorn
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


def test_an_attribute_that_is_missing_is_none_with_one_warning(make, lines):
    made = make("")
    made.forked(1)
    for _ in range(2):
        assert made.server.of_no_gunicorn is None and request().of_no_gunicorn is None
    assert lines == [(2, f"Hooks: narwhal does not have '{name}.of_no_gunicorn': it is None", "")
                     for name in ("server", "request")]
    with pytest.raises(AttributeError):
        made.server.__of_no_python__


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
