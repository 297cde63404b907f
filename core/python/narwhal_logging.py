"""The logger that Gunicorn's settings of the logs describe: for the log process, and for the loggers of applications.

narwhal_loggers.py adds metrics to it, and chooses the class.
"""
import datetime
import json
import logging
import logging.config
import logging.handlers
import os
import socket
import sys
import threading
import time

SYSLOG_FACILITIES = {**{name: number for name, number in logging.handlers.SysLogHandler.facility_names.items()
                        if name not in ("console", "ntp", "solaris-cron")}, "security": 4}


def _handler(stream):
    return {"class": "logging.StreamHandler", "formatter": "generic", "stream": f"ext://sys.{stream}"}


def _logger(name, handler):
    return {"level": "INFO", "handlers": [handler], "propagate": True, "qualname": name}


# What a dictionary is put on top of, key by key.
CONFIG_DEFAULTS = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {"gunicorn.error": _logger("gunicorn.error", "error_console"),
                "gunicorn.access": _logger("gunicorn.access", "console")},
    "handlers": {"console": _handler("stdout"), "error_console": _handler("stderr")},
    "formatters": {"generic": {"format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
                               "datefmt": "[%Y-%m-%d %H:%M:%S %z]", "class": "logging.Formatter"}}}


class ConfigFault(RuntimeError):
    """A setting of the logs that cannot be used; the text names it, and the place."""


class JournalFormatter(logging.Formatter):
    """Each line begins with syslog's number of its level, "<3>", which the journal takes off."""

    def format(self, record):
        level = record.levelno
        mark = "<2>" if level >= 50 else "<3>" if level >= 40 else "<4>" if level >= 30 else "<6>" if level >= 20 else "<7>"
        return "\n".join(mark + line for line in super().format(record).split("\n"))


def is_journal(stream):
    """Whether it is the stream to systemd's journal."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


class Sender:
    """The process whose line is being written: its pid, the time, and the traceback that came with the line."""

    pid = moment = None
    trace = ""

    def make_record(self, *args, **kwargs):
        record = logging.LogRecord(*args, **kwargs)
        if self.pid is not None:
            record.process = self.pid
            record.created, record.msecs = self.moment, int(self.moment % 1 * 1000) + 0.0
            record.relativeCreated = (self.moment - logging._startTime) * 1000
            record.exc_text = self.trace or None
        return record


sender = Sender()


# ---- logconfig ----
def reason(error):
    """An exception of logging.config in one line, with its cause: "Unable to configure handler 'a': ..."."""
    parts = []
    while error is not None:
        text = " ".join(str(error).split()) or type(error).__name__
        parts.append(f"{text} is missing" if isinstance(error, KeyError) else text)
        error = error.__cause__ or error.__context__
    return ": ".join(dict.fromkeys(parts))


def has_logconfig(cfg):
    return bool(cfg.logconfig_dict or cfg.logconfig_json or cfg.logconfig)


def _apply_dictionary(where, given):
    if not isinstance(given, dict):
        raise ConfigFault(f"{where}: is not a dictionary")
    try:
        logging.config.dictConfig({**CONFIG_DEFAULTS, **given})
    except Exception as error:
        raise ConfigFault(f"{where}: {reason(error)}") from error


def _read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        raise ConfigFault(f"logconfig_json: {path}:{error.lineno}:{error.colno}: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise ConfigFault(f"logconfig_json: {path}: {getattr(error, 'strerror', None) or error}") from error


def _apply_file(path):
    if not os.path.isfile(path):
        raise ConfigFault(f"logconfig: {path}: there is no such file")
    try:
        logging.config.fileConfig(path, defaults={"__file__": path, "here": os.path.dirname(path)},
                                  disable_existing_loggers=False)
    except Exception as error:
        raise ConfigFault(f"logconfig: {path}: {reason(error)}") from error


def apply_logconfig(cfg):
    """The first of the three that is set counts, as with Gunicorn."""
    if cfg.logconfig_dict:
        _apply_dictionary("logconfig_dict", cfg.logconfig_dict)
    elif cfg.logconfig_json:
        _apply_dictionary(f"logconfig_json: {cfg.logconfig_json}", _read_json(cfg.logconfig_json))
    elif cfg.logconfig:
        _apply_file(cfg.logconfig)


# ---- the atoms of an access line ----
ESCAPES = {**{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
           ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\"}


def escaped(text):
    is_plain = text.isprintable() and '"' not in text and "\\" not in text
    return text if is_plain else text.translate(ESCAPES)


class SafeAtoms(dict):
    """Atoms that no client can end a line or a quoted value with. Named ones are found in any case; a missing one is '-'."""

    def __init__(self, atoms):
        super().__init__((name, escaped(value) if isinstance(value, str) else value) for name, value in atoms.items())

    def __getitem__(self, name):
        return self.get(name.lower() if name.startswith("{") else name, "-")


def named_atoms(pairs, kind):
    return {f"{{{name.lower()}}}{kind}": value for name, value in pairs}


def pairs_of(headers):
    headers = getattr(headers, "headers", headers)
    return headers.items() if hasattr(headers, "items") else headers


def parse_syslog_address(address):
    """(socket type or None, path or (host, port)) of "unix://PATH#dgram", "udp://HOST:PORT" or "tcp://HOST:PORT"."""
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in ("unix", "udp", "tcp"):
        raise ConfigFault(f"syslog_addr: '{address}' is not unix://PATH, udp://HOST:PORT or tcp://HOST:PORT")
    if scheme == "unix":
        path, _, kind = rest.partition("#")
        return {"dgram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}.get(kind), path
    host, bracket, after = rest.lower().partition("]")
    if bracket:
        host = host.lstrip("[")
    else:
        host, colon, after = rest.lower().partition(":")
        after = colon + after
    port = after.removeprefix(":") or "514"
    if not port.isdigit():
        raise ConfigFault(f"syslog_addr: '{port}' is not a port number")
    return socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM, (host or "localhost", int(port))


class SyslogHandler(logging.handlers.SysLogHandler):
    """Goes on when syslog is away: it connects again after a second, and says once a minute that lines are lost."""

    retry_at = 0.0
    report_at = {}  # by address, for both logs

    def emit(self, record):
        if time.monotonic() >= self.retry_at:
            super().emit(record)

    def handleError(self, record):
        error, now = sys.exc_info()[1], time.monotonic()
        self.retry_at = now + 1
        if self.socket and not self.unixsocket:
            self.socket.close()
            self.socket = None
        if now >= self.report_at.get(self.address, 0):
            self.report_at[self.address] = now + 60
            print(f"Lines for syslog at {self.address} are lost: {error}", file=sys.stderr, flush=True)


class Logger:
    LOG_LEVELS = {"critical": logging.CRITICAL, "error": logging.ERROR, "warning": logging.WARNING,
                  "info": logging.INFO, "debug": logging.DEBUG}
    loglevel = logging.INFO
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg):
        self.error_log, self.access_log = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
        self.error_log.propagate = self.access_log.propagate = False
        self.error_handlers, self.access_handlers = [], []
        self.logfile, self.lock, self.cfg = None, threading.Lock(), cfg
        self.setup(cfg)

    def setup(self, cfg):
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        formatter = JournalFormatter if cfg.errorlog == "-" and is_journal(sys.stderr) else logging.Formatter
        self._set_handler(self.error_log, cfg.errorlog, formatter(self.error_fmt, self.datefmt))
        if cfg.accesslog:
            self._set_handler(self.access_log, cfg.accesslog, logging.Formatter(self.access_fmt), sys.stdout)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, "error")
            if not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, "access")
        apply_logconfig(cfg)

    def _set_handler(self, log, output, fmt, stream=None):
        former = self._get_gunicorn_handler(log)
        if former:
            log.removeHandler(former)
        if output is None:
            return
        try:
            handler = logging.StreamHandler(stream) if output == "-" else logging.FileHandler(output)
        except OSError as error:
            raise ConfigFault(f"open log {output}: {error.strerror}") from error
        self._add_handler(log, handler, fmt)

    def _add_handler(self, log, handler, fmt):
        handler.setFormatter(fmt)
        handler._gunicorn = True
        log.addHandler(handler)

    def _get_gunicorn_handler(self, log):
        return next((handler for handler in log.handlers if getattr(handler, "_gunicorn", False)), None)

    def _set_syslog_handler(self, log, cfg, fmt, name):
        prefix = cfg.syslog_prefix or cfg.proc_name.replace(":", ".")
        facility = SYSLOG_FACILITIES.get(cfg.syslog_facility.lower())
        if facility is None:
            raise ConfigFault(f"syslog_facility: '{cfg.syslog_facility}' is not a facility of syslog")
        kind, address = parse_syslog_address(cfg.syslog_addr)
        try:
            handler = SyslogHandler(address, facility, kind)
        except OSError as error:
            raise ConfigFault(f"syslog_addr: {cfg.syslog_addr}: {error.strerror or error}") from error
        self._add_handler(log, handler, logging.Formatter(f"gunicorn.{prefix}.{name}: {fmt}"))

    def critical(self, msg, *args, **kwargs):
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg, *args, **kwargs):
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        # A line from another process has its traceback as a text: see Sender.
        kwargs.setdefault("exc_info", sys.exc_info()[0] is not None)
        self.error_log.error(msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        level = self.LOG_LEVELS.get(lvl.lower(), logging.INFO) if isinstance(lvl, str) else lvl
        self.error_log.log(level, msg, *args, **kwargs)

    def now(self):
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(sender.moment))

    def atoms(self, resp, req, environ, request_time):
        """What record.args of an access line has; `request_time` is a timedelta."""
        whole, micros = request_time.seconds, request_time.microseconds
        status = resp.status
        sent = getattr(resp, "sent", None)
        return {
            "h": environ.get("REMOTE_ADDR", "-"), "l": "-", "u": self._get_user(environ) or "-", "t": self.now(),
            "r": f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}",
            "s": status.split(None, 1)[0] if isinstance(status, str) else status,
            "m": environ.get("REQUEST_METHOD"), "U": environ.get("PATH_INFO"), "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"), "B": sent, "b": "-" if sent is None else str(sent),
            "f": environ.get("HTTP_REFERER", "-"), "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": whole, "D": whole * 1000000 + micros, "M": whole * 1000 + micros // 1000, "L": f"{whole}.{micros:06}",
            "p": f"<{sender.pid or os.getpid()}>", "c": environ.get("narwhal.client", environ.get("REMOTE_ADDR", "-")),
            **named_atoms(pairs_of(req), "i"), **named_atoms(pairs_of(resp), "o"), **named_atoms(environ.items(), "e")}

    def _get_user(self, environ):
        return environ.get("narwhal.user")

    @property
    def access_log_enabled(self):
        cfg = self.cfg
        return bool(cfg.accesslog or has_logconfig(cfg) or
                    (cfg.syslog and not cfg.disable_redirect_access_to_syslog))

    def access(self, resp, req, environ, request_time):
        if not self.access_log_enabled:
            return
        atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        line_format = self.cfg.access_log_format
        if line_format == "json" or line_format.startswith("json "):
            atoms["json"], line_format = environ.get("narwhal.json", "{}"), "%(json)s"
        try:
            self.access_log.info(line_format, atoms)
        except Exception as error:
            self.error(f"Access log: {reason(error)}")

    def reopen_files(self):
        for name in [None, *logging.root.manager.loggerDict]:
            for handler in logging.getLogger(name).handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.acquire()
                    try:
                        if handler.stream:
                            handler.close()
                            handler.stream = handler._open()
                    except OSError as error:
                        print(f"open log {handler.baseFilename}: {error.strerror}", file=sys.stderr, flush=True)
                    finally:
                        handler.release()

    def close_on_exec(self):
        """Descriptors that Python opens are closed by exec."""


# ---- what the methods of a logger get ----
class Response:
    def __init__(self, status, sent, headers):
        self.status, self.sent, self.headers = status, sent, headers
        self.status_code = int(status.split(None, 1)[0])


class Request:
    def __init__(self, environ, headers):
        self.headers = [(name.upper(), value) for name, value in headers]
        self.method, self.uri, self.path = environ["REQUEST_METHOD"], environ["RAW_URI"], environ["PATH_INFO"]
        self.query, self.remote_addr = environ["QUERY_STRING"], (environ["REMOTE_ADDR"], 0)
        self.version = (1, 0) if environ["SERVER_PROTOCOL"] == "HTTP/1.0" else (1, 1)
        self.unreader = self.body = None


def interval(seconds):
    return datetime.timedelta(seconds=seconds)
