"""The reverse proxies of the trial, each as its own process on a free port of loopback, with connections to the server
that are kept and shared by its clients: that is where a smuggled request harms another client.

A front says in its log which requests it has passed on; forwarded() reads that. Its lenient form lets through what its
users can make it let through.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter

from clock import eventually, scaled

KINDS = re.compile(r"/(main|smuggled|next|innocent|barrier)-(\d{6})")


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Front:
    """One running proxy. Its log has a line for each request, distinguished by `passed`, the status, the request line."""
    program = ""
    package = ""
    passed = ""  # how the log marks a request that went to the server

    def __init__(self, folder, upstream, lenient):
        self.folder, self.upstream, self.lenient = folder, upstream, lenient
        self.log_path = folder / "front.log"
        self.process = None

    def start(self):
        for _ in range(5):  # another process may take the port first
            self.port = free_port()
            with open(self.log_path, "ab") as stdout, open(self.folder / "stderr.log", "ab") as stderr:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                                cwd=self.folder)
            eventually(f"{self.program} listens", lambda: can_connect(self.port) or self.process.poll() is not None, 20)
            if self.process.poll() is None:
                return self
        raise AssertionError(f"{self.program} does not start: {(self.folder / 'stderr.log').read_text()[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(scaled(15))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(15)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def forwarded(self, status=None):
        """How often each marked target was passed on; with `status`, those that the server answered so."""
        sent = Counter()
        for line in self.log_path.read_text("latin-1").splitlines():
            word, answered, *rest = [*line.split(" ", 2), ""]
            if word == self.passed and (status is None or answered == str(status)):
                sent.update(mark[0] for mark in KINDS.finditer(rest[0]))
        return sent


class Nginx(Front):
    program = package = "nginx"
    passed = "passed"

    def command(self):
        loose = "ignore_invalid_headers off; underscores_in_headers on; proxy_request_buffering off;"
        return [find("nginx"), "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", self.write("nginx.conf", f"""
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log info;
events {{ worker_connections 200; }}
http {{
    map $upstream_addr $passed {{ "" kept; default passed; }}
    log_format trial escape=none "$passed $upstream_status $request";
    access_log {self.log_path} trial;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/fastcgi;
    scgi_temp_path {self.folder}/scgi;
    uwsgi_temp_path {self.folder}/uwsgi;
    upstream app {{ server 127.0.0.1:{self.upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{self.port};
        {loose if self.lenient else ""}
        merge_slashes off;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ignore_client_abort on;
            proxy_next_upstream off;
        }}
    }}
}}
""")]


class HAProxy(Front):
    program = package = "haproxy"
    passed = "app"  # the server's name; "<NOSRV>" when none was reached

    def command(self):
        loose = "option accept-invalid-http-request"
        return [find("haproxy"), "-db", "-f", self.write("haproxy.cfg", f"""
global
    log stdout format raw local0
    nbthread 1
    h1-accept-payload-with-any-method
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout http-request 10s
    retries 0
    log global
    http-reuse always
    log-format "%s %ST %{{+Q}}r"
frontend trial
    bind 127.0.0.1:{self.port}
    {loose if self.lenient else ""}
    default_backend app
backend app
    {loose.replace("request", "response") if self.lenient else ""}
    server app 127.0.0.1:{self.upstream} pool-max-conn 4
""")]



class Apache(Front):
    program, package = "apache2", "apache2-bin"
    passed = "proxy-server"  # the handler; "-" when none was reached

    def command(self):
        modules = "mpm_event authz_core proxy proxy_http"
        loads = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules.split())
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        # One process, so that all clients share its connections to the server.
        return [find("apache2"), "-DFOREGROUND", "-f", self.write("apache.conf", f"""
{loads}
ServerName front.test
ServerRoot {self.folder}
DefaultRuntimeDir {self.folder}
DocumentRoot {self.folder}
PidFile {self.folder}/apache.pid
Mutex sem
{user}
Listen 127.0.0.1:{self.port}
StartServers 1
ServerLimit 1
ThreadsPerChild 16
ThreadLimit 16
MaxRequestWorkers 16
MinSpareThreads 1
MaxSpareThreads 16
Timeout 10
HttpProtocolOptions {"Unsafe" if self.lenient else "Strict"}
TraceEnable on
AllowEncodedSlashes NoDecode
ErrorLog {self.folder}/error.log
LogLevel info
LogFormat "%R %>s %r" trial
CustomLog {self.log_path} trial
ProxyRequests off
ProxyPass "/" "http://127.0.0.1:{self.upstream}/" nocanon max=4 retry=0
""")]


FRONTS = (Nginx, HAProxy, Apache)
