"""The environ that an application gets: PEP 3333's, with Gunicorn's keys, encodings and values."""
import ast
import re
from urllib.parse import quote

import pytest

from comparison import APPS
from wire import chunked, request_bytes

# Two servers, two connections: these must differ.
MUST_DIFFER = {"SERVER_PORT", "REMOTE_PORT", "SERVER_SOFTWARE"}
# Gunicorn's own socket object; what Gunicorn has only since 25; the client that trusted proxies name.
ONE_HAS = {"gunicorn.socket", "wsgi.early_hints", "CLIENT_ADDR"}


@pytest.fixture(scope="module")
def plain(both):
    return both("plain:checked")


def environs(pair, data, method="GET"):
    """(Gunicorn's, narwhal's) environ for one request, without what must differ."""
    found = []
    for side in (pair.theirs, pair.ours):
        response = side.answer(data, method).response
        assert response.status == 200, response
        found.append(dict(ast.literal_eval(response.text)))
    for environ in found:
        for key in MUST_DIFFER:
            assert environ.pop(key), key
    return tuple({key: value for key, value in environ.items() if key not in ONE_HAS} for environ in found)


def same_environ(pair, data, method="GET"):
    theirs, ours = environs(pair, data, method)
    assert ours == theirs
    return ours


REQUESTS = {
    "the least": request_bytes("/"),
    "a query": request_bytes("/a/b?x=1&y=%41+z"),
    "an empty query": request_bytes("/a?"),
    "two question marks": request_bytes("/a?b?c"),
    "percent-encoded UTF-8": request_bytes("/caf%C3%A9/%E2%82%AC"),
    "percent-encoded Latin-1": request_bytes("/caf%E9"),
    "an encoded slash": request_bytes("/a%2Fb/c"),
    "an encoded percent sign": request_bytes("/100%25/%2541"),
    "an encoded question mark": request_bytes("/a%3Fb?c"),
    "broken percent signs": request_bytes("/a%zz%4/%"),
    "a plus in the path": request_bytes("/a+b"),
    "a semicolon": request_bytes("/a;b=c/d"),
    "two slashes": request_bytes("//a//b"),
    "dots": request_bytes("/a/./b/../c"),
    "an encoded control byte": request_bytes("/a%01%0Ab%7F"),
    "every byte that may be encoded": request_bytes("/" + "".join(f"%{byte:02X}" for byte in range(1, 256))),
    "marks that need no encoding": request_bytes("/-._~!$&'()*,=:@"),
    "a quoted query": request_bytes("/?q=" + quote("a b&c=d/é€")),
    "an absolute target": request_bytes("http://test/abs/path?x=1"),
    "HTTP/1.0": request_bytes("/", version="1.0"),
    "HTTP/1.0 without Host": request_bytes("/", version="1.0", host=None),
    "a port in Host": request_bytes("/", host="example.org:8080"),
    "fields": request_bytes("/", headers=[("Accept", "*/*"), ("X-Mixed-Case", "A b  c"), ("x-lower", "1"),
                                          ("X-Empty", "")]),
    "white space before values": request_bytes("/").replace(b"\r\n\r\n", b"\r\nX-Space: \t a\r\nX-No:b\r\n\r\n"),
    "Latin-1 values": request_bytes("/", headers=[("X-Latin", "caf\xe9 \xff")]),
    "duplicates": request_bytes("/", headers=[("X-Two", "a"), ("X-Other", "o"), ("x-two", "b, c"), ("X-TWO", "")]),
    "names with every mark": request_bytes("/", headers=[("X!#$%&'*+.^`|~-9", "marks")]),
    "names that look like CGI variables": request_bytes("/", headers=[
        ("Path-Info", "/forged"), ("Remote-Addr", "1.2.3.4"), ("Proxy", "http://evil/"), ("Content-Md5", "x"),
        ("Server-Name", "evil"), ("Request-Method", "DELETE")]),
    "a type": request_bytes("/", method="POST", headers=[("Content-Type", "text/x; charset=utf-8")], body=b"1234"),
    "a type and no body": request_bytes("/", headers=[("Content-Type", "text/x")]),
    "a length of 0": request_bytes("/", method="POST"),
    "an unusual method": request_bytes("/", method="PROPFIND", headers=[("Depth", "1")]),
    "a session in hop-by-hop fields": request_bytes("/", headers=[
        ("TE", "trailers"), ("Upgrade", "h2c"), ("Connection", "keep-alive"), ("Proxy-Authorization", "Basic x")]),
    "credentials": request_bytes("/", headers=[("Authorization", "Basic dXNlcjpwYXNz"), ("Referer", "/x"),
                                               ("If-None-Match", '"a"')]),
    "a scheme that the trusted peer sends": request_bytes("/", headers=[("X-Forwarded-Proto", "https")]),
    "a trusted peer's other words": request_bytes("/", headers=[
        ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Host", "public.example"), ("X-Forwarded-Port", "443")]),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_environ_is_gunicorns(plain, name):
    data = REQUESTS[name]
    same_environ(plain, data, data.split(b" ", 1)[0].decode())


def test_options_for_the_whole_server(both):
    """PATH_INFO is "*", which the validator does not know."""
    same_environ(both("plain:bare"), request_bytes("*", method="OPTIONS"), "OPTIONS")


def test_raw_bytes_beyond_ascii_in_a_query(plain):
    """Not a URI, so RFC 9112 lets a server refuse; Gunicorn passes them on as Latin-1. Either is safe; a mixture is not."""
    data = b"GET /?q=caf\xe9 HTTP/1.1\r\nHost: test\r\n\r\n"
    with plain.narwhal.connect() as wire:
        wire.send(data)
        response = wire.response()
    if response.status == 200:
        same_environ(plain, data)
    else:
        assert response.status == 400


def test_an_encoded_nul_is_a_nul_in_the_path(plain):
    same_environ(plain, request_bytes("/a%00b"))


def test_a_chunked_body_has_a_length_here(plain):
    """The body is complete before the application runs. Gunicorn 20 leaves the length out, so Django reads nothing."""
    data = request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"123", b"45"))
    theirs, ours = environs(plain, data, "POST")
    assert ours.pop("CONTENT_LENGTH") == "5" and "CONTENT_LENGTH" not in theirs
    assert theirs.pop("HTTP_TRANSFER_ENCODING") == "chunked"
    ours.pop("HTTP_TRANSFER_ENCODING", None)
    assert ours == theirs


def test_names_with_an_underscore_do_not_arrive(plain):
    """X_Two and X-Two are one key: with X_Two a client could forge a proxy's X-Two. Gunicorn drops X_Two since 22."""
    theirs, ours = environs(plain, request_bytes("/", headers=[("X_Two", "forged"), ("X-One", "1")]))
    assert theirs.pop("HTTP_X_TWO") == "forged"
    assert ours == theirs


def test_scheme_and_peers(plain):
    theirs, ours = environs(plain, request_bytes("/", headers=[("X-Forwarded-Proto", "https")]))
    assert ours["wsgi.url_scheme"] == theirs["wsgi.url_scheme"] == "https"
    assert ours["REMOTE_ADDR"] == "127.0.0.1"


def test_software_and_ports_are_the_servers_own(plain):
    response = plain.ours.answer(request_bytes("/environ"), "GET").response
    environ = dict(ast.literal_eval(response.text))
    assert re.fullmatch(r"narwhal/[\d.]+ \(gunicorn compatible\)", environ["SERVER_SOFTWARE"])
    assert environ["SERVER_PORT"] == str(plain.narwhal.port)
    assert environ["REMOTE_PORT"] == str(plain.ours.wire.sock.getsockname()[1])
    assert environ["SERVER_NAME"] == "127.0.0.1"


def test_wsgi_errors_reaches_the_log(plain):
    mark = plain.narwhal.mark()
    plain.same("/errors")
    plain.narwhal.wait_for("^written to wsgi.errors$", after=mark)
    plain.narwhal.wait_for("^first line\ns\u00e9cond line$", after=mark)


@pytest.mark.parametrize("workers, threads", [(1, 1), (2, 1), (1, 3), (2, 2)])
def test_multithread_and_multiprocess_are_true_to_the_facts(both, workers, threads):
    response = both("plain:checked", "-w", workers, "--threads", threads).same("/threads")
    assert response.text == repr((threads > 1, workers > 1, False))


@pytest.mark.parametrize("target", ["/mounted", "/mounted/", "/mounted/a/b%20c?x=1"])
def test_the_environments_script_name_is_taken_off_the_path(mounted, target):
    theirs, ours = environs(mounted, request_bytes(target))
    assert ours["SCRIPT_NAME"] == "/mounted"
    assert ours == theirs


@pytest.mark.parametrize("raw, escaped", [("/caf\u00c3\u00a9", "/caf%C3%A9"), ("/\u00ff/\u0080", "/%FF/%80"), ("/a#b", "/a%23b"),
                                          ("/a#b#/%41", "/a%23b%23/A"), ("/\u00a0?q", "/%A0?q")])
def test_a_byte_of_the_path_means_the_same_as_its_escape(plain, raw, escaped):
    """Gunicorn 20 encodes such bytes twice, and cuts the path at a #."""
    found = []
    for target in (raw, escaped):
        environ = dict(ast.literal_eval(plain.ours.answer(request_bytes(target), "GET").response.text))
        assert environ.pop("RAW_URI") == target
        found.append(environ)
    assert found[0] == found[1]


def test_the_query_is_passed_on_as_it_is(plain):
    environ = dict(ast.literal_eval(plain.ours.answer(request_bytes("/a?b=\u00e9#c"), "GET").response.text))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a", "b=\u00e9#c")


@pytest.mark.parametrize("target", ["/mountedx", "/mount", "/", "/other/mounted", "//mounted", "/Mounted/a", "/%2Fmounted"])
def test_a_path_that_is_not_under_the_script_name_is_not_served(mounted, target):
    """Gunicorn answers 500, or serves what follows the name wherever that is."""
    assert mounted.narwhal.get(target).status == 404
    mounted.narwhal.wait_for("the path is not under the environment variable SCRIPT_NAME")


@pytest.mark.parametrize("target, rest", [("/%6dounted/a", "/a"), ("/mounted%2Fa", "/a"), ("/mounte%64", ""),
                                          ("/mounted/%2e", "/."), ("/mounted//a", "//a")])
def test_the_script_name_is_compared_decoded(mounted, target, rest):
    environ = dict(ast.literal_eval(mounted.narwhal.get(target).text))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/mounted", rest)


@pytest.mark.parametrize("value, decoded", [("/caf\u00e9", "/caf\u00e9"), ("/caf%C3%A9", "/caf\u00e9"), ("/app/", "/app"), ("/", "")])
def test_any_spelling_of_the_script_name(serve, value, decoded):
    """In the environment, and in the field of a trusted proxy."""
    server = serve("plain:bare", "--chdir", APPS, env={"SCRIPT_NAME": value})
    proxied = serve("plain:bare", "--chdir", APPS)
    name = decoded.encode().decode("latin-1")
    for prefix in {quote(decoded), quote(decoded).lower()}:
        for ours in (server.get(f"{prefix}/x%20y"),
                     proxied.get(f"{prefix}/x%20y", headers=[("SCRIPT_NAME", value.encode().decode("latin-1"))])):
            environ = dict(ast.literal_eval(ours.text))
            assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (name, "/x y"), server.tail()


def test_a_script_name_without_a_slash_ends_the_start(serve):
    server = serve("plain:bare", "--chdir", APPS, env={"SCRIPT_NAME": "app"}, wait=False)
    assert server.wait_exit() != 0
    server.wait_for("the environment variable SCRIPT_NAME is 'app': it must begin with a slash")


def test_a_mount_with_letters_of_any_language(serve_module):
    config = f"chdir: {APPS}\nroutes:\n  - {{prefix: /caf\u00e9, app: 'plain:checked'}}\n"
    server = serve_module(config=config, env={"TRIAL_FOLDER": "/"})
    for target, path_info in (("/caf%C3%A9", ""), ("/caf\u00c3\u00a9/", "/"), ("/caf%c3%a9/%C3%A9", "/\u00c3\u00a9"), ("/%63af%C3%A9/a", "/a")):
        environ = dict(ast.literal_eval(server.get(target).text))
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/caf\u00c3\u00a9", path_info), target
    assert server.get("/caf%C3%A9s").status == server.get("/cafe").status == 404


@pytest.fixture(scope="module")
def mounted(both):
    return both("plain:checked", env={"SCRIPT_NAME": "/mounted"})


def test_a_mount_is_the_script_name(serve_module):
    config = (f"chdir: {APPS}\nroutes:\n  - {{prefix: '', app: 'plain:checked'}}\n"
              "  - {prefix: /shop, app: 'plain:checked'}\n")
    server = serve_module(config=config, env={"TRIAL_FOLDER": "/"})
    for target, script_name, path_info in (("/shop", "/shop", ""), ("/shop/a%20b", "/shop", "/a b"),
                                           ("/shopping", "", "/shopping")):
        environ = dict(ast.literal_eval(server.get(target).text))
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info), target


def test_a_trusted_proxys_script_name(plain):
    """As nginx sends it with proxy_set_header SCRIPT_NAME: named in forwarder_headers, from a trusted peer. Gunicorn
    shows the field too."""
    theirs, ours = environs(plain, request_bytes("/pre/x", headers=[("SCRIPT_NAME", "/pre")]))
    assert theirs.pop("HTTP_SCRIPT_NAME") == "/pre"
    assert ours == theirs and (ours["SCRIPT_NAME"], ours["PATH_INFO"]) == ("/pre", "/x")


@pytest.mark.parametrize("request_, key, gunicorns, narwhals", [
    (request_bytes("/", headers=[("Cookie", "a=1"), ("Cookie", "b=2")]), "HTTP_COOKIE", "a=1,b=2", "a=1; b=2"),
    (request_bytes("/").replace(b"\r\n\r\n", b"\r\nX-Space: a \t\r\n\r\n"), "HTTP_X_SPACE", "a \t", "a"),
    (request_bytes("http://test"), "PATH_INFO", "", "/")],
    ids=["two lines of cookies (RFC 6265)", "white space after a value (RFC 9112 5)", "no path is / (RFC 9110 4.2.3)"])
def test_where_the_rfcs_say_otherwise_than_gunicorn(plain, request_, key, gunicorns, narwhals):
    theirs, ours = environs(plain, request_)
    assert (theirs.pop(key), ours.pop(key)) == (gunicorns, narwhals)
    assert ours == theirs


def test_the_validator_found_nothing(plain):
    plain.same("/generator")
    assert "AssertionError" not in plain.narwhal.log() and "without being closed" not in plain.narwhal.log()
