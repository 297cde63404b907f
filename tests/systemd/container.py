"""A Debian that systemd has booted in a container, for the tests here: made once by debootstrap, and left as it was by each run."""
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

PACKAGES = Path(os.environ.get("NARWHAL_PACKAGES", "build/deb")).resolve()
FOLDER = Path(os.environ.get("NARWHAL_CONTAINER", "build/systemd")).resolve()
SOURCES = Path(__file__).resolve().parents[2]
EXAMPLES = SOURCES / "examples"
INCLUDED = ["systemd", "systemd-sysv", "dbus", "python3", "python3-flask", "curl", "procps", "logrotate"]
TUTORIAL = "narwhal-tutorial.7"
PROBE = "http://127.0.0.1:8000/"


def packages():
    return sorted(path for path in PACKAGES.glob("narwhal*.deb") if "-dbgsym" not in path.name)


def needed_packages():
    """What ours depend on, without versions."""
    names = set()
    for package in packages():
        depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True).stdout
        names |= {re.match(r"[\w.+-]+", each.strip())[0] for each in depends.split(",") if each.strip()}
    return sorted(name for name in names if not name.startswith("narwhal"))


def author_packages():
    """What the tutorial asks its reader to install."""
    page = (SOURCES / "man" / TUTORIAL).read_text()
    return re.search(r"^\.Ql apt install (.+)$", page, re.MULTILINE)[1].split()


def make_root():
    root = FOLDER / "root"
    if (root / "etc/debian_version").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", "bookworm", root], check=True,
                   stdout=subprocess.DEVNULL)
    # By apt-get, which knows the packages behind virtual names.
    subprocess.run(["chroot", root, "apt-get", "-q", "-y", "--no-install-recommends", "install", *needed_packages(),
                    *author_packages()], check=True, stdout=subprocess.DEVNULL)
    return root


def eventually(what, holds, timeout=30):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout} s: {what}")


class Container:
    """What is written in it is lost when it ends. Its network has only the loopback device."""

    def __init__(self):
        self.log = open(FOLDER / "boot.log", "wb")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--volatile=overlay", "--private-network",
             "--link-journal=no", f"--machine=narwhal-{os.getpid()}", f"--bind-ro={PACKAGES}:/packages",
             f"--bind-ro={EXAMPLES}:/examples", f"--directory={make_root()}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        self.first = eventually("process 1", self._first_process)
        eventually("systemd is up", lambda: self.out("systemctl", "is-system-running").strip() in ("running", "degraded"), 60)

    def _first_process(self):
        assert self.nspawn.poll() is None, (FOLDER / "boot.log").read_text(errors="replace")
        children = subprocess.run(["pgrep", "-P", str(self.nspawn.pid)], capture_output=True, text=True).stdout.split()
        return children[0] if children else None

    def _command(self, words):
        return ["nsenter", "-t", self.first, "-a", "--", *map(str, words)]

    def run(self, *words, timeout=120, text=None):
        return subprocess.run(self._command(words), capture_output=True, text=True, timeout=timeout, input=text)

    def start(self, *words):
        """In a session of its own, as in another terminal."""
        return subprocess.Popen(self._command(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)

    def out(self, *words, **named):
        return self.run(*words, **named).stdout

    def must(self, *words, **named):
        done = self.run(*words, **named)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def write(self, path, text):
        self.must("mkdir", "-p", os.path.dirname(path))
        self.must("tee", path, text=text)

    def show(self, name, unit="narwhal.service"):
        return self.out("systemctl", "show", "--value", "-p", name, unit).strip()

    def journal(self, unit="narwhal.service", since=None):
        return self.out("journalctl", "--no-pager", "-o", "cat", "-u", unit, *(["--since", since] if since else []))

    def get(self, path="", timeout=20):
        """(status, body); (0, "") if there was no answer."""
        done = self.run("curl", "-s", "-m", timeout, "-w", "\n%{http_code}", PROBE + path, timeout=timeout + 10)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def end(self):
        self.nspawn.send_signal(signal.SIGTERM)
        try:
            self.nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        self.log.close()


def install(debian):
    debian.must("dpkg", "-i", *(f"/packages/{package.name}" for package in packages()))
