"""Runs the master's hooks of a gunicorn.conf.py, in the process that has read the file.

Messages from the master, one at a time: "settings JSON" first, then a hook's name with its arguments, "listeners ADDRESS..."
or "forked AGE PID".
Answers: "d" when the hook has returned or raised, "l" with a line for the log before it. The process ends when the master
closes the socket. What a hook breaks is a line of the log.
"""
import atexit
import json
import logging
import os
import signal
import sys

from narwhal_gunicorn import (MASTER_HOOKS, Listener, Log, Server, ServerHandler, Worker, changes_of_loggers, config_of,
                              find_hook, set_title)

PIECE = 32 * 1024  # bytes of one message
EXIT_SECONDS = 2  # for functions of atexit

# The master ends this process. A terminal or a service manager may send these to the whole group.
KEPT_OUT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
            signal.SIGTTIN, signal.SIGTTOU)


def keep_signals_out():
    """By handlers that do nothing, not by SIG_IGN: what a hook starts by exec has the default actions."""
    for number in KEPT_OUT:
        signal.signal(number, lambda *_: None)

    def restore():
        for number in KEPT_OUT:
            signal.signal(number, signal.SIG_DFL)
    os.register_at_fork(after_in_child=restore)


def text_of(value):
    return value.encode("utf-8", "backslashreplace")[:PIECE]


class Runner:
    def __init__(self, channel, module):
        self.channel, self.module, self.pid = channel, module, os.getpid()
        self.hooks = {name: find_hook(module, name) for name in MASTER_HOOKS}
        self.log = Log(self.write)
        self.server, self.workers = None, {}
        self.take_logger()
        self.loggers, self.has_warned_of_loggers = changes_of_loggers(), False

    def take_logger(self):
        """After the file, whose own logging may disable this logger. The log process has the handlers of the file."""
        logger = logging.getLogger("gunicorn.error")
        logger.handlers[:] = [ServerHandler(self.write)]
        logger.setLevel(logging.DEBUG)  # the server leaves out what is below its loglevel
        logger.propagate = logger.disabled = False

    def write(self, level, line, text):
        self.channel.send(b"l%d" % level + text_of(line).replace(b"\0", b"\\0") + b"\0" + text_of(text))

    def run(self):
        keep_signals_out()
        os.setpgid(0, os.getpgid(os.getppid()))  # what hooks start outlives this process, as in Gunicorn
        set_title(f"narwhal: hooks [{os.path.basename(sys.argv[0])}]")
        while message := self.channel.recv(1024 * 1024):
            name, _, rest = message.decode("utf-8", "surrogateescape").partition(" ")
            self.take(name, rest)
            if os.getpid() != self.pid:
                os._exit(0)  # a hook has forked, and its child has come back from it
            self.channel.send(b"d")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(EXIT_SECONDS)  # the master does not wait for the process of a former generation
        atexit._run_exitfuncs()
        try:
            os.killpg(self.pid, signal.SIGTERM)  # what the file has started otherwise
        except ProcessLookupError:
            pass

    def take(self, name, rest):
        try:
            getattr(self, name)(rest)
        except BaseException:  # SystemExit, too
            self.log.error("Exception in %s hook", name, exc_info=True)
        self.check_loggers(name)
        try:
            sys.stdout.flush()
        except (AttributeError, OSError, ValueError):  # a hook may have closed it
            pass

    def check_loggers(self, hook):
        """Says once that what a hook adds to Gunicorn's loggers has no effect: this process writes no log."""
        before, self.loggers = self.loggers, changes_of_loggers()
        if self.loggers != before and not self.has_warned_of_loggers:
            self.has_warned_of_loggers = True
            self.log.warning("Hook %s: a filter or a handler that a hook adds to gunicorn.access or gunicorn.error has no "
                             "effect; add it outside of functions, or in logconfig_dict", hook)

    def call(self, name, *arguments):
        if self.hooks[name]:
            self.hooks[name](self.server, *arguments)

    def settings(self, text):
        cfg = config_of(json.loads(text), self.module)
        self.server, self.log.cfg = Server(self.log, cfg), cfg
        if cfg.capture_output:
            os.dup2(2, 1)  # standard error is the error log
        os.environ.update(cfg.env)
        if cfg.chdir:
            os.chdir(cfg.chdir)
        sys.path[:0] = [*filter(None, (cfg.pythonpath or "").split(",")), *filter(None, [cfg.chdir])]

    def listeners(self, text):
        self.server.LISTENERS = [Listener(address.removeprefix("http://")) for address in text.split()]

    def on_starting(self, _):
        self.call("on_starting")

    def when_ready(self, _):
        self.call("when_ready")

    def on_reload(self, _):
        self.call("on_reload")

    def on_exit(self, _):
        self.call("on_exit")

    def pre_exec(self, _):
        self.call("pre_exec")

    def nworkers_changed(self, rest):
        new, old = rest.split()
        self.server._count = int(new)
        self.call("nworkers_changed", int(new), None if old == "-" else int(old))

    def pre_fork(self, age):
        self.server.worker_age = int(age)
        self.workers[age] = Worker(self.log, self.server.cfg, int(age), "[booting]")
        self.call("pre_fork", self.workers[age])

    def forked(self, rest):
        age, pid = rest.split()
        worker = self.worker(age, pid)
        worker.booted = True
        self.server.WORKERS[int(pid)] = worker

    def child_exit(self, rest):
        age, pid = rest.split()
        self.server.WORKERS.pop(int(pid), None)
        worker = self.worker(age, pid)
        self.workers.pop(age, None)
        worker._alive = False
        self.call("child_exit", worker)

    def worker(self, age, pid):
        """The one of pre_fork; another one if this process began after it."""
        found = self.workers.setdefault(age, Worker(self.log, self.server.cfg, int(age)))
        found._pid = int(pid)
        return found
