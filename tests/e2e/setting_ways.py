"""The same settings by narwhal.yaml, by the environment, by flags, and by a reload of narwhal.yaml; and what a test sees of
them from outside."""
import ctypes
import json
import os
import re
import shlex
import signal
import socket
import subprocess

import log_lines
import proc
from clock import eventually
from nginx_front import free_address
from server import BINARY, ROOT, clean_environment, parse_address, run

WAYS = ("file", "environment", "flags")
LISTENS = "0A"  # TCP_LISTEN in /proc/net/tcp


def flags_of_settings():
    """{"workers": "--workers"}, from narwhal(1), which tests/unit/server_config_docs_test.cpp compares with the program."""
    page = (ROOT / "man/narwhal.1").read_text()
    entries = re.findall(r"^\.It Fl (.*)\n(?:(?!\.It ).*\n)*?\.Pq (\w+)$", page, re.MULTILINE)
    return {name: "-" + re.findall(r"(?:^|[ ,])(-[\w-]{2,})", heading)[-1] for heading, name in entries}


def needing_a_restart():
    """The names, from narwhal.yaml(5), which the same test compares."""
    page = (ROOT / "man/narwhal.yaml.5").read_text()
    return re.findall(r"^\.Ic (\w+)$", page.split(".Sh RELOAD\n")[1].split(".El\n")[0], re.MULTILINE)


FLAGS = flags_of_settings()
NEED_RESTART = needing_a_restart()


def flag_words(settings):
    words = []
    for name, value in settings.items():
        flag = FLAGS[name]
        if isinstance(value, bool):
            assert value is not flag.startswith("--no-"), f"{name}: {value} is the default"
            words.append(flag)
        else:
            words += [f"{flag}={each}" for each in (value if isinstance(value, list) else [value])]
    return words


def yaml_text(settings):
    """JSON is YAML."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())


class Site:
    """Starts one server with its application and settings given in one way. In values, {folder} and the like stand for
    what is known only then. Those in `also` are not what is tested."""

    def __init__(self, serve, folder, way, settings, also):
        self.serve, self.folder, self.way = serve, folder, way
        self.words = {"folder": folder, "free": free_address()[1]}
        self.given, self.also = {**settings, **also}, also
        self.generation = 2 if way == "reload" else 1

    def path(self, name):
        return self.folder / name

    def text(self, name):
        return self.path(name).read_text() if self.path(name).exists() else ""

    def settings(self):
        def filled(value):
            if isinstance(value, list):
                return [filled(each) for each in value]
            return re.sub(r"\{(\w+)\}", lambda match: str(self.words[match[1]]), value) if isinstance(value, str) else value
        return {"bind": "127.0.0.1:0", **{name: filled(value) for name, value in self.given.items()}}

    def start(self, app, wait=True, **named):
        settings = self.settings()
        args = []
        if self.way == "reload":
            return self.start_and_reload(app, settings, **named)
        if self.way == "file":
            named["config"] = f"app: {json.dumps(str(app))}\n" + yaml_text(settings)
        elif self.way == "environment":
            named["env"] = {"NARWHAL_CMD_ARGS": shlex.join([*flag_words(settings), str(app)])}
        else:
            args = [*flag_words(settings), app]
        server = self.serve(*args, bind=None, wait=False, **named)
        if "errorlog" in settings:
            server.log_path = self.folder / settings.get("chdir", "") / settings["errorlog"]
        if wait:
            server._wait_ready(20)
        return server

    def start_and_reload(self, app, settings, **named):
        """Starts it with what a reload cannot change, and reloads it with everything."""
        text = f"app: {json.dumps(str(app))}\n"
        kept = {name: value for name, value in settings.items() if name in (*NEED_RESTART, *self.also)}
        server = self.serve(bind=None, wait=False, config=text + yaml_text({"bind": "127.0.0.1:0", **kept}), **named)
        eventually("the start, or its end", lambda: "is ready" in server.log() or server.process.poll())
        if server.process.poll():
            return server
        server._wait_ready(20)
        before = server.log_path
        server.config_path.write_text(text + yaml_text(settings))
        server.send(signal.SIGHUP)
        eventually(f"generation 2; {server.tail()}", lambda: server.generations() == [2], 20)
        eventually("the end of the first template", lambda: len(templates(server)) == 1)
        if "errorlog" in settings:
            server.log_path = self.folder / settings.get("chdir", "") / settings["errorlog"]
        announced = re.findall(log_lines.LISTENING, before.read_text() + server.log())
        server.addresses = [parse_address(each) for each in re.split(r",\s*", announced[-1][0])]
        server.address = server.addresses[0]
        return server

    def command(self, app):
        """(arguments, environment) of a command that ends by itself."""
        settings = self.settings()
        if self.way == "file":
            self.path("once.yaml").write_text(f"app: {json.dumps(str(app))}\n" + yaml_text(settings))
            return ["-c", self.path("once.yaml")], {}
        if self.way == "environment":
            return [], {"NARWHAL_CMD_ARGS": shlex.join([*flag_words(settings), str(app)])}
        return [*flag_words(settings), app], {}

    def run(self, app):
        args, env = self.command(app)
        return run(*args, env=env, cwd=self.folder)

    def run_into(self, app, output):
        """Its exit status; it has a file as standard output and error."""
        args, env = self.command(app)
        with open(output, "ab") as file:
            return subprocess.run([BINARY, *map(str, args)], stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                  env={**clean_environment(), **env}, cwd=self.folder, timeout=60).returncode


def templates(server):
    return [title for title in server.processes().values() if title.startswith("narwhal: template")]


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def listening_socket(pid, port):
    """A copy of the socket with which a process listens on a TCP port."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    wanted = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENS and int(row[1].split(":")[1], 16) == port}
    number = next(fd for fd, name in proc.descriptors(pid).items() if name in wanted)
    pidfd = os.pidfd_open(pid)
    copy = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, int(number), 0)  # pidfd_getfd()
    os.close(pidfd)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    return socket.socket(fileno=copy)


def backlog_of(listener):
    """Of a socket that listens, tcpi_sacked is the length of the queue that listen() asked for."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[28:32], "little")
