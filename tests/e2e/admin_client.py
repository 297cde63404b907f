"""The admin process as its users see it: requests to its sockets, and the program narwhalctl."""
import http.client
import json
import socket
import subprocess
import time

from clock import scaled
from server import BUILD, clean_environment

NARWHALCTL = BUILD / "admin" / "ctl" / "narwhalctl"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("narwhal", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Admin:
    """`where`: the path of a control socket, or (host, port)."""

    def __init__(self, where):
        self.where = where

    def ask(self, target, method="GET", timeout=10.0):
        """(status, body, headers)"""
        timeout = scaled(timeout)
        connection = (http.client.HTTPConnection(*self.where, timeout=timeout) if isinstance(self.where, tuple)
                      else UnixConnection(self.where, timeout))
        try:
            connection.request(method, target)
            response = connection.getresponse()
            return response.status, response.read().decode(), dict(response.getheaders())
        finally:
            connection.close()

    def status(self):
        code, body, _ = self.ask("/status")
        assert code == 200, body
        return json.loads(body)

    def ready(self):
        """(is it, the text)"""
        code, body, _ = self.ask("/readyz")
        assert code in (200, 503)
        return code == 200, body.strip()

    def metrics(self):
        """{line without its value: value}"""
        code, body, _ = self.ask("/metrics")
        assert code == 200
        samples = {}
        for line in body.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                assert name not in samples, f"twice: {name}"
                samples[name] = float(value)
        return samples

    def total(self, name, *parts):
        """The sum of a metric's samples that contain each of these labels."""
        return sum(value for key, value in self.metrics().items()
                   if key.split("{")[0] == name and all(part in key for part in parts))


def narwhalctl(path, *args, timeout=60.0):
    return subprocess.run([NARWHALCTL, "--socket", str(path), *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=scaled(timeout), env=clean_environment())


def timed(call, *args):
    began = time.monotonic()
    result = call(*args)
    return result, time.monotonic() - began
