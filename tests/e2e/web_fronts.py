"""The web servers of conf/, real ones, each with one of its files as shipped in front of the real server: only addresses,
and what a test names, are replaced."""
import re

from front_process import FrontProcess, apache_conf, find
from nginx_front import NGINX, main_conf
from server import ROOT

WIRES = ("http", "fastcgi", "scgi", "uwsgi")
PORTS = {"http": 8000, "fastcgi": 9000, "scgi": 9001, "uwsgi": 9002}


def file_name(wire):
    return "narwhal.conf" if wire == "http" else f"narwhal-{wire}.conf"


def socket_name(wire):
    return "/run/narwhal/" + ("narwhal" if wire == "http" else wire) + ".sock"


class Front(FrontProcess):
    """One running web server. `upstream`: the server's (host, port), or the path of its Unix socket."""
    name = package = ""
    program = None
    body_limit = {}  # what to replace for one of 200 MiB

    def __init__(self, wire, upstream, folder, replaced=None):
        super().__init__(folder)
        self.wire, self.upstream, self.replaced = wire, upstream, replaced or {}

    def shipped(self):
        """The file, with other addresses: a replacement that finds nothing to replace, or two things, is an error."""
        text = (ROOT / "conf" / self.name / file_name(self.wire)).read_text()
        for old, new in {**self.replaced, **self.addresses()}.items():
            assert text.count(old) == 1, (old, text.count(old))
            text = text.replace(old, new)
        return text

    def start(self):
        self.folder.mkdir(parents=True)
        return super().start()


class Nginx(Front):
    name = package = "nginx"
    program = NGINX
    body_limit = {"client_max_body_size 10m;": "client_max_body_size 200m;"}

    def addresses(self):
        listen = {"listen 80;": "listen {}:{};".format(*self.address)}
        if isinstance(self.upstream, str):
            return {**listen, f"    server 127.0.0.1:{PORTS[self.wire]};": "",
                    f"#server unix:{socket_name(self.wire)};": f"server unix:{self.upstream};"}
        return {**listen, f"server 127.0.0.1:{PORTS[self.wire]};": "server {}:{};".format(*self.upstream)}

    def command(self):
        include = self.write("shipped.conf", self.shipped())
        conf = self.write("nginx.conf", main_conf(self.folder, f"include {include};"))
        return [self.program, "-p", str(self.folder), "-c", conf, "-e", str(self.folder / "error.log")]


class Apache(Front):
    name, package = "apache", "apache2-bin"
    program = find("apache2")
    body_limit = {"LimitRequestBody 10485760": "LimitRequestBody 209715200"}  # over SCGI and uwsgi

    def addresses(self):
        scheme = "fcgi" if self.wire == "fastcgi" else self.wire
        listen = {"<VirtualHost *:80>": "<VirtualHost {}:{}>".format(*self.address)}
        tcp = f'" "{scheme}://127.0.0.1:{PORTS[self.wire]}'
        if isinstance(self.upstream, str):
            return {**listen, f'    ProxyPass "/{tcp}': f'    #ProxyPass "/{tcp}',
                    f'#ProxyPass "/" "unix:{socket_name(self.wire)}|': f'ProxyPass "/" "unix:{self.upstream}|'}
        return {**listen, tcp: '" "{}://{}:{}'.format(scheme, *self.upstream)}

    def modules(self):
        """Those that Debian enables and this needs, those that the file says to enable, and what these depend on."""
        named = re.search(r"^#   a2enmod ([a-z_ ]+) &&", self.shipped(), re.MULTILINE)[1].split()
        return ["mpm_event", "authz_core", "env", "reqtimeout", "proxy", *named]

    def command(self):
        include = self.write("shipped.conf", self.shipped())
        main = apache_conf(self.folder, self.address, self.modules(), f"KeepAliveTimeout 60\nInclude {include}")
        return [self.program, "-DFOREGROUND", "-f", self.write("apache.conf", main)]


class Lighttpd(Front):
    name = package = "lighttpd"
    program = find("lighttpd")
    body_limit = {"server.max-request-size := 10240": "server.max-request-size := 204800"}

    def addresses(self):
        tcp = f'"host" => "127.0.0.1", "port" => {PORTS[self.wire]},'
        if isinstance(self.upstream, str):
            return {tcp: "", f'#"socket" => "{socket_name(self.wire)}",': f'"socket" => "{self.upstream}",'}
        return {tcp: '"host" => "{}", "port" => {},'.format(*self.upstream)}

    def command(self):
        include = self.write("shipped.conf", self.shipped())
        # How Debian's main file treats paths is part of what is tried.
        return [self.program, "-D", "-f", self.write("lighttpd.conf", f"""
server.document-root = "{self.folder}"
server.upload-dirs = ( "{self.folder}" )
server.errorlog = "{self.folder}/error.log"
server.bind = "{self.address[0]}"
server.port = {self.address[1]}
server.max-keep-alive-idle = 60
server.http-parseopts = (
  "header-strict" => "enable", "host-strict" => "enable", "host-normalize" => "enable",
  "url-normalize-unreserved" => "enable", "url-normalize-required" => "enable", "url-ctrls-reject" => "enable",
  "url-path-2f-decode" => "enable", "url-path-dotseg-remove" => "enable",
)
include "{include}"
""")]


FRONTS = {front.name: front for front in (Nginx, Apache, Lighttpd)}
