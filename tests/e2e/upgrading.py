"""A server that is upgraded: its program in a folder of its own, and both of its masters."""
import contextlib
import os
import shutil
import signal
from pathlib import Path

import proc
from clock import eventually
from load import Load
from server import BINARY, BUILD, example

ECHO = example("echo")
SERVES = r"Upgrade: the new master \(pid:(\d+)\) serves beside this one: send TERM to this one \(pid:(\d+)\) to finish"


def program(folder, name="program"):
    """A copy of narwhal that a test may replace: its plugins are found beside it."""
    home = folder / name
    home.mkdir()
    (home / "plugins").symlink_to(BUILD / "plugins")
    os.link(BINARY, home / "narwhal") if os.stat(BINARY).st_dev == os.stat(home).st_dev else \
        shutil.copy(BINARY, home / "narwhal")
    return home / "narwhal"


def replace(path, text=None, mode=0o755):
    """Another file at the same path: a copy of narwhal, or a script."""
    new = Path(f"{path}.new")
    if text is None:
        shutil.copy(BINARY, new)
    else:
        new.write_text(text)
    new.chmod(mode)
    new.rename(path)


class Upgrading:
    def __init__(self, server):
        self.server = server

    def masters(self):
        """{pid: title} of all masters in the server's session, the first one too."""
        return {pid: title for pid in proc.session_members(self.server.pid)
                if (title := proc.title(pid)).startswith("narwhal: master")}

    def usr2(self, count=1):
        """Sends USR2 to the first master; returns the new one's pid when it serves."""
        self.server.send(signal.SIGUSR2)
        return int(self.server.wait_for(SERVES, count=count, timeout=30)[1])

    def failed(self, pattern, count=1, timeout=30):
        return self.server.wait_for(rf"\[ERROR\] Upgrade failed: {pattern}\. This server continues; repair the program or its "
                                    "settings, then send USR2 again", count=count, timeout=timeout)

    def finish(self, new):
        """TERM to the first master; the new one is promoted."""
        assert self.server.stop(signal.SIGTERM) == 0
        self.server.wait_for(rf"\[{new}\] \[INFO\] Master has been promoted\.")

    def back(self, new, number=signal.SIGTERM):
        os.kill(new, number)
        eventually("the new master gone", lambda: not proc.alive(new))
        self.server.wait_for("Upgrade: the new master .* stops: this one goes on")

    def stop_all(self):
        for pid in self.masters():
            if pid != self.server.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        eventually("the new masters gone", lambda: not set(self.masters()) - {self.server.pid}, 20)

    @contextlib.contextmanager
    def loads(self):
        """Clients on every address: on kept connections, and on a new one for each request. None may fail."""
        loads = [Load(address, clients=2, keep_alive=kept) for address in self.server.addresses for kept in (True, False)]
        for load in loads:
            load.start()
        try:
            for load in loads:
                load.wait_for_more(10)
            yield loads
            for load in loads:
                load.wait_for_more(10)
        finally:
            for load in loads:
                load.stop()
        for load in loads:
            load.assert_clean(20)

