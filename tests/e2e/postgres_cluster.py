"""A PostgreSQL of Debian for these tests: on a Unix socket in a folder of its own, as a user without rights."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from clock import eventually, scaled

FOLDERS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
needs_postgres = pytest.mark.skipif(not FOLDERS, reason="PostgreSQL is not installed: ./dev install-deps ci")


class Cluster:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not below pytest's, which no other user may enter
        self.log, self.process, self.as_user = self.folder / "log", None, {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.databases = 0
        subprocess.run([f"{FOLDERS[-1]}/initdb", "-D", self.folder / "data", "-U", "narwhal", "-A", "trust", "-E", "UTF8",
                        "--locale=C", "--no-sync"], check=True, capture_output=True, cwd=self.folder,
                       timeout=scaled(60), **self.as_user)

    def start(self):
        before = self.log.read_text().count("ready to accept") if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [f"{FOLDERS[-1]}/postgres", "-D", self.folder / "data", "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self.as_user)
        eventually(f"PostgreSQL is ready: {self.log}",
                   lambda: self.log.read_text().count("ready to accept") > before or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def new_database(self):
        """An empty database; `url` is then its address."""
        self.databases += 1
        name = f"test{self.databases}"
        subprocess.run([f"{FOLDERS[-1]}/createdb", "-h", self.folder, "-U", "narwhal", name], check=True, timeout=scaled(30))
        self.url = f"postgresql://narwhal@/{name}?host={self.folder}"
        return self

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # fast: connections are ended
            self.process.wait(scaled(30))
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres():
    """Set up once: that takes longer than a test."""
    made = Cluster()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def cluster(postgres):
    """The same, running, with an empty database."""
    if postgres.process is None:
        postgres.start()
    return postgres.new_database()
