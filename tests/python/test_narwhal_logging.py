"""core/python/narwhal_logging.py: Gunicorn's logger for the log process."""
import datetime
import logging
import socket
import types

import narwhal_loggers
import narwhal_logging
import pytest
from narwhal_loggers import Statsd
from narwhal_logging import ConfigFault, Logger, SafeAtoms, parse_syslog_address, sender


@pytest.fixture(autouse=True)
def loggers():
    made = [logging.getLogger(name) for name in ("gunicorn.error", "gunicorn.access")]
    yield made
    for logger in made:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def cfg_of(**given):
    values = {"loglevel": "info", "errorlog": "-", "accesslog": None, "syslog": False, "logconfig": None,
              "logconfig_dict": {}, "logconfig_json": None, "access_log_format": "%(h)s %(s)s", "statsd_host": None,
              "statsd_prefix": None, "dogstatsd_tags": None, "proc_name": "shop:app", "logger_class": None,
              "disable_redirect_access_to_syslog": False}
    return types.SimpleNamespace(**{**values, **given})


@pytest.mark.parametrize("text, expected", [
    ("udp://localhost:514", (socket.SOCK_DGRAM, ("localhost", 514))),
    ("udp://Log.Example", (socket.SOCK_DGRAM, ("log.example", 514))),
    ("tcp://10.0.0.1:6514", (socket.SOCK_STREAM, ("10.0.0.1", 6514))),
    ("udp://", (socket.SOCK_DGRAM, ("localhost", 514))),
    ("tcp://[::1]:99", (socket.SOCK_STREAM, ("::1", 99))),
    ("udp://[::1]", (socket.SOCK_DGRAM, ("::1", 514))),
    ("unix:///dev/log", (None, "/dev/log")),
    ("unix:///dev/log#dgram", (socket.SOCK_DGRAM, "/dev/log")),
    ("unix:///dev/log#stream", (socket.SOCK_STREAM, "/dev/log")),
])
def test_addresses_of_syslog(text, expected):
    assert parse_syslog_address(text) == expected


@pytest.mark.parametrize("text", ["localhost:514", "http://localhost", "udp://localhost:x", ""])
def test_what_is_not_an_address_of_syslog(text):
    with pytest.raises(ConfigFault, match="syslog_addr: "):
        parse_syslog_address(text)


@pytest.mark.parametrize("text, expected", [("host:9125", ("host", 9125)), ("host", ("host", 8125)),
                                            ("unix:///run/statsd", "/run/statsd")])
def test_addresses_of_statsd(text, expected):
    assert narwhal_loggers.statsd_address(text) == expected


def test_atoms_are_escaped_and_a_missing_one_is_a_dash():
    atoms = SafeAtoms({"a": 'x"\\\n\x1b', "s": 200, "{x-in}i": "in"})
    assert "%(a)s|%(s)s|%(none)s|%({X-In}i)s|%({none}e)s" % atoms == 'x\\"\\\\\\n\\x1b|200|-|in|-'


class Answer:
    status, sent, headers = "200 OK", 12, [("X-Out", "out")]


ENVIRON = {"REQUEST_METHOD": "GET", "RAW_URI": "/a?b", "SERVER_PROTOCOL": "HTTP/1.1", "PATH_INFO": "/a", "QUERY_STRING": "b",
           "REMOTE_ADDR": "1.2.3.4", "HTTP_USER_AGENT": "ua"}
TOOK = datetime.timedelta(seconds=2, microseconds=345678)


def test_the_atoms_of_a_request():
    atoms = Logger(cfg_of()).atoms(Answer, types.SimpleNamespace(headers=[("X-IN", "in")]), ENVIRON, TOOK)
    expected = {"h": "1.2.3.4", "l": "-", "u": "-", "r": "GET /a?b HTTP/1.1", "s": "200", "m": "GET", "U": "/a", "q": "b",
                "H": "HTTP/1.1", "b": "12", "B": 12, "f": "-", "a": "ua", "T": 2, "M": 2345, "D": 2345678, "L": "2.345678",
                "{x-in}i": "in", "{x-out}o": "out", "{request_method}e": "GET", "{http_user_agent}e": "ua"}
    assert {name: atoms[name] for name in expected} == expected


def test_a_record_has_the_senders_pid_time_and_traceback(monkeypatch):
    monkeypatch.setattr(sender, "pid", 4711)
    monkeypatch.setattr(sender, "moment", 1e9 + 0.25)
    monkeypatch.setattr(sender, "trace", "Traceback\n  deep")
    record = sender.make_record("gunicorn.error", logging.INFO, "", 0, "text", (), None)
    assert (record.process, record.created, record.msecs) == (4711, 1e9 + 0.25, 250)
    assert logging.Formatter("%(message)s").format(record) == "text\nTraceback\n  deep"


class Metrics:
    def __init__(self):
        self.sent = []

    def send(self, data):
        self.sent.append(data)


def statsd(**given):
    made = Statsd(cfg_of(statsd_host=("127.0.0.1", 1), **given))
    made.sock = Metrics()
    return made


def test_the_metrics_of_a_request():
    made = statsd(statsd_prefix="pre")
    made.access(Answer, types.SimpleNamespace(headers=[]), ENVIRON, TOOK)
    assert made.sock.sent == [b"pre.gunicorn.request.duration:2345.678|ms", b"pre.gunicorn.requests:1|c|@1.0",
                              b"pre.gunicorn.request.status.200:1|c|@1.0"]


@pytest.mark.parametrize("prefix, shown", [(None, ""), ("", ""), ("a", "a."), ("a.b.", "a.b."), ("a..", "a.")])
def test_the_prefix_of_metrics_ends_in_one_dot(prefix, shown):
    assert statsd(statsd_prefix=prefix).prefix == shown


def test_lines_and_metrics_of_the_log(loggers):
    made = statsd(dogstatsd_tags="a:b")
    loggers[0].handlers[:] = [logging.NullHandler()]
    for name in ("critical", "error", "warning", "exception", "info", "debug"):
        getattr(made, name)("text")
    made.debug("3 workers", extra={"metric": "gunicorn.workers", "value": 3, "mtype": "gauge"})
    made.info("", extra={"metric": "x", "value": 1.5, "mtype": "histogram"})
    made.decrement("down", 2)
    assert [data.decode() for data in made.sock.sent] == [
        *(f"gunicorn.log.{name}:1|c|@1.0|#a:b" for name in ("critical", "error", "warning", "exception")),
        "gunicorn.workers:3|g|#a:b", "x:1.5|h|#a:b", "down:-2|c|@1.0|#a:b"]


def test_a_metric_that_cannot_be_sent_is_lost():
    made = Statsd(cfg_of(statsd_host="/nowhere/statsd"))
    made.increment("x", 1)
    assert made.sock is None


def test_facilities_are_gunicorns():
    assert narwhal_logging.SYSLOG_FACILITIES["security"] == 4 and len(narwhal_logging.SYSLOG_FACILITIES) == 21
