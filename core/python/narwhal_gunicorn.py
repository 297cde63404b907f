"""What a gunicorn.conf.py and its hooks see: cfg, log, server and worker with the attributes that Gunicorn gives them.

A module of the processes in which such files run: the workers (plugins/wsgi/python/hooks.py), and the process that reads
the file and runs the master's hooks (server/config/hook_runner.py).
"""
import importlib
import importlib.machinery
import importlib.util
import inspect
import logging
import os
import signal
import sys
import time
import traceback

from narwhal_lenient import APPLICATION_NAMES, ARBITER_NAMES, LOGGER_NAMES, WORKER_NAMES, Lenient, Reported

# The numbers of parameters that each hook may have; the first is the one that an error names.
WORKER_HOOKS = {"post_fork": (2,), "post_worker_init": (1,), "pre_request": (2,), "post_request": (4, 3, 2),
                "worker_int": (1,), "worker_abort": (1,), "worker_exit": (2,)}
MASTER_HOOKS = {"on_starting": (1,), "on_reload": (1,), "when_ready": (1,), "pre_fork": (2,), "child_exit": (2,),
                "nworkers_changed": (3,), "on_exit": (1,), "pre_exec": (1,)}

# Gunicorn's defaults: of the settings that narwhal does not have, and of the others where the server does not pass its own.
DEFAULTS = {
    "accesslog": None, "access_log_format": '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"', "backlog": 2048,
    "bind": ["127.0.0.1:8000"], "capture_output": False, "chdir": None, "errorlog": "-",
    "forwarded_allow_ips": ["127.0.0.1", "::1"], "graceful_timeout": 30, "group": None, "initgroups": False, "keepalive": 2,
    "limit_request_field_size": 8190, "limit_request_fields": 100, "limit_request_line": 4094, "loglevel": "info",
    "max_requests": 0, "max_requests_jitter": 0, "pidfile": None, "preload_app": False, "proc_name": None,
    "proxy_protocol": "off", "pythonpath": None, "raw_env": [], "reload": False, "reload_engine": "auto",
    "reload_extra_files": [], "reuse_port": False, "sendfile": None, "threads": 1, "timeout": 30, "tmp_upload_dir": None,
    "umask": 0, "user": None, "worker_class": "sync", "worker_connections": 1000, "workers": 1,
    "secure_scheme_headers": {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"},
    "asgi_disconnect_grace_period": 3, "asgi_lifespan": "auto", "asgi_loop": "auto", "ca_certs": None,
    "casefold_http_method": False, "cert_reqs": 0, "certfile": None, "check_config": False, "ciphers": None, "config": None,
    "control_socket": None, "daemon": False, "default_proc_name": "gunicorn", "dirty_apps": [],
    "disable_redirect_access_to_syslog": False, "do_handshake_on_connect": False, "dogstatsd_tags": "",
    "enable_stdio_inheritance": False, "http_parser": "auto", "keyfile": None, "logconfig": None, "logconfig_dict": {},
    "logconfig_json": None, "logger_class": "gunicorn.glogging.Logger", "paste": None, "permit_obsolete_folding": False,
    "permit_unconventional_http_method": False, "permit_unconventional_http_version": False, "print_config": False,
    "protocol": "http", "raw_paste_global_conf": [], "root_path": "", "spew": False, "ssl_version": 2, "statsd_host": None,
    "statsd_prefix": "", "strip_header_spaces": False, "suppress_ragged_eofs": True, "syslog": False,
    "syslog_addr": "udp://localhost:514", "syslog_facility": "user", "syslog_prefix": None, "uwsgi_allow_ips": [],
    "worker_tmp_dir": None, "wsgi_app": None}


class Log(Lenient):
    """The server's error log, with the methods of a logging.Logger. write(level, line, text) is the server's."""

    gunicorns_names = LOGGER_NAMES
    LOG_LEVELS = {"critical": logging.CRITICAL, "error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO,
                  "debug": logging.DEBUG}
    loglevel = Reported(lambda self: self.LOG_LEVELS.get(str(getattr(self.cfg, "loglevel", "")).lower(), logging.INFO),
                        "the server's loglevel remains")
    error_log = property(lambda self: logging.getLogger("gunicorn.error"))
    access_log = property(lambda self: logging.getLogger("gunicorn.access"))

    def __init__(self, write, cfg=None):
        self._write, self.cfg = write, cfg

    def _where_to_warn(self):
        return self

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

    def now(self):
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self):
        """The server reopens its logs itself, on USR1."""

    def close_on_exec(self):
        """It does this, too."""

    warn = warning
    fatal = critical


def address_of(bind):
    """"HOST:PORT" as (host, port), "unix:PATH" as its path, as in Gunicorn's cfg.address."""
    if bind.startswith("unix:"):
        return bind[len("unix:"):]
    host, colon, port = bind.rpartition(":")
    if colon and port.isdigit():
        return host.strip("[]") or "0.0.0.0", int(port)
    return bind


class Setting:
    """An entry of cfg.settings."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def get(self):
        return self.value


class ServerHandler(logging.Handler):
    """Records of logging become lines of the server's error log. write(level, line, text) is the server's."""

    def __init__(self, write):
        super().__init__()
        self.write = write

    def emit(self, record):
        try:
            trace = record.exc_text or ("".join(traceback.format_exception(*record.exc_info)) if record.exc_info else "")
            self.write(min(max(record.levelno // 10 - 1, 0), 4), record.getMessage(), trace)
        except Exception:
            self.handleError(record)


class Config:
    """Settings as attributes. Unknown ones are an AttributeError, as in Gunicorn."""

    address = property(lambda self: [address_of(bind) for bind in self.bind])
    env = property(lambda self: dict(each.partition("=")[::2] for each in self.raw_env))
    is_ssl = False
    settings = property(lambda self: {name: Setting(name, value) for name, value in vars(self).items()})
    uid = property(lambda self: os.geteuid())
    gid = property(lambda self: os.getegid())
    worker_class_str = property(lambda self: self.worker_class)

    def __init__(self, values):
        self.__dict__.update(values)

    def __getattr__(self, name):
        raise AttributeError(f"No configuration setting for: {name}")

    def set(self, name, value):
        if name not in vars(self):
            raise AttributeError(f"No configuration setting for: {name}")
        vars(self)[name] = value


def config_of(values, module):
    """cfg: `values` are the server's own settings; the rest is what the file says, else Gunicorn's default."""
    given = {name: value for name, value in vars(module).items()
             if name in DEFAULTS or name in WORKER_HOOKS or name in MASTER_HOOKS}
    if isinstance(given.get("bind"), str):
        given["bind"] = [given["bind"]]
    return Config({**DEFAULTS, **dict.fromkeys([*WORKER_HOOKS, *MASTER_HOOKS]), **given, **values})


class Listener:
    """An entry of server.LISTENERS and worker.sockets."""

    def __init__(self, bind):
        self._bind, self.cfg_addr = bind, address_of(bind)

    def getsockname(self):
        return self.cfg_addr

    def __str__(self):
        return self._bind if self._bind.startswith(("unix:", "fd:")) else f"http://{self._bind}"


class Server(Lenient):
    """Gunicorn's arbiter. `master` gives the master's pid."""

    gunicorns_names = ARBITER_NAMES
    WORKER_BOOT_ERROR, APP_LOAD_ERROR = 3, 4
    master_name = "Master"
    master_pid = reexec_pid = 0
    pidfile = dirty_arbiter = None
    systemd = Reported(lambda self: "LISTEN_FDS" in os.environ)
    pid = Reported(lambda self: self._master())
    address = Reported(lambda self: self.cfg.address)
    timeout = Reported(lambda self: self.cfg.timeout)
    worker_class = Reported(lambda self: self.cfg.worker_class)
    proc_name = Reported(lambda self: self.cfg.proc_name)
    num_workers = Reported(lambda self: self._count, "the signals TTIN and TTOU to server.pid change the number")

    def __init__(self, log, cfg, master=os.getppid):
        self.log, self.cfg, self._count, self._master = log, cfg, cfg.workers, master
        self.app, self.worker_age, self.WORKERS = App(log), 0, {}
        self.LISTENERS = [Listener(bind) for bind in cfg.bind]
        self.START_CTX = {"args": list(sys.argv), "cwd": os.getcwd(), 0: sys.executable}

    def _signal(self, number, pid=None):
        os.kill(pid or self._master(), number)

    def reload(self):
        self._signal(signal.SIGHUP)

    def stop(self, graceful=True):
        self._signal(signal.SIGTERM if graceful else signal.SIGQUIT)

    def halt(self, reason=None, exit_status=0):
        """The exit status remains that of a server that was stopped."""
        if reason is not None:
            (self.log.error if exit_status else self.log.info)("Reason: %s", reason)
        self.stop()

    def kill_worker(self, pid, sig):
        self._signal(sig, pid)

    def kill_workers(self, sig):
        for pid in list(self.WORKERS):
            self._signal(sig, pid)

    def wakeup(self):
        """The server needs no waking."""


NOT_CALLED = "narwhal does not call it; wrap the application itself"


class App(Lenient):
    """Gunicorn's application object."""

    gunicorns_names = APPLICATION_NAMES
    callable = Reported(lambda self: self._application, NOT_CALLED)

    def __init__(self, log):
        self.log, self._application = log, None

    def wsgi(self):
        return self.callable


class HeartbeatFile:
    """worker.tmp: narwhal's workers have no such file."""

    def notify(self):
        pass

    def last_update(self):
        return time.monotonic()


class Worker(Lenient):
    """Gunicorn's worker. `pid`: none in the worker itself."""

    gunicorns_names = WORKER_NAMES
    pid = Reported(lambda self: self._pid or os.getpid())
    ppid = Reported(lambda self: self._master())
    wsgi = Reported(lambda self: self.app.callable, NOT_CALLED)
    timeout = Reported(lambda self: self.cfg.timeout)
    worker_connections = Reported(lambda self: self.cfg.worker_connections)
    max_requests = Reported(lambda self: self.cfg.max_requests or sys.maxsize)
    reloader = None
    nr = Reported(lambda self: self._answered())
    alive = property(lambda self: self._alive, lambda self, value: self._set_alive(value))

    def __init__(self, log, cfg, age, pid=None, master=os.getppid, answered=lambda: 0, retire=lambda: None):
        self.log, self.cfg, self.age, self._pid, self._master = log, cfg, age, pid, master
        self._answered, self._retire, self._alive = answered, retire, True
        self.app, self.booted, self.aborted, self.tmp = App(log), False, False, HeartbeatFile()
        self.sockets = [Listener(bind) for bind in cfg.bind]

    def _set_alive(self, value):
        ends = self._alive and not value
        self._alive = bool(value)
        if ends:
            self._retire()

    def notify(self):
        """The server sees by itself whether a worker is alive."""

    def __str__(self):
        return f"<Worker {self.pid}>"


class StandIn:
    """Finds the modules of Gunicorn that a logger_class is made from, where that package is not installed."""

    names = ("gunicorn", "gunicorn.glogging", "gunicorn.instrument", "gunicorn.instrument.statsd")

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=name in ("gunicorn", "gunicorn.instrument"))

    def create_module(self, spec):
        """Python makes it."""

    def exec_module(self, module):
        if module.__name__ in ("gunicorn.glogging", "gunicorn.instrument.statsd"):
            import narwhal_loggers  # here, because few files need it
            vars(module).update(narwhal_loggers.contents_of(module.__name__))

    def __enter__(self):
        sys.meta_path.append(self)  # last: the package itself comes first

    def __exit__(self, *_):
        sys.meta_path.remove(self)


def load(location):
    with StandIn():
        return load_module(location)


def load_module(location):
    """Runs the file, or imports "python:MODULE", as Gunicorn does: a file becomes the module __config__.

    Unlike there, no byte code of the file is kept: Python takes a cached one as current when the file was saved twice
    within a second.
    """
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


def set_title(title):
    """What ps shows: by default the whole program, which was an argument. A last byte that is not NUL makes the kernel
    show the text up to the first NUL."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(title.encode("utf-8", "replace")[:end - start - 2].ljust(end - start - 1, b"\0") + b".")
    except (OSError, ValueError, IndexError):
        pass


LOGGERS = ("gunicorn.error", "gunicorn.access")


def changes_of_loggers():
    """What has been added to Gunicorn's loggers, as a text: compare it with an earlier one."""
    return repr([(logger.filters, logger.handlers) for logger in map(logging.getLogger, LOGGERS)])


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
    arities = WORKER_HOOKS.get(name) or MASTER_HOOKS[name]
    count = arity_of(hook)
    if count not in arities:
        raise TypeError(f"{name} must have an arity of: {arities[0]}")
    if name == "post_request" and count < 4:
        return lambda *arguments: hook(*arguments[:count])
    return hook
