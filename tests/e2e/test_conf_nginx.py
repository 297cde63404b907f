"""conf/nginx/narwhal.conf as shipped, in a real nginx in front of the real server; only the addresses are replaced."""
import json
import ssl
import subprocess

import pytest

import proc
import wire
from nginx_front import needs_nginx, nginx  # noqa: F401
from server import example

pytestmark = needs_nginx


@pytest.fixture(params=["tcp", "unix"])
def behind_nginx(request, serve, nginx, tmp_path):
    """(the server, the address of the nginx in front of it), over TCP and over a Unix socket."""
    if request.param == "unix":
        bind = f"unix:{tmp_path}/n.sock"
        server = serve(example("echo"), bind=bind)
        return server, nginx(bind)
    server = serve(example("echo"))
    return server, nginx(f"127.0.0.1:{server.port}")


# What a client may claim about itself; none of it may be believed.
CLAIMS = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
          ("Forwarded", "for=6.6.6.6;proto=https"), ("X-Forwarded-Ssl", "on"), ("SCRIPT_NAME", "/evil"),
          ("X_Real_IP", "6.6.6.6")]


def fields_of(response):
    assert response.status == 200, response
    return {name.lower(): value for name, value in json.loads(response.body)["headers"]}


def test_a_request_arrives_through_nginx_as_the_client_sent_it(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/a%20b/c?x=1&y=%2F", host="shop.example:8443", method="POST", body=b"hello")
    seen = json.loads(response.body)
    assert (seen["method"], seen["uri"], seen["body"]) == ("POST", "/a%20b/c?x=1&y=%2F", "hello")
    assert seen["protocol"] == "HTTP/1.1"
    assert fields_of(response)["host"] == "shop.example:8443"


def test_nginx_names_the_client_and_drops_what_the_client_claims(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/", host="shop.example", headers=CLAIMS)
    fields = fields_of(response)
    assert fields["x-forwarded-proto"] == "http"
    assert fields["x-forwarded-host"] == "shop.example"
    assert "6.6.6.6" not in fields.get("x-forwarded-for", "")
    assert not {"forwarded", "x-forwarded-ssl", "script_name", "x_real_ip"} & set(fields)
    assert json.loads(response.body)["scheme"] == "http"


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_the_server_knows_the_client_that_nginx_saw(serve, nginx, tmp_path, over):
    server = serve(example("echo"), bind="127.0.0.1:0" if over == "tcp" else f"unix:{tmp_path}/n.sock")
    front = nginx(f"127.0.0.1:{server.port}" if over == "tcp" else f"unix:{tmp_path}/n.sock", tcp=True)
    with wire.Wire(front, source="127.0.0.9") as client:
        for headers in ([], CLAIMS):
            seen = json.loads(client.ask("/", headers=headers).body)
            assert (seen["client"], seen["scheme"]) == ("127.0.0.9", "http")
            assert seen["peer"] == ("127.0.0.1" if over == "tcp" else "")


def test_the_server_knows_that_the_client_came_over_tls(serve, nginx, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=t", "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    server = serve(example("echo"))
    front = nginx(f"127.0.0.1:{server.port}", tcp=True,
                  tls=f" ssl; ssl_certificate {certificate}; ssl_certificate_key {key}")
    with wire.Wire(front) as client:
        client.sock = ssl._create_unverified_context().wrap_socket(client.sock)
        seen = json.loads(client.ask("/").body)
    assert (seen["scheme"], seen["client"]) == ("https", "127.0.0.1")


def test_nginx_keeps_its_connection_to_the_server(behind_nginx):
    server, front = behind_nginx
    (worker,) = server.wait_workers(1)

    def sockets():
        return sum(target.startswith("socket:") for target in proc.descriptors(worker).values())

    before = sockets()
    for _ in range(10):  # each client connection is new, but nginx keeps its connection to the server
        assert "connection" not in fields_of(wire.fetch(front, "/"))
    assert sockets() == before + 1


def test_a_response_larger_than_any_buffer_comes_through_whole(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/?size=3000000")
    assert response.status == 200 and response.body == b"x" * 3000000


def test_a_response_of_unknown_length_comes_through_whole(behind_nginx):
    _, front = behind_nginx
    response = wire.fetch(front, "/?size=100000&chunked=1")
    assert response.status == 200 and response.body == b"x" * 100000


def test_a_reload_of_the_server_is_not_seen_through_nginx(serve, nginx):
    from load import Load
    server = serve(example("echo"), "-w", 2)
    with Load(nginx(f"127.0.0.1:{server.port}"), clients=4, keep_alive=False) as load:
        load.wait_for_more(50)
        server.reload()
        load.wait_for_more(50)
    load.assert_clean(at_least=100)
