"""The hooks of a gunicorn.conf.py in a worker, with the `req` and `resp` that they get.

hooks.cpp runs this in each worker, or with preload_app once in the template, and uses Hooks, Request and Response.
"""
import json
from urllib.parse import unquote_to_bytes

from narwhal_gunicorn import WORKER_HOOKS, Log, Server, Worker, config_of, find_hook, load
from narwhal_lenient import REQUEST_NAMES, RESPONSE_NAMES, Lenient


def environ_of(headers):
    """The keys of an environ that these headers give, as Gunicorn makes them."""
    values = {}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
        values[key] = values[key] + "," + value if key in values else value
    return values


def path_info(path, script_name):
    """PATH_INFO of a request's path, which is not decoded yet."""
    decoded = unquote_to_bytes(path).decode("latin-1")
    rest = decoded[len(script_name):]
    is_inside = script_name and decoded.startswith(script_name) and rest[:1] in ("", "/")
    return rest if is_inside else decoded


class Message(Lenient):
    _log = None

    def _where_to_warn(self):
        return self._log


class Request(Message):
    gunicorns_names = REQUEST_NAMES
    # The attributes from which Gunicorn makes the environ after pre_request, apart from path and headers.
    KEYS = {"method": "REQUEST_METHOD", "query": "QUERY_STRING", "uri": "RAW_URI", "scheme": "wsgi.url_scheme"}
    fragment = ""
    must_close = False

    def __init__(self, method, uri, path, query, version, scheme, peer, headers):
        self.method, self.uri, self.path, self.query, self.scheme = method, uri, path, query, scheme
        self.version = tuple(int(digit) for digit in version.rpartition("/")[2].split("."))
        self.remote_addr = self.peer_addr = peer
        self.headers = headers
        self._sent = {"headers": list(headers), "path": path, "version": self.version, **{name: getattr(self, name) for name in self.KEYS}}

    def force_close(self):
        self.must_close = True
        self._warn_once("force_close", "Hooks: '%s' has no effect: the server decides when a connection ends")

    def should_close(self):
        """Whether the client has asked for the end of its connection."""
        for name, value in self.headers:
            if name == "CONNECTION":
                wish = value.lower().strip(" \t")
                if wish in ("close", "keep-alive"):
                    return wish == "close"
                break
        return self.version <= (1, 0)

    def apply_changes(self, environ):
        """Puts into environ what pre_request has changed."""
        for name, key in self.KEYS.items():
            if getattr(self, name) != self._sent[name]:
                environ[key] = getattr(self, name)
        if self.path != self._sent["path"]:
            environ["PATH_INFO"] = path_info(self.path, environ["SCRIPT_NAME"])
        if self.version != self._sent["version"]:
            environ["SERVER_PROTOCOL"] = "HTTP/" + ".".join(map(str, self.version))
        if self.headers != self._sent["headers"]:
            self._change_headers(environ)

    def _change_headers(self, environ):
        before, now = environ_of(self._sent["headers"]), environ_of(self.headers)
        for key in before.keys() | now.keys():
            if before.get(key) == now.get(key):
                continue
            if key in now:
                environ[key] = now[key]
            else:
                environ.pop(key, None)


class Response(Message):
    gunicorns_names = RESPONSE_NAMES
    chunked = property(lambda self: self.is_chunked())

    def __init__(self, status, headers):
        self.status, self.headers = status, headers
        self.status_code = int(status[:3]) if status else None
        self.headers_sent = bool(status)
        lengths = [value for name, value in headers if name.lower() == "content-length" and value.isdecimal()]
        self.response_length = int(lengths[0]) if lengths else None

    def is_chunked(self):
        request = vars(self).get("req")
        if not request or not self.status or self.response_length is not None:
            return False
        has_body = request.method != "HEAD" and self.status_code >= 200 and self.status_code not in (204, 304)
        return has_body and request.version > (1, 0)

    def should_close(self):
        request = vars(self).get("req")
        return bool(request and request.should_close())


class Hooks:
    """`settings`: all settings of the server, in JSON. answered(): how many requests this worker has begun. retire():
    asks the server to replace this worker."""

    def __init__(self, location, settings, write, answered, retire):
        module = load(location)
        for name in WORKER_HOOKS:
            setattr(self, name, find_hook(module, name))
        log = Log(write)
        cfg = config_of(json.loads(settings), module)
        log.cfg = Message.cfg = cfg
        Message._log = log
        self.server = Server(log, cfg)
        self.worker = Worker(log, cfg, 0, answered=answered, retire=retire)

    def forked(self, age):
        self.worker.age = self.server.worker_age = age
        if self.post_fork:
            self.post_fork(self.server, self.worker)

    def ready(self, application):
        self.worker.app._application = self.server.app._application = application
        if self.post_worker_init:
            self.post_worker_init(self.worker)
        self.worker.booted = True

    def before(self, request, environ):
        self.pre_request(self.worker, request)
        request.apply_changes(environ)

    def after(self, request, environ, response):
        if response:
            response.req = request
        try:
            self.post_request(self.worker, request, environ, response)
        except Exception:
            self.worker.log.exception("Exception in post_request hook")

    def abort(self):
        self.worker.aborted = True
        self.worker_abort(self.worker)

    def leave(self, quickly):
        self.worker._alive = False
        if quickly and self.worker_int:
            try:
                self.worker_int(self.worker)
            except Exception:
                self.worker.log.exception("Exception in worker_int hook")
        if self.worker_exit:
            self.worker_exit(self.server, self.worker)
