"""What a scripted client asks through each web server of conf/ and over each wire, and where a web server by itself answers
otherwise. Used by test_conf_fronts.py and tests/soak/test_soak_fronts.py."""
import hashlib
import json

from web_fronts import WIRES
from wire import Wire, chunked, request_bytes

MIB = 1024 * 1024
GATEWAYS = WIRES[1:]

# A Flask application, mounted at /flask. `stream` sends one piece, and the next when the test has said so.
APP = '''
import hashlib, os, time
from flask import Flask, Response, abort, jsonify, request, url_for

app = Flask(__name__)
folder = os.environ["FRONT_TEST_FOLDER"]
methods = ["GET", "POST", "PUT", "DELETE"]


@app.route("/facts/<path:rest>", methods=methods)
def facts(rest):
    body = request.get_data()
    answer = jsonify(method=request.method, rest=rest, path=request.path, root=request.root_path, query=dict(request.args),
                     size=len(body), sha256=hashlib.sha256(body).hexdigest(), client=request.remote_addr, scheme=request.scheme,
                     host=request.host.partition(":")[0], url=url_for("facts", rest="a b"), cookies=dict(request.cookies),
                     user=request.authorization and request.authorization.username, one=request.headers.get("X-One"),
                     length=request.content_length or 0)
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2; 3")
    return answer


@app.route("/form", methods=methods)
def form():
    files = {name: file.read().decode() for name, file in request.files.items()}
    return jsonify(form=request.form.to_dict(flat=False), files=files)


@app.route("/fails")
def fails():
    raise RuntimeError("the application fails")


@app.route("/status/<int:status>")
def status(status):
    abort(status)


def wait_for(name):
    end = time.monotonic() + 60
    while not os.path.exists(os.path.join(folder, name)) and time.monotonic() < end:
        time.sleep(0.005)


@app.route("/stream/<token>/<end>")
def stream(token, end):
    def pieces():
        yield b"x" * 65536
        wait_for("go-" + token)
        if end == "fails":
            raise RuntimeError("the stream fails")
        yield b"y" * 65536
    return Response(pieces(), headers={"X-Accel-Buffering": "no"}, mimetype="application/octet-stream")


@app.route("/endless/<token>")
def endless(token):
    def pieces():
        try:
            while True:
                yield b"x" * 65536
        finally:
            open(os.path.join(folder, "left-" + token), "w").close()
    return Response(pieces(), mimetype="application/octet-stream")
'''

FORM = [("Content-Type", "application/x-www-form-urlencoded")]
UPLOAD = [("Content-Type", "multipart/form-data; boundary=x")]
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nin the file\r\n--x--\r\n'
FIELDS = [("X-One", "1"), ("Cookie", "a=1; b=2"), ("Accept", "*/*"), ("Authorization", "Basic YW5uYTpzZWNyZXQ="),
          ("X-Odd", "a\tb, \"c\""), ("Content-Type", "text/x"), ("If-None-Match", '"x"')]


def ask(target="/", method="GET", headers=(), body=b""):
    return {"target": target, "method": method, "headers": list(headers), "body": body}


# Each is asked directly too: the answers must be equal.
ECHO = [
    *(ask("/a/b?x=1&y=%26", method, FIELDS) for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PATCH")),
    ask("/", "POST", body=b"hello"), ask("/", "PUT", body=bytes(range(256)) * 300), ask("/", "POST"),
    *(ask(f"/?status={status}&rh=X-Two:2&size=5", method) for status in (200, 204, 301, 304, 400, 404, 410, 500, 503)
      for method in ("GET", "HEAD")),
    ask("/?exc=early"), ask("/?exc=early", "HEAD"), ask("/?exc=early", "POST", body=b"x" * 100_000),
    ask("/?size=3&rh=Set-Cookie:a=1&rh=Set-Cookie:b=2"), ask("/?size=3&rh=Content-Language:de&rh=Cache-Control:no-store"),
    ask("/?status=302&size=3&rh=Location:/else"), ask("/?status=201&size=3&rh=Location:/else?x=1"),
    ask("/?size=3&rh=ETag:%22x%22&rh=Vary:Accept&rh=Location:/else&rh=Last-Modified:Mon,%2030%20Nov%202026%2000:00:00%20GMT"),
    *(ask(f"/?size={size}{how}", method) for size in (0, 1, 70_000, 3 * MIB) for how in ("", "&write=1", "&chunked=1")
      for method in ("GET", "HEAD")),
    ask("/?trailer=X-T:1&size=3"),
    ask("/?noread=1&size=3", "POST", body=b"x" * 300_000), ask("/?" + "q" * 3000),
]
HINTED = ask("/?hint=Link:%3C/a%3E&size=3")
HINTS_NOT_UNDERSTOOD = ("nginx", "http")  # see conf/nginx/narwhal.conf
FLASK = [
    *(ask("/flask/facts/a%20b/%C3%A9?q=a%20b&n=%26", method, FIELDS) for method in ("GET", "HEAD", "DELETE")),
    *(ask("/flask/facts/x", method, FIELDS[:-2], b"b" * 70_000) for method in ("POST", "PUT")),
    ask("/flask/facts/x", "PATCH", body=b"x"),
    ask("/flask/form", "POST", FORM, b"a=1&a=2&b=%C3%A9+x"), ask("/flask/form", "POST", UPLOAD, FILE),
    ask("/flask/fails"), ask("/flask/status/404"), ask("/flask/status/503"), ask("/flask/status/503", "HEAD"),
    ask("/flask/nowhere"), ask("/flask/facts"), ask("/flask"),
]

# ---- where a web server by itself answers otherwise ----
# Odd targets reach the application as they were sent, but for these: another target, or the status of the web server's answer.
TARGETS = ["/", "//a", "/a//b", "/a/./b", "/a/../b", "/%2e%2e/b", "/%E2%82%AC", "/a\xe2\x82\xac", "/a+b", "/a;b=c", "/%25",
           "/%2541", "/a%25b", "/a%2Fb", "/%61%7e", "/a%3Fb?c", "/a%20b", "/a%23b", "/a%0Ab", "/a%00b", "/?", "/?a=%00", "/?a=b?c",
           "/?a%2Fb&&=;+", "/~a!$&'()*,:@", "/" + "x" * 3000]
NORMALISED = {  # lighttpd's own form of a target, by Debian's server.http-parseopts; over HTTP it is passed on
    "//a": "/a", "/a//b": "/a/b", "/a/./b": "/a/b", "/a/../b": "/b", "/%2e%2e/b": "/b", "/a\xe2\x82\xac": "/a%E2%82%AC",
    "/a%2Fb": "/a/b", "/%61%7e": "/a~", "/?a%2Fb&&=;+": "/?a/b&&=;+"}
CONTROLS_REFUSED = {target: 400 for target in ("/a%0Ab", "/a%00b", "/?a=%00")}
TARGETS_CHANGED = {
    # No file has NUL in its name, and none is above the root.
    "nginx": {wire: {"/a%00b": 400, "/%2e%2e/b": 400} for wire in WIRES},
    "apache": {
        # It takes all slashes at the start for the "/" of ProxyPass.
        "http": {"/a%00b": 404, "/%2e%2e/b": 400, "//a": "/a"},
        **{wire: {"/a%00b": 404, "/%2e%2e/b": 400} for wire in ("fastcgi", "scgi")},
        # mod_proxy_uwsgi cannot pass it on: see conf/apache/narwhal-uwsgi.conf.
        "uwsgi": {"/a%00b": 404, "/%2e%2e/b": 400, "/a%2Fb": 404},
    },
    "lighttpd": {"http": {**CONTROLS_REFUSED, **NORMALISED}, **{wire: CONTROLS_REFUSED for wire in GATEWAYS}},
}
# mod_proxy_scgi and mod_proxy_uwsgi ask for a length.
CHUNKED_REFUSED = {("apache", "scgi"): 411, ("apache", "uwsgi"): 411}

# An application that the web server itself mounts at /shop: (web server, wire, what is replaced in the file). Over the other
# wires they say nothing of it: there a route of narwhal is the place for it.
MOUNTED = [
    ("nginx", "fastcgi", {"location / {": "location /shop/ {\nfastcgi_split_path_info ^(/shop)(/.*)$;\n"
                          "fastcgi_param PATH_INFO $fastcgi_path_info;"}),
    ("nginx", "uwsgi", {"location / {": "location /shop/ {\nuwsgi_param SCRIPT_NAME /shop;"}),
    ("apache", "uwsgi", {'ProxyPass "/" "uwsgi://127.0.0.1:9002/"': 'ProxyPass "/shop" "uwsgi://127.0.0.1:9002"'}),
    *(("lighttpd", wire, {f'{module}.server = ( "" => ((': f'{module}.server = ( "/shop" => (('})
      for wire, module in (("fastcgi", "fastcgi"), ("scgi", "scgi"), ("uwsgi", "scgi"))),
]

# Of the web server itself, or of one connection.
OWN_FIELDS = {"server", "date", "connection", "keep-alive", "transfer-encoding", "accept-ranges"}
# What a web server adds to a request, or says otherwise.
REQUEST_FIELDS = {"connection", "host", "content-length", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
                  "x-forwarded-server", "x-host"}


def essence(response, case):
    """What must be the same through each web server. The length of the echo example's description depends on the fields that a
    web server adds; Apache takes the type away where there is no body."""
    describes = "json" in (response.header("Content-Type") or "") and not case["target"].startswith("/flask")
    fields = {}
    for name, value in response.headers:
        fields.setdefault(name.lower(), []).append("any" if describes and name == "Content-Length" else value)
    left_out = OWN_FIELDS | ({"content-type"} if response.status in (204, 304) else set())
    fields = {name: values for name, values in fields.items() if name not in left_out}
    return response.status, fields, described_body(response.body) if describes and response.body else shortened(response.body)


def is_same(directly, through):
    """An answer whose length the application has not declared may have one."""
    if isinstance(directly, tuple) and isinstance(through, tuple) and "content-length" not in directly[1]:
        through[1].pop("content-length", None)
    return directly == through


def shortened(body):
    return body if len(body) < 500 else (len(body), hashlib.sha256(body).hexdigest())


def described_body(body):
    """Of the echo example's description, what does not depend on the connection."""
    said = json.loads(body)
    fields = sorted([name.lower(), value] for name, value in said["headers"] if name.lower() not in REQUEST_FIELDS)
    names = ("method", "path", "query", "uri", "body_len", "body_sha256", "body", "protocol", "scheme")
    return {**{name: said[name] for name in names}, "fields": fields}


def described(address, source=None, chunks=None, **parts):
    """What the echo example says of one request; `chunks`: its body's."""
    with Wire(address, 60, source=source) as client:
        if chunks is None:
            response = client.ask(**parts)
        else:
            client.send(request_bytes(method="POST", headers=[("Transfer-Encoding", "chunked")], **parts) + chunked(*chunks))
            response = client.response("POST")
    return json.loads(response.body) if response.status == 200 else response.status


def pattern(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]
