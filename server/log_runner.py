"""The log process: reads the lines of master and workers, and writes them by the logger that the settings describe.

log_run.cpp runs it, with the descriptors that log_runner.hpp describes.
"""
import grp
import json
import logging
import os
import pwd
import select
import socket
import sys
import types

import narwhal_gunicorn
import narwhal_loggers
import narwhal_logging
from narwhal_gunicorn import set_title
from narwhal_logging import ConfigFault, Request, Response, interval, sender

MESSAGE_BYTES_MAX = 1 << 20
MESSAGES_A_TURN = 256
ORPHANED_SILENCE_MS = 60_000  # a copy of a worker may hold the socket open for ever
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
NOT_PUBLIC = ("headers", "sent_headers")


def number_of(name, find, own):
    """The number of a user or a group, as Gunicorn's cfg has it."""
    if not name:
        return own
    return int(name) if name.isdigit() else find(name)


def make_cfg(start):
    """cfg as a logger gets it; a class or a dictionary of a gunicorn.conf.py are objects of that file."""
    settings, conf = start["settings"], types.ModuleType("__config__")
    if start["conf_file"]:
        try:
            conf = narwhal_gunicorn.load(start["conf_file"])
        except BaseException as error:
            raise ConfigFault(f"{start['conf_file']}: {type(error).__name__}: {error}") from error
    chosen = getattr(conf, "logger_class", None)
    if isinstance(chosen, type) and settings["logger_class"] == f"{chosen.__module__}.{chosen.__qualname__}":
        settings["logger_class"] = chosen
    if settings["statsd_host"]:
        try:
            settings["statsd_host"] = narwhal_loggers.statsd_address(settings["statsd_host"])
        except ValueError:
            raise ConfigFault(f"statsd_host: '{settings['statsd_host']}' is not HOST:PORT or unix://PATH") from None
    settings["user"] = number_of(settings["user"], lambda name: pwd.getpwnam(name).pw_uid, os.geteuid())
    settings["group"] = number_of(settings["group"], lambda name: grp.getgrnam(name).gr_gid, os.getegid())
    settings["proc_name"] = settings["proc_name"] or start["app"]
    if not start["has_logconfig_dict"]:
        settings["logconfig_dict"] = {}
    return narwhal_gunicorn.config_of(settings, conf)


class Lines:
    """Gives each line to the logger."""

    def __init__(self, log, cfg):
        self.log = log
        self.wants_json = str(cfg.access_log_format).startswith("json")

    def take(self, message):
        for line in message.split(b"\n"):
            try:
                if line[:1] == b"A":
                    self.request(json.loads(line[1:]))
                elif line[:1] == b"E":
                    self.error(json.loads(line[1:]))
            except Exception:
                sys.stderr.write("The log process could not write a line\n")
                logging.Handler().handleError(None)
            finally:
                sender.pid = sender.moment = None

    def error(self, line):
        sender.pid, sender.moment, sender.trace = line["pid"], line["time"], line.get("trace", "")
        text = line["text"].translate(CONTROL) + (" [cut]" if line.get("cut") else "")
        level = line["level"]
        if "metric" in line:
            extra = {name: line[name] for name in ("metric", "value", "mtype")}
            return self.log.debug(text or None, extra=extra)
        if line.get("always"):
            log = logging.getLogger("gunicorn.error")
            return log.handle(log.makeRecord(log.name, LEVELS[level], "narwhal", 0, text, (), None))
        if level == "error" and sender.trace:
            return self.log.exception(text)
        return getattr(self.log, level)(text)

    def request(self, line):
        sender.pid, sender.moment, sender.trace = line["pid"], line["epoch"], ""
        received = line.get("headers") or present(line.get("request_headers"))
        sent = line.get("sent_headers") or present(line.get("response_headers"))
        environ = environ_of(line, received)
        if self.wants_json:
            environ["narwhal.json"] = json.dumps({name: line[name] for name in line if name not in NOT_PUBLIC})
        response = Response(status_text(line["status"]), line["response_length"], sent)
        self.log.access(response, Request(environ, received), environ, interval(line["request_time"]))


CONTROL = {code: text for code, text in narwhal_logging.ESCAPES.items() if code not in (ord('"'), ord("\\"))}


def present(named):
    return [(name, value) for name, value in (named or {}).items() if value is not None]


def status_text(status):
    return REASONS.get(status) or f"{status:03}"


def environ_of(line, headers):
    method, _, rest = (line["request"] or "- - -").partition(" ")
    uri, _, protocol = rest.rpartition(" ")
    environ = {"REQUEST_METHOD": method, "RAW_URI": uri, "SERVER_PROTOCOL": protocol, "PATH_INFO": line["path"] or "-",
               "QUERY_STRING": line["query"] or "", "REMOTE_ADDR": line["remote_address"] or "",
               "narwhal.client": line["client"] or "", "narwhal.user": line["user"]}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value
    for key, name in (("HTTP_REFERER", "referer"), ("HTTP_USER_AGENT", "user_agent")):
        if line[name]:
            environ[key] = line[name]
    environ.update(present(line.get("environ")))
    return environ


def reasons():
    from http import HTTPStatus
    return {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


REASONS = reasons()


def serve(lines, control, log, take):
    """Until the end of the lines, or until the master says that another process goes on."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    timeout = None
    while True:
        ready = dict(poll.poll(timeout))
        if not ready and timeout:
            return
        if control.fileno() in ready:
            order = control.recv(16)
            if order == b"s":
                return
            if order == b"g":
                poll.register(lines, select.POLLIN)
            elif order == b"o":
                log.reopen_files()
            elif not order:
                poll.unregister(control)
                timeout = ORPHANED_SILENCE_MS
        if lines.fileno() in ready and not read_lines(lines, take):
            return


def read_lines(lines, take):
    """False at their end. Each message is written before the next one is taken: no more than one is lost with us."""
    for _ in range(MESSAGES_A_TURN):
        try:
            message = lines.recv(MESSAGE_BYTES_MAX, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        if not message:
            return False
        take(message)
    return True


def start_logger(control):
    """(logger, cfg); None after the master has been sent the reason why there is none."""
    start = json.loads(control.recv(MESSAGE_BYTES_MAX))
    sys.path[:0] = [os.getcwd(), *filter(None, (start["settings"]["pythonpath"] or "").split(","))]
    try:
        logging.setLogRecordFactory(sender.make_record)
        sys.meta_path.append(narwhal_gunicorn.StandIn())
        cfg = make_cfg(start)
        return narwhal_loggers.make_logger(cfg), cfg
    except ConfigFault as fault:
        text = str(fault)
    except BaseException as error:
        text = f"the log process could not start: {type(error).__name__}: {error}"
    control.send(b"f" + text.encode("utf-8", "backslashreplace")[:4000])
    return None


def main(lines, control):
    lines, control = socket.socket(fileno=lines), socket.socket(fileno=control)
    control.setblocking(True)
    for each in (lines, control):
        each.set_inheritable(False)
    set_title(sys.argv[3])
    started = start_logger(control)
    if started is None:
        return 1
    log, cfg = started
    sys.argv[:] = ["narwhal: log"]
    control.send(b"r")
    serve(lines, control, log, Lines(log, cfg).take)
    logging.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
