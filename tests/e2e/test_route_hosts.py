"""Routes by host: several sites in one server, plugins and Python applications side by side."""
import ast

import pytest

from admin_client import Admin, narwhalctl
from clock import eventually
from gateway import WIRES, Gateway
from plugin_files import versioned
from server import WSGI, example, run, test_plugin
from wire import WireError, fetch, request_bytes


@pytest.fixture
def apps(tmp_path):
    return {name: versioned(tmp_path / f"{name}.so", name) for name in ("front", "shop", "cart", "blog", "below")}


def sites(apps):
    return (f"app: {apps['front']}\n"
            "routes:\n"
            f"  - {{host: shop.example, app: {apps['shop']}}}\n"
            f"  - {{host: [shop.example, 'www.Shop.example.'], prefix: /cart, app: {apps['cart']}}}\n"
            f"  - {{host: '*.example', app: {apps['below']}}}\n"
            f"  - {{host: '[::1]', app: {apps['blog']}}}\n")


# (host, target): the application, or None for 404.
CHOICES = {
    ("shop.example", "/"): "shop",
    ("SHOP.Example", "/"): "shop",
    ("shop.example:8080", "/a?b"): "shop",
    ("shop.example.", "/"): "shop",
    ("shop.example.:8080", "/cart/1"): "cart",
    ("shop.example", "/carts"): "shop",
    ("www.shop.example", "/cart"): "cart",
    ("www.shop.example", "/"): None,  # it has routes of its own, and a wildcard is not asked as well
    ("blog.example", "/cart"): "below",
    ("a.b.c.example", "/"): "below",
    ("example", "/"): "front",
    ("notexample", "/"): "front",
    ("other.test", "/cart"): "front",
    ("[::1]", "/"): "blog",
    ("[0:0:0:0:0:0:0:1]:8000", "/"): "blog",
    ("[::2]", "/"): "front",
    ("127.0.0.1", "/"): "front",
    ("", "/"): "front",
}


def chosen(answer):
    assert answer.status in (200, 404)
    return answer.text if answer.status == 200 else None


def test_a_request_goes_to_the_route_of_its_host(serve, apps):
    server = serve(config=sites(apps))
    with server.connect() as wire:
        seen = {(host, target): chosen(wire.ask(target, host=host)) for host, target in CHOICES}
    assert seen == CHOICES


@pytest.mark.parametrize("wire", WIRES)
def test_over_other_wires_the_host_is_what_the_web_server_says(serve, apps, wire):
    server = serve(config=sites(apps), bind=f"{wire}://127.0.0.1:0")

    def ask(target="/", host=None, **more):
        with Gateway(wire, server.address) as front:
            return chosen(front.ask(target, host=host, more={"SERVER_NAME": "blog.example", **more}))
    for (host, target), app in CHOICES.items():
        if host != "":
            assert ask(target, host) == app, (host, target)
    assert ask("/") == "below", "SERVER_NAME, where the web server passes no Host on"
    assert ask("/", SERVER_NAME="*.example") == "below", "nginx passes a pattern on as it is written"
    assert ask("/", SERVER_NAME="_") == ask("/", SERVER_NAME="") == "front"
    assert ask("/mounted/cart/1", "shop.example", SCRIPT_NAME="/mounted", PATH_INFO="/cart/1") == "cart"
    assert ask("http://shop.example/cart", "other.test") == "cart"


def test_the_authority_of_an_absolute_target_is_the_host(serve, apps):
    server = serve(config=sites(apps))
    with server.connect() as wire:
        assert wire.ask("http://shop.example/cart", host="other.test").text == "cart"
        assert wire.ask("http://other.test:80/", host="shop.example").text == "front"
        assert wire.ask("http://shop.example?x", host="").text == "shop"


def test_a_request_of_http_1_0_without_host_goes_to_the_routes_without_hosts(serve, apps):
    server = serve(config=sites(apps))
    assert server.get("/cart", version="1.0", host=None).text == "front"
    assert server.get("/cart", version="1.0", host="shop.example").text == "cart"


def test_fields_that_proxies_add_do_not_choose_the_route(serve, apps):
    server = serve(config=sites(apps))
    fields = [("X-Forwarded-Host", "shop.example"), ("Forwarded", "for=192.0.2.1;host=shop.example"),
              ("X-Forwarded-For", "192.0.2.1")]
    assert server.get("/", host="other.test", headers=fields).text == "front"


def test_without_a_route_for_other_hosts_they_are_404(serve, apps):
    server = serve(config=f"routes:\n  - {{host: shop.example, app: {apps['shop']}}}\n")
    assert server.get("/", host="shop.example").text == "shop"
    for host in ("www.shop.example", "test", ""):
        assert server.get("/", host=host).status == 404
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers={"Content-Length": "1000000", "Expect": "100-continue"}))
        assert wire.response("POST").status == 404, "its body is not waited for"


def test_app_on_the_command_line_is_for_the_hosts_that_no_route_has(serve, apps):
    server = serve(apps["front"], config=f"routes:\n  - {{host: shop.example, app: {apps['shop']}}}\n")
    assert server.get("/", host="shop.example").text == "shop" and server.get("/", host="test").text == "front"


def test_a_reload_changes_the_hosts(serve, apps):
    server = serve(config=f"routes:\n  - {{host: old.example, app: {apps['shop']}}}\n")
    assert server.get("/", host="old.example").text == "shop"
    server.config_path.write_text(f"routes:\n  - {{host: new.example, app: {apps['shop']}}}\n")
    server.reload()
    assert server.get("/", host="new.example").text == "shop" and server.get("/", host="old.example").status == 404
    server.config_path.write_text("routes:\n  - {host: 'new.example:80', app: x.so}\n")
    mark = server.mark()
    server.send(1)
    server.wait_for(r"'new\.example:80' has a port", after=mark)
    assert server.get("/", host="new.example").text == "shop"


FLASK = """
from flask import Flask, jsonify, request, url_for
app = Flask(__name__)

@app.get("/")
def root():
    return jsonify(site=request.host, root=request.script_root, path=request.path, about=url_for("about"))

@app.get("/about")
def about():
    return "about"

@app.get("/projects/")
def projects():
    return "projects"
"""
PLAIN = """
def app(environ, start_response):
    body = repr([environ["SCRIPT_NAME"], environ["PATH_INFO"], environ.get("HTTP_HOST")]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.skipif(not WSGI.exists(), reason="no WSGI plugin")
@pytest.mark.parametrize("wire", ["http", *WIRES])
def test_python_and_plugins_serve_side_by_side_by_host_and_prefix(serve, apps, tmp_path, wire):
    pytest.importorskip("flask")
    (tmp_path / "shop_site.py").write_text(FLASK)
    (tmp_path / "plain.py").write_text(PLAIN)
    server = serve("--pythonpath", tmp_path, bind=f"{wire}://127.0.0.1:0", config=(
        f"app: {apps['front']}\n"
        "routes:\n"
        "  - {host: shop.example, app: 'shop_site:app'}\n"
        "  - {host: shop.example, prefix: /api, app: 'plain:app'}\n"
        f"  - {{host: shop.example, prefix: /api/fast, app: {test_plugin('two_mounts')}, options: {{say: shop}}}}\n"
        "  - {host: '*.shop.example', prefix: /site, app: 'shop_site:app'}\n"
        f"  - {{prefix: /api/fast, app: {test_plugin('two_mounts')}, options: {{say: other}}}}\n"))

    def ask(target, host):
        if wire == "http":
            return fetch(server.address, target, host=host)
        with Gateway(wire, server.address) as front:
            return front.ask(target, host=host)
    assert '"root":""' in ask("/", "shop.example").text.replace(" ", "")
    below = ask("/site/", "a.shop.example").text.replace(" ", "")
    assert '"root":"/site"' in below and '"about":"/site/about"' in below and '"site":"a.shop.example"' in below
    assert ask("/site/projects", "a.shop.example").header("Location") == "http://a.shop.example/site/projects/"
    assert ast.literal_eval(ask("/api/x%20y", "shop.example").text) == ["/api", "/x y", "shop.example"]
    assert ask("/api/fast/1", "shop.example").text.split()[:2] == ["/api/fast", "shop"]
    assert ask("/api/fast/1", "other.test").text.split()[:2] == ["/api/fast", "other"]
    assert ask("/api", "other.test").text == "front" and ask("/", "a.shop.example").status == 404


# ---- what is shown ----
def test_routes_of_one_prefix_are_told_apart_in_status_and_metrics(serve, apps, tmp_path):
    control = tmp_path / "control.sock"
    server = serve("--control-socket", control, config=sites(apps))
    for host in ("shop.example", "shop.example", "blog.example", "test"):
        server.get("/", host=host)
    server.get("/cart", host="www.shop.example")
    admin = Admin(control)
    expected = {"/": 1, "shop.example/": 2, "*.example/": 1, "shop.example/cart": 1, "[::1]/": 0}

    def requests():
        return {each["route"]: each["requests"] for each in admin.status()["totals"]["routes"]}
    eventually("all requests counted", lambda: requests() == expected)
    [generation] = admin.status()["generations"]
    shown = [(each["route"], each["hosts"], each["prefix"]) for each in generation["routes"]]
    assert shown == [("shop.example/cart", ["shop.example", "www.shop.example"], "/cart"),
                     ("shop.example/", ["shop.example"], "/"), ("*.example/", ["*.example"], "/"),
                     ("[::1]/", ["[::1]"], "/"), ("/", [], "/")]
    assert admin.total("narwhal_requests_total", 'route="shop.example/"', 'status="2xx"') == 2
    assert f"  shop.example/cart {apps['cart']}\n" in narwhalctl(control, "status").stdout


def test_print_config_shows_hosts_in_a_form_that_is_read_again(apps, tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text(sites(apps).replace("prefix: /cart,", "prefix: /cart, trailing_slash: strict,"))
    first = run("--print-config", "-c", config)
    assert first.returncode == 0 and "    trailing_slash: strict\n" in first.stdout
    assert '    host:\n      - shop.example\n      - www.shop.example\n' in first.stdout and '      - "*.example"\n' in first.stdout
    config.write_text(first.stdout)
    again = run("--print-config", "-c", config)

    def settings(text):
        return [line.split("  # ")[0].rstrip() for line in text.splitlines()]
    assert settings(again.stdout) == settings(first.stdout)


MISTAKES = {
    "a port": ("{host: 'shop.example:80', app: a.so}", "'shop.example:80' has a port: hosts are compared without it, so leave it out"),
    "every host": ("{host: '*', app: a.so}", "'*' would be every host: leave 'host' out for requests to any other host"),
    "a URL": ("{host: 'http://a.example', app: a.so}", "'http://a.example' is a URL or a path: name the host alone"),
    "nothing": ("{host: [], app: a.so}", "is an empty list: leave 'host' out for requests to any other host"),
    "a misspelled key": ("{hosts: a.example, prefix: /, app: a.so}", "unknown key 'hosts': did you mean 'host'?"),
    "two alike": ("{host: a.example, app: a.so}\n  - {host: A.example, prefix: /, app: b.so}",
                  "prefix '/' appears twice for host 'a.example'"),
    "slashes": ("{prefix: /x, app: a.so, trailing_slash: yes}",
                "'yes' is not a way to treat slashes: use as_sent, strict or tolerant"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_route_is_reported_with_its_place(tmp_path, name):
    text, message = MISTAKES[name]
    config = tmp_path / "narwhal.yaml"
    config.write_text(f"routes:\n  - {text}\n")
    done = run("--check-config", "-c", config)
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert f"narwhal.yaml:{3 if 'twice' in message else 2}:" in done.stderr, done.stderr


def test_a_request_that_crashes_workers_is_refused_for_its_own_host_alone(serve):
    server = serve("-w", "2", "--poison-limit", "2", config=(
        f"app: {example('echo')}\nroutes:\n  - {{host: [shop.example, www.shop.example], app: {example('echo')}}}\n"))
    for _ in range(2):
        server.wait_workers(2)
        mark = server.mark()
        with server.connect(timeout=30) as wire, pytest.raises((WireError, OSError)):
            wire.ask("/die?crash=1", host="www.shop.example")
        server.wait_for("was sent SIG|was sent signal", after=mark)
    server.wait_for(r"Poison breaker: GET shop\.example/die was running in 2 workers")
    for host, status in (("shop.example", 503), ("www.shop.example", 503), ("other.test", 200)):
        assert server.get("/die", host=host).status == status
