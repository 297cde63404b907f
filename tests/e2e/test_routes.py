"""Several applications in one server: prefixes, options, and requests without a route."""
import json

import pytest

from plugin_files import versioned
from server import example, run


@pytest.fixture
def apps(tmp_path):
    return {name: versioned(tmp_path / f"{name}.so", name) for name in ("one", "two", "three")}



def test_the_longest_prefix_wins_whatever_the_order(serve, apps):
    server = serve(config="routes:\n"
                   f"  - {{prefix: /, app: {apps['one']}}}\n"
                   f"  - {{prefix: /shop, app: {apps['two']}}}\n"
                   f"  - {{prefix: /shop/cart/, app: {apps['three']}}}\n")
    for target, app in {"/": "one", "/a": "one", "/shop": "two", "/shop/": "two", "/shop/a?x": "two", "/shop?x": "two",
                        "/shop/cart": "three", "/shop/cart/1": "three", "/shopping": "one", "/shop/carts": "two",
                        "/Shop": "one"}.items():
        assert server.get(target).text == app, target


def test_a_request_without_a_route_is_404(serve, apps):
    server = serve(config=f"routes:\n  - {{prefix: /shop, app: {apps['one']}}}\n")
    with server.connect() as wire:
        assert wire.ask("/shop").text == "one"
        assert wire.ask("/").status == 404
        assert wire.ask("/shopping").status == 404
        assert wire.ask("/", method="HEAD").status == 404
        assert wire.ask("/shop/x").text == "one"
        refused = wire.ask("/", method="POST", body=b"body")  # before its body was read: the connection may end here
        assert refused.status == 404 and (refused.closes or wire.ask("/shop").text == "one")


def test_the_app_of_the_command_line_is_the_root_beside_routes(serve, apps):
    server = serve(apps["one"], config=f"routes:\n  - {{prefix: /shop, app: {apps['two']}}}\n")
    assert server.get("/").text == "one" and server.get("/shop").text == "two"


def test_a_mounted_app_sees_the_whole_path(serve):
    server = serve(config=f"routes:\n  - {{prefix: /deep/down, app: {example('echo')}}}\n")
    answer = json.loads(server.get("/deep/down/a%20b?c").body)
    assert (answer["uri"], answer["path"], answer["query"]) == ("/deep/down/a%20b?c", "/deep/down/a%20b", "c")


def test_the_same_plugin_may_be_mounted_twice(serve, apps):
    server = serve(config="routes:\n" + "".join(f"  - {{prefix: /{name}, app: {apps['one']}}}\n" for name in "ab"))
    assert server.get("/a").text == server.get("/b").text == "one"


def test_an_absolute_target_is_routed_by_its_path(serve, apps):
    server = serve(apps["one"], config=f"routes:\n  - {{prefix: /shop, app: {apps['two']}}}\n")
    with server.connect() as wire:
        assert wire.ask("http://other/shop/x").text == "two"


def test_one_broken_route_of_several_stops_the_start(apps, tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text(f"routes:\n  - {{prefix: /, app: {apps['one']}}}\n  - {{prefix: /x, app: {tmp_path}/gone.so}}\n")
    done = run("-b", "127.0.0.1:0", "-c", config)
    assert done.returncode == 4 and "gone.so" in done.stderr


# ---- options ----
def test_an_unknown_option_is_an_error_before_any_code_runs(apps, tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text(f"routes:\n  - prefix: /\n    app: {apps['one']}\n    options:\n      greting: hi\n")
    done = run("--check-config", "-c", config)
    assert done.returncode == 1 and "greting" in done.stderr
