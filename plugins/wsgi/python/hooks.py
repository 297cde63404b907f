"""The hooks of a gunicorn.conf.py, and what they get: `server`, `worker`, `req` and `resp` as Gunicorn has them.

hooks.cpp runs this in each worker and uses Hooks, Request and Response.
"""
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback

# The numbers of parameters that each hook may have; the first is the one that an error names.
ARITIES = {"post_fork": (2,), "post_worker_init": (1,), "pre_request": (2,), "post_request": (4, 3, 2),
           "worker_abort": (1,), "worker_exit": (2,)}

# Gunicorn's defaults, for settings that the file does not give.
DEFAULTS = {
    "bind": ["127.0.0.1:8000"], "backlog": 2048, "worker_class": "sync", "worker_connections": 1000, "max_requests": 0,
    "max_requests_jitter": 0, "timeout": 30, "graceful_timeout": 30, "keepalive": 2, "limit_request_line": 4094,
    "limit_request_fields": 100, "limit_request_field_size": 8190, "reload": False, "reload_engine": "auto",
    "reload_extra_files": [], "spew": False, "preload_app": False, "sendfile": None, "reuse_port": False,
    "daemon": False, "raw_env": [], "pidfile": None, "worker_tmp_dir": None, "user": None, "group": None, "umask": 0,
    "initgroups": False, "tmp_upload_dir": None, "forwarded_allow_ips": ["127.0.0.1", "::1"],
    "secure_scheme_headers": {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"},
    "accesslog": None, "errorlog": "-", "loglevel": "info", "capture_output": False, "logconfig": None,
    "logconfig_dict": {}, "syslog": False, "statsd_host": None, "statsd_prefix": "", "proc_name": None,
    "pythonpath": None, "proxy_protocol": False, "keyfile": None, "certfile": None, "wsgi_app": None, "config": None,
    "access_log_format": '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'}


class Log:
    """The server's error log, with the methods of a logging.Logger. write(level, line, text) is the server's."""

    def __init__(self, write):
        self._write = write

    def _log(self, level, message, args, exc_info=None, **_):
        line = str(message)
        try:
            if args:
                line %= args[0] if len(args) == 1 and args[0] and isinstance(args[0], dict) else args
        except (TypeError, ValueError, KeyError):
            line = f"{line} {args}"
        text = ""
        if isinstance(exc_info, BaseException):
            text = "".join(traceback.format_exception(exc_info))
        elif isinstance(exc_info, tuple):
            text = "".join(traceback.format_exception(*exc_info))
        elif exc_info:
            text = traceback.format_exc()
        self._write(level, line, text)

    def debug(self, message, *args, **named):
        self._log(0, message, args, **named)

    def info(self, message, *args, **named):
        self._log(1, message, args, **named)

    def warning(self, message, *args, **named):
        self._log(2, message, args, **named)

    def error(self, message, *args, **named):
        self._log(3, message, args, **named)

    def critical(self, message, *args, **named):
        self._log(4, message, args, **named)

    def exception(self, message, *args, **named):
        self._log(3, message, args, **{"exc_info": True, **named})

    def log(self, level, message, *args, **named):
        names = {"debug": 0, "info": 1, "warning": 2, "error": 3, "critical": 4}
        number = names.get(level.lower(), 1) if isinstance(level, str) else min(max(level // 10 - 1, 0), 4)
        self._log(number, message, args, **named)

    warn = warning
    fatal = critical


class Config:
    """Settings as attributes."""

    def __init__(self, values):
        self.__dict__.update(values)

    def __getattr__(self, name):
        raise AttributeError(f"No configuration setting for: {name}")


class Server:
    """Gunicorn's arbiter."""

    pid = property(lambda self: os.getppid())

    def __init__(self, log, cfg):
        self.log, self.cfg, self.num_workers = log, cfg, cfg.workers


class App:
    callable = None

    def wsgi(self):
        return self.callable


class Worker:
    pid = property(lambda self: os.getpid())
    ppid = property(lambda self: os.getppid())
    wsgi = property(lambda self: self.app.callable)

    def __init__(self, log, cfg, age):
        self.log, self.cfg, self.age, self.app, self.booted, self.alive = log, cfg, age, App(), False, True

    def __str__(self):
        return f"<Worker {self.pid}>"


def environ_of(headers):
    """The keys of an environ that these headers give, as Gunicorn makes them."""
    values = {}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
        values[key] = values[key] + "," + value if key in values else value
    return values


class Request:
    def __init__(self, method, uri, path, query, version, scheme, peer, headers):
        self.method, self.uri, self.path, self.query, self.scheme = method, uri, path, query, scheme
        self.version = tuple(int(digit) for digit in version.rpartition("/")[2].split("."))
        self.remote_addr = self.peer_addr = peer
        self.fragment = ""
        self.headers, self._sent = headers, list(headers)

    def apply_changes(self, environ):
        """Puts into environ the headers that pre_request has added, changed or removed."""
        if self.headers == self._sent:
            return
        before, now = environ_of(self._sent), environ_of(self.headers)
        for key in before.keys() | now.keys():
            if before.get(key) == now.get(key):
                continue
            if key in now:
                environ[key] = now[key]
            else:
                environ.pop(key, None)


class Response:
    def __init__(self, status, headers):
        self.status, self.headers = status, headers
        self.status_code = int(status[:3]) if status else None


def load(location):
    """Runs the file, or imports "python:MODULE", as Gunicorn does: a file becomes the module __config__."""
    if location.startswith("python:"):
        return importlib.import_module(location[len("python:"):])
    with open(location, "rb") as file:
        code = compile(file.read(), location, "exec", dont_inherit=True)
    loader = importlib.machinery.SourceFileLoader("__config__", location)
    spec = importlib.util.spec_from_file_location("__config__", location, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["__config__"] = module
    exec(code, vars(module))
    return module


def arity_of(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([each for each in inspect.signature(function).parameters.values() if each.kind in kinds])


def find_hook(module, name):
    """The hook of this name, or None. As in Gunicorn it may also be the dotted name of a function."""
    hook = getattr(module, name, None)
    if isinstance(hook, str):
        module_name, _, attribute = hook.rpartition(".")
        hook = getattr(importlib.import_module(module_name), attribute)
    if hook is None:
        return None
    if not callable(hook):
        raise TypeError(f"{name} is not callable: {hook!r}")
    count = arity_of(hook)
    if count not in ARITIES[name]:
        raise TypeError(f"{name} must have an arity of: {ARITIES[name][0]}")
    if name == "post_request" and count < 4:
        return lambda *arguments: hook(*arguments[:count])
    return hook


class Hooks:
    def __init__(self, location, write, age, workers, threads):
        module = load(location)
        for name in ARITIES:
            setattr(self, name, find_hook(module, name))
        given = {name: value for name, value in vars(module).items() if name in DEFAULTS}
        if isinstance(given.get("bind"), str):
            given["bind"] = [given["bind"]]
        cfg = Config({**DEFAULTS, **given, "workers": workers, "threads": threads})
        log = Log(write)
        self.server, self.worker = Server(log, cfg), Worker(log, cfg, age)

    def forked(self):
        if self.post_fork:
            self.post_fork(self.server, self.worker)

    def ready(self, application):
        self.worker.app.callable = application
        if self.post_worker_init:
            self.post_worker_init(self.worker)
        self.worker.booted = True

    def before(self, request, environ):
        self.pre_request(self.worker, request)
        request.apply_changes(environ)

    def after(self, request, environ, response):
        try:
            self.post_request(self.worker, request, environ, response)
        except Exception:
            self.worker.log.exception("Exception in post_request hook")

    def abort(self):
        self.worker_abort(self.worker)

    def leave(self):
        self.worker.alive = False
        if self.worker_exit:
            self.worker_exit(self.server, self.worker)
