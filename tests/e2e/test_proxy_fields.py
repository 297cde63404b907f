"""What a trusted proxy says in header fields: the client and the scheme; and names that contain an underscore."""
import json

import pytest

from clock import eventually
from server import example

UNTRUSTING = ("--forwarded-allow-ips", "10.0.0.1")


def seen(response):
    assert response.status == 200, response
    return json.loads(response.body)


def ask(server, *fields, target="/"):
    return server.get(target, headers=fields)


@pytest.fixture(scope="module")
def trusting(serve_module):
    return serve_module(example("echo"), "-w", "1")


@pytest.fixture(scope="module")
def untrusting(serve_module):
    return serve_module(example("echo"), "-w", "1", *UNTRUSTING)


def test_a_trusted_peer_names_its_client_and_its_scheme(trusting):
    answer = seen(ask(trusting, ("X-Forwarded-For", "6.6.6.6, 203.0.113.9"), ("X-Forwarded-Proto", "https")))
    assert (answer["client"], answer["scheme"], answer["peer"]) == ("203.0.113.9", "https", "127.0.0.1")
    answer = seen(ask(trusting, ("Forwarded", 'for=6.6.6.6, for="[2001:db8::9]:4711"')))
    assert (answer["client"], answer["scheme"]) == ("2001:db8::9", "http")
    answer = seen(ask(trusting, ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")))
    assert answer["client"] == "203.0.113.9"


def test_only_trusted_peers_are_believed(untrusting):
    answer = seen(ask(untrusting, ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"),
                      ("X-Forwarded-Ssl", "off"), ("Forwarded", "for=7.7.7.7")))
    assert (answer["client"], answer["scheme"], answer["peer"]) == ("127.0.0.1", "http", "127.0.0.1")
    assert ["X-Forwarded-For", "6.6.6.6"] in answer["headers"]  # the application may read it nevertheless


def test_values_of_one_request_do_not_reach_the_next(trusting):
    with trusting.connect() as wire:
        for _ in range(3):
            named = seen(wire.ask("/", headers=[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]))
            assert (named["client"], named["scheme"]) == ("203.0.113.9", "https")
            plain = seen(wire.ask("/"))
            assert (plain["client"], plain["scheme"]) == ("127.0.0.1", "http")


def test_a_peer_on_a_unix_socket_is_trusted(serve, tmp_path):
    server = serve(example("echo"), *UNTRUSTING, bind=f"unix:{tmp_path}/n.sock")
    answer = seen(ask(server, ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")))
    assert (answer["client"], answer["scheme"], answer["peer"]) == ("203.0.113.9", "https", "")
    assert seen(ask(server))["client"] == ""


def test_the_environment_sets_the_trusted_peers_as_in_gunicorn(serve):
    server = serve(example("echo"), env={"FORWARDED_ALLOW_IPS": "10.0.0.1"})
    assert seen(ask(server, ("X-Forwarded-For", "203.0.113.9")))["client"] == "127.0.0.1"


@pytest.mark.parametrize("fields, words", [
    ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")], b"contradicting scheme headers"),
    ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")], b"contradicting scheme headers"),
    ([("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=6.6.6.6")], b"X-Forwarded-For and Forwarded disagree"),
    ([("Forwarded", 'for="')], b"malformed Forwarded"),
])
def test_a_contradiction_is_refused_with_a_message(serve, tmp_path, fields, words):
    log = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "1", "--access-logfile", log, "--access-logformat", "%(s)s %(r)s %(a)s")
    response = server.get("/x", headers=[*fields, ("User-Agent", "me")])
    assert response.status == 400 and words in response.body
    server.wait_for("Invalid request from ip=127.0.0.1: " + words.decode())
    eventually("its access line", lambda: log.read_text() == "400 GET /x HTTP/1.1 me\n")


CDN = [("X-Forwarded-For", "203.0.113.9, 198.51.100.1"), ("Forwarded", "for=203.0.113.9")]
DISAGREE = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=6.6.6.6")]


@pytest.mark.parametrize("setting, fields, client", [
    ("both", CDN, "198.51.100.1"), ("x-forwarded-for", CDN, "198.51.100.1"), ("forwarded", CDN, "203.0.113.9"),
    ("both", DISAGREE, None), ("x-forwarded-for", DISAGREE, "203.0.113.9"), ("forwarded", DISAGREE, "6.6.6.6")])
def test_client_header_says_which_field_counts(serve, setting, fields, client):
    """CDN: one in front of a proxy that adds the CDN's address to X-Forwarded-For, and passes Forwarded on."""
    response = serve(example("echo"), "--client-header", setting).get("/x", headers=fields)
    assert seen(response)["client"] == client if client else response.status == 400


def test_a_target_with_https_is_believed_from_a_trusted_peer_alone(trusting, untrusting):
    assert seen(trusting.get("https://shop.example/a"))["scheme"] == "https"
    assert untrusting.get("https://shop.example/a").status == 421
    assert seen(untrusting.get("http://shop.example/a"))["scheme"] == "http"


def test_a_name_with_an_underscore_is_dropped_and_logged_once_per_worker(serve):
    server = serve(example("echo"), "-w", "1")
    for number in range(3):
        names = {name for name, _ in seen(ask(server, (f"X_Secret{number}", "1"), ("X-Secret", "2")))["headers"]}
        assert "X-Secret" in names and not any("_" in name for name in names)
    server.wait_for(r"Dropped the request field X_Secret0 because .*header_map: drop")
    assert server.log().count("Dropped the request field") == 1


def test_header_map_refuses_or_keeps_such_names(serve):
    refuses = serve(example("echo"), "--header-map", "refuse")
    response = ask(refuses, ("X_Secret", "1"))
    assert response.status == 400 and b"field name with an underscore" in response.body
    keeps = serve(example("echo"), "--header-map", "dangerous")
    assert ["X_Secret", "1"] in seen(ask(keeps, ("X_Secret", "1")))["headers"]


def test_what_a_trusted_proxy_may_send_is_kept(trusting, untrusting):
    fields = [("SCRIPT_NAME", "/shop"), ("path_info", "/x"), ("REMOTE_USER", "root")]
    kept = {name for name, _ in seen(ask(trusting, *fields))["headers"] if "_" in name}
    assert kept == {"SCRIPT_NAME", "path_info"}
    assert not [name for name, _ in seen(ask(untrusting, *fields))["headers"] if "_" in name]


def test_the_access_log_distinguishes_client_and_peer(serve, tmp_path):
    log = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "1", "--access-logfile", log,
                   "--access-logformat", "%(h)s %(c)s %({remote_addr}e)s %({client_addr}e)s %({request_scheme}e)s")
    ask(server, ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"))
    ask(server)
    expected = ["127.0.0.1 203.0.113.9 127.0.0.1 203.0.113.9 https", "127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1 http"]
    eventually("both access lines", lambda: log.exists() and log.read_text().splitlines() == expected)
