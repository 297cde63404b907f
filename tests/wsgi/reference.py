"""Gunicorn as a test sees it: Debian's, run by the interpreter that runs the tests."""
import importlib.util
import os
import re
import signal
import subprocess
import sys

import log_lines
from clock import eventually, scaled
from server import clean_environment, parse_address

INSTALLED = importlib.util.find_spec("gunicorn") is not None


class Gunicorn:
    """One arbiter and its workers, on a port of the kernel's choice."""

    def __init__(self, folder, args, env=None):
        self.folder, self.args = folder, [str(arg) for arg in args]
        self.env = {**clean_environment(), **(env or {})}
        self.log_path = folder / "stderr.log"
        self.process = self.address = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", *self.args], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.env, cwd=self.folder, start_new_session=True)
        found = eventually(f"Gunicorn's address in {self.log_path}",
                           lambda: re.search(log_lines.LISTENING, self.log()) or self.process.poll() is not None, 20)
        assert self.process.poll() is None, f"Gunicorn does not start:\n{self.log()}"
        self.address = parse_address(found[1])
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(scaled(15))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # it has a session of its own, so this ends no other process
            self.process.wait(15)
