"""Which logger writes the logs: Gunicorn's, the one that also sends metrics to statsd, or the operator's logger_class.

Where the package gunicorn is not installed, Logger and Statsd are also gunicorn.glogging.Logger and
gunicorn.instrument.statsd.Statsd, so that a logger_class can be a subclass of them.
"""
import importlib
import logging
import socket

from narwhal_logging import CONFIG_DEFAULTS, SYSLOG_FACILITIES, ConfigFault, Logger, SafeAtoms, parse_syslog_address

DEFAULT_CLASSES = (None, "", "gunicorn.glogging.Logger", "simple")


class Statsd(Logger):
    def __init__(self, cfg):
        Logger.__init__(self, cfg)
        stem = (cfg.statsd_prefix or "").rstrip(".")
        self.prefix = f"{stem}." if stem else ""
        self.dogstatsd_tags = cfg.dogstatsd_tags
        self.sock = connect_statsd(cfg.statsd_host)

    def critical(self, msg, *args, **kwargs):
        Logger.critical(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.critical", 1)

    def error(self, msg, *args, **kwargs):
        Logger.error(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.error", 1)

    def warning(self, msg, *args, **kwargs):
        Logger.warning(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.warning", 1)

    def exception(self, msg, *args, **kwargs):
        Logger.exception(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.exception", 1)

    def info(self, msg, *args, **kwargs):
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        """A line whose `extra` has metric, value and mtype is a metric, too."""
        extra = kwargs.get("extra") or {}
        metric, value = extra.get("metric"), extra.get("value")
        send = {"gauge": self.gauge, "counter": self.increment, "histogram": self.histogram,
                "timer": self.timer}.get(extra.get("mtype"))
        if metric and value is not None and send:
            send(metric, value)
        if msg:
            Logger.log(self, lvl, msg, *args, **kwargs)

    def access(self, resp, req, environ, request_time):
        Logger.access(self, resp, req, environ, request_time)
        status = resp.status
        code = int(status.split(None, 1)[0]) if isinstance(status, str) else int(status)
        self.timer("gunicorn.request.duration", request_time.seconds * 1000 + request_time.microseconds / 1000)
        self.increment("gunicorn.requests", 1)
        self.increment(f"gunicorn.request.status.{code:d}", 1)

    def gauge(self, name, value):
        self._sock_send(f"{self.prefix}{name}:{value}|g")

    def increment(self, name, value, sampling_rate=1.0):
        self._sock_send(f"{self.prefix}{name}:{value}|c|@{sampling_rate}")

    def decrement(self, name, value, sampling_rate=1.0):
        self._sock_send(f"{self.prefix}{name}:-{value}|c|@{sampling_rate}")

    def timer(self, name, value):
        self._sock_send(f"{self.prefix}{name}:{value}|ms")

    def histogram(self, name, value):
        self._sock_send(f"{self.prefix}{name}:{value}|h")

    def _sock_send(self, msg):
        """A metric that cannot be sent is lost: it is never an error of a request, nor a line in the log."""
        try:
            data = msg if isinstance(msg, bytes) else msg.encode("ascii", "replace")
            if self.dogstatsd_tags:
                data += b"|#" + self.dogstatsd_tags.encode("ascii", "replace")
            if self.sock:
                self.sock.send(data)
        except OSError:
            pass


def connect_statsd(host):
    """`host` is (HOST, PORT), or the path of a Unix socket."""
    try:
        sock = socket.socket(socket.AF_UNIX if isinstance(host, str) else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(host)
        return sock
    except (OSError, TypeError):  # no host: a logger_class that is a Statsd, without statsd_host
        return None


def statsd_address(text):
    """"HOST:PORT", "HOST" or "unix://PATH", as Gunicorn's cfg.statsd_host has it."""
    if text.startswith("unix://"):
        return text[len("unix://"):]
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if colon else (text, 8125)


# ---- logger_class ----
def contents_of(name):
    """What the module gunicorn.glogging or gunicorn.instrument.statsd has: narwhal_gunicorn.StandIn makes them."""
    if name == "gunicorn.glogging":
        return {"Logger": Logger, "SafeAtoms": SafeAtoms, "CONFIG_DEFAULTS": CONFIG_DEFAULTS,
                "SYSLOG_FACILITIES": SYSLOG_FACILITIES, "parse_syslog_address": parse_syslog_address}
    return {"Logger": Logger, "Statsd": Statsd}


def class_of(name):
    """The class of a logger_class: itself, or the one of that dotted name."""
    if not isinstance(name, str):
        return name
    module, _, attribute = name.rpartition(".")
    if not module or ":" in name:
        raise ConfigFault(f"logger_class: '{name}' is not a name such as module.Class")
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise ConfigFault(f"logger_class: the module {module} has no {attribute}") from None
    except Exception as error:
        raise ConfigFault(f"logger_class: {name} cannot be imported: {type(error).__name__}: {error}") from error


def make_logger(cfg):
    chosen = cfg.logger_class
    if chosen in DEFAULT_CLASSES:
        return (Statsd if cfg.statsd_host else Logger)(cfg)
    made = class_of(chosen)
    try:
        return made(cfg)
    except ConfigFault:
        raise
    except Exception as error:
        raise ConfigFault(f"logger_class: {getattr(made, '__name__', made)}: {type(error).__name__}: {error}") from error
