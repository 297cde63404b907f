"""The commands of a manual page, as its reader types them, so that tests run what the page shows."""
import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from clock import scaled
from server import BUILD, ROOT, clean_environment, parse_address


def literal_blocks(page):
    """The texts between .Bd -literal and .Ed."""
    text = (ROOT / "man" / page).read_text()
    found = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    return [block.replace("\\e", "\\") for block in found]


def commands(page):
    return [line[2:] for block in literal_blocks(page) for line in block.splitlines() if line.startswith("$ ")]


def files(page):
    """name -> text of each file that the reader is to write."""
    text = (ROOT / "man" / page).read_text()
    found = re.findall(r"^Put this into\n\.Pa (\S+) :\n\.Bd -literal\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    return {name: block.replace("\\e", "\\") for name, block in found}


@functools.cache
def program_folder():
    """A folder with the program, without the lines of its source: debuggers would read them for half a minute."""
    if shutil.which("strip") is None:
        return BUILD
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    subprocess.run(["strip", "-g", "-o", f"{folder.name}/narwhal", BUILD / "narwhal"], check=True)
    return folder.name


class Typed:
    """A command in a shell of its own session, with its output. End it, or leave the with statement."""

    def __init__(self, command, folder, env=None, core_bytes=0):
        self.path = folder / f"output{len(list(folder.glob('output*')))}"
        environment = {**clean_environment(), "NARWHAL_CMD_ARGS": "-b 127.0.0.1:0", **(env or {})}
        environment["PATH"] = f"{program_folder()}:{environment['PATH']}"
        environment["CPATH"] = f"{ROOT / 'include'}:{ROOT / 'tests' / 'plugins'}"
        limit = "unlimited" if core_bytes else "0"
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", f"ulimit -c {limit}\n{command}"], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session
        except ProcessLookupError:
            pass
        self.process.wait()

    def output(self):
        return self.path.read_text(errors="replace")

    def wait_for(self, pattern, timeout=60.0):
        end = time.monotonic() + scaled(timeout)
        while True:
            match = re.search(pattern, self.output(), re.MULTILINE)
            if match:
                return match
            if self.process.poll() is not None and not re.search(pattern, self.output(), re.MULTILINE):
                raise AssertionError(f"ended with {self.process.returncode} before {pattern!r}:\n{self.output()}")
            if time.monotonic() > end:
                raise AssertionError(f"not within {scaled(timeout):g} s: {pattern!r}\n{self.output()}")
            time.sleep(0.02)

    def serving(self):
        """The address of the server that it has started, and the server's process ID."""
        self.wait_for(r"is ready")
        match = self.wait_for(r"Listening at: (.+) \((\d+)\)$")
        return parse_address(match[1]), int(match[2])

    def wait_exit(self, timeout=60.0):
        self.process.wait(scaled(timeout))
        return self.process.returncode


def typed(command, folder, timeout=60.0):
    """Runs it to its end; returns its output."""
    with Typed(command, folder) as run:
        code = run.wait_exit(timeout)
        assert code == 0, f"{command}: exit {code}\n{run.output()}"
        return run.output()
