"""The setting trailing_slash of a route: strict redirects the prefix to its slash, tolerant drops slashes at the end."""
import ast
import json
import re
from urllib.parse import urljoin

import pytest

from clock import eventually
from gateway import WIRES, Gateway
from server import WSGI, example
from wire import request_bytes

WSGI_ONLY = pytest.mark.skipif(not WSGI.exists(), reason="no WSGI plugin")


def route(slashes, app=None, prefix="/shop", **more):
    fields = {"prefix": prefix, "app": f"'{app or example('echo')}'", "trailing_slash": slashes, **more}
    return "  - {" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}\n"


def seen(answer):
    assert answer.status == 200, answer
    return json.loads(answer.body)


# ---- strict ----
@pytest.fixture(scope="module")
def strict(serve_module):
    return serve_module("--access-logfile", "-", config=(
        "routes:\n" + route("strict") + route("strict", prefix="/caf\u00e9") + route("strict", prefix="/a/b:c")
        + route("strict", app=example("echo-stream"), prefix="/stream") + route("strict", prefix="/")
        + route("as_sent", prefix="/plain")))


@pytest.mark.parametrize("target, location, leads_to", [
    ("/shop", "./shop/", "/shop/"),
    ("/shop?a=1&b=%2F/", "./shop/?a=1&b=%2F/", "/shop/?a=1&b=%2F/"),
    ("/shop?", "./shop/?", "/shop/"),
    ("/%73hop", "./%73hop/", "/%73hop/"),
    ("/a/b:c", "./b:c/", "/a/b:c/"),
    ("/caf%C3%A9?q", "./caf%C3%A9/?q", "/caf%C3%A9/?q"),
    ("/caf\u00c3\u00a9?\u00c3\u00a9", "./caf%C3%A9/?%C3%A9", "/caf%C3%A9/?%C3%A9"),
    ("http://shop.test/shop?x", "./shop/?x", "http://shop.test/shop/?x"),
    ("/shop?next=//evil.test/\\", "./shop/?next=//evil.test/%5C", "/shop/?next=//evil.test/%5C"),
])
def test_the_prefix_without_a_slash_is_redirected_to_it(strict, target, location, leads_to):
    with strict.connect() as wire:
        answer = wire.ask(target)
        assert (answer.status, answer.header("Location")) == (308, location)
        assert answer.text == "Permanent Redirect\n" and answer.header("Retry-After") is None
        followed = urljoin(target.encode("latin-1").decode(), location)
        assert followed == leads_to
        assert seen(wire.ask(followed))["uri"] == followed


def test_only_the_prefix_itself_is_redirected(strict):
    with strict.connect() as wire:
        for target in ("/shop/", "/shop/a", "/shop/a/", "/shop//", "/shop/?x", "/", "/other", "/plain", "/plain/"):
            assert seen(wire.ask(target))["uri"] == target
        assert wire.ask("*", method="OPTIONS").status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_every_method_is_redirected_and_keeps_its_connection(strict, method):
    with strict.connect() as wire:
        answer = wire.ask("/shop", method=method, body=b"" if method == "HEAD" else b"small")
        assert (answer.status, answer.header("Location")) == (308, "./shop/")
        assert not answer.closes and seen(wire.ask("/shop/"))["uri"] == "/shop/"


@pytest.mark.parametrize("prefix", ["/shop", "/stream"])
def test_the_body_of_a_redirected_request_is_not_waited_for(strict, prefix):
    for headers in ({"Content-Length": "100000000"}, {"Transfer-Encoding": "chunked"},
                    {"Content-Length": "5", "Expect": "100-continue"}):
        with strict.connect() as wire:
            wire.send(request_bytes(prefix, method="POST", headers=headers))
            answer = wire.response("POST")
            assert (answer.status, answer.header("Location"), answer.closes) == (308, f".{prefix}/", True)
    assert "Invalid request" not in strict.log()


def test_a_streaming_plugin_is_not_asked_about_a_small_body(strict):
    with strict.connect() as wire:
        assert wire.ask("/stream", method="POST", body=b"abc").header("Location") == "./stream/"
    assert seen(strict.get("/stream/", method="POST", body=b"abc"))["uri"] == "/stream/"


def test_the_redirect_is_in_the_access_log_as_it_was_asked(strict):
    strict.get("/shop?logged")
    eventually("the line", lambda: re.search(r'"GET /shop\?logged HTTP/1\.1" 308 19 ', strict.stdout()))


@pytest.mark.parametrize("wire", WIRES)
def test_over_other_wires_the_web_servers_prefix_is_part_of_the_path(serve, wire):
    server = serve(config="routes:\n" + route("strict"), bind=f"{wire}://127.0.0.1:0")

    def ask(target, **parts):
        with Gateway(wire, server.address) as front:
            return front.ask(target, **parts)
    assert ask("/shop?q").header("Location") == "./shop/?q"
    mounted = ask("/app/shop?q", more={"SCRIPT_NAME": "/app", "PATH_INFO": "/shop"})
    assert mounted.status == 308 and urljoin("/app/shop?q", mounted.header("Location")) == "/app/shop/?q"
    assert seen(ask("/app/shop/", more={"SCRIPT_NAME": "/app", "PATH_INFO": "/shop/"}))["path"] == "/app/shop/"
    evil = ask("//evil.test/shop", more={"SCRIPT_NAME": "//evil.test", "PATH_INFO": "/shop"})
    assert evil.header("Location") == "./shop/"
    large = ask("/shop", method="POST", body=b"x" * 300000)
    assert (large.status, large.header("Location")) == (308, "./shop/")


# ---- tolerant ----
@pytest.fixture(scope="module")
def tolerant(serve_module):
    return serve_module("--access-logfile", "-", "--access-logformat", "%(r)s|%(U)s|", config=(
        "routes:\n" + route("tolerant") + route("tolerant", prefix="/") + route("as_sent", prefix="/plain")))


@pytest.mark.parametrize("target, path", [
    ("/shop/a/", "/shop/a"), ("/shop/a", "/shop/a"), ("/shop/a/?x=/", "/shop/a"), ("/shop/a%2F", "/shop/a%2F"),
    ("/shop/a//", "/shop/a/"), ("/shop/", "/shop/"), ("/shop", "/shop/"), ("/shop?x", "/shop/"), ("/shop//", "/shop/"), ("/%73hop/a/", "/%73hop/a"),
    ("/", "/"), ("/b/", "/b"), ("/b/c/", "/b/c"), ("//", "/"), ("http://test/b/", "/b"), ("/plain/a/", "/plain/a/"),
    ("/plain/", "/plain/"),
])
def test_the_application_gets_the_path_without_the_slash_at_its_end(tolerant, target, path):
    answer = seen(tolerant.get(target))
    assert (answer["uri"], answer["path"]) == (target, path)


def test_the_log_has_the_target_as_it_was_sent(tolerant):
    tolerant.get("/shop/logged/?x")
    eventually("the line", lambda: "GET /shop/logged/?x HTTP/1.1|/shop/logged|" in tolerant.stdout())


@pytest.mark.parametrize("wire", WIRES)
def test_over_other_wires_slashes_are_dropped_too(serve, wire):
    server = serve(config="routes:\n" + route("tolerant"), bind=f"{wire}://127.0.0.1:0")
    for target, path in (("/app/shop/a/?x", "/app/shop/a"), ("/app/shop/", "/app/shop/"), ("/app/shop", "/app/shop/")):
        with Gateway(wire, server.address) as front:
            inner = target.partition("?")[0].removeprefix("/app")
            answer = seen(front.ask(target, more={"SCRIPT_NAME": "/app", "PATH_INFO": inner}))
        assert (answer["uri"], answer["path"]) == (target, path)


# ---- what Flask makes of it ----
FLASK = """
from flask import Flask, request
app = Flask(__name__)

@app.get("/")
def root():
    return repr((request.script_root, request.path))

@app.get("/about")
def about():
    return repr((request.script_root, request.path, request.environ["RAW_URI"]))
"""


@WSGI_ONLY
def test_a_flask_rule_without_a_slash_serves_both_under_tolerant(serve, tmp_path):
    pytest.importorskip("flask")
    (tmp_path / "slash_site.py").write_text(FLASK)
    routes = "".join(route(each, app="slash_site:app", prefix=f"/{each}") for each in ("as_sent", "strict", "tolerant"))
    server = serve("--pythonpath", tmp_path, config="routes:\n" + routes)
    for each in ("as_sent", "strict", "tolerant"):
        assert ast.literal_eval(server.get(f"/{each}/about").text) == (f"/{each}", "/about", f"/{each}/about")
        assert ast.literal_eval(server.get(f"/{each}/").text) == (f"/{each}", "/")
        assert server.get(f"/{each}/about/").status == (200 if each == "tolerant" else 404), "Flask's own rule is strict"
    assert server.get("/strict").header("Location") == "./strict/"
    assert ast.literal_eval(server.get("/tolerant").text) == ("/tolerant", "/"), "without a redirect of Flask"
    assert ast.literal_eval(server.get("/tolerant/about/").text) == ("/tolerant", "/about", "/tolerant/about/")


def test_a_reload_changes_what_a_slash_means(serve):
    server = serve(config="routes:\n" + route("tolerant"))
    assert seen(server.get("/shop/a/"))["path"] == "/shop/a"
    server.config_path.write_text("routes:\n" + route("strict"))
    server.reload()
    assert seen(server.get("/shop/a/"))["path"] == "/shop/a/" and server.get("/shop").status == 308
