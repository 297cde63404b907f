"""A web server or proxy as a process of the tests: how it is found, started on a free address and ended."""
import os
import shutil
import signal
import subprocess

from clock import eventually, scaled
from nginx_front import can_connect, free_address


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


class FrontProcess:
    """Its command() may use self.address. Everything that it writes is in files of its folder."""
    package = ""  # of Debian

    def __init__(self, folder):
        self.folder = folder
        self.output = folder / "output.log"
        self.process = self.address = None

    def start(self):
        for _ in range(5):  # another process may take the port first
            self.address = free_address()
            command = self.command()
            with open(self.output, "ab") as output, open(self.folder / "stderr.log", "ab") as errors:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=self.folder)
            eventually(f"{self.package} listens", lambda: can_connect(self.address) or self.process.poll() is not None, 20)
            if self.process.poll() is None:
                return self
        raise AssertionError(f"{self.package} does not start: {self.log()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(scaled(15))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(15)

    def log(self):
        return "\n".join(path.read_text("utf-8", "replace")[-3000:] for path in sorted(self.folder.glob("*.log")))

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)


def apache_conf(folder, address, modules, rest):
    """The main file of an Apache that is one process, so that all clients share its connections to the server."""
    loads = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules)
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    return f"""
{loads}
ServerName front.test
ServerRoot {folder}
DefaultRuntimeDir {folder}
DocumentRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Mutex sem
{user}
Listen {address[0]}:{address[1]}
StartServers 1
ServerLimit 1
ThreadsPerChild 16
ThreadLimit 16
MaxRequestWorkers 16
MinSpareThreads 1
MaxSpareThreads 16
{rest}
"""
