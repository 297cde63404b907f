"""The reverse proxies of the trial, each as its own process on a free port of loopback, with connections to the server
that are kept and shared by its clients: that is where a smuggled request harms another client.

A front says in its log which requests it has passed on; forwarded() reads that. Its lenient form lets through what its
users can make it let through.
"""
import re
from collections import Counter

from front_process import FrontProcess, apache_conf, find

KINDS = re.compile(r"/(main|smuggled|next|innocent|barrier)-(\d{6})")


class Front(FrontProcess):
    """One running proxy. Its log has a line for each request, distinguished by `passed`, the status, the request line."""
    program = ""
    passed = ""  # how the log marks a request that went to the server

    def __init__(self, folder, upstream, lenient):
        super().__init__(folder)
        self.upstream, self.lenient = upstream, lenient
        self.output = self.log_path = folder / "front.log"

    @property
    def port(self):
        return self.address[1]

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
        main = apache_conf(self.folder, self.address, ("mpm_event", "authz_core", "proxy", "proxy_http"), f"""
Timeout 10
HttpProtocolOptions {"Unsafe" if self.lenient else "Strict"}
TraceEnable on
AllowEncodedSlashes NoDecode
LogLevel info
LogFormat "%R %>s %r" trial
CustomLog {self.log_path} trial
ProxyRequests off
ProxyPass "/" "http://127.0.0.1:{self.upstream}/" nocanon max=4 retry=0
""")
        return [find("apache2"), "-DFOREGROUND", "-f", self.write("apache.conf", main)]


FRONTS = (Nginx, HAProxy, Apache)
