"""plugins/static: what clients get of a folder of files. tests/e2e/test_static_paths.py: what they do not get."""
import gzip
import os
import re
import signal
import time

import pytest

from clock import eventually, scaled
from server import run
from static_site import config, route, write
from wire import Truncated, request_bytes

TEXT = b"0123456789abcdefghij"
BIG = bytes(range(256)) * 1200  # more than is read into memory
SCRIPT = b"let x = 1;\n" * 50
FILES = {
    "index.html": b"<h1>home</h1>\n", "text.txt": TEXT, "big.bin": BIG, "empty.css": b"", "a b&<c>.txt": b"odd", "no-ending": b"?",
    "model.glb": b"glTF", "colon:name.txt": b"colon", "docs/index.html": b"<h1>docs</h1>\n", "docs/page.html": b"page",
    "list/one.txt": b"1", "list/two.txt": b"22", "list/sub/three.txt": b"3", "list/.hidden": b"secret",
    "app.js": SCRIPT, "app.js.gz": gzip.compress(SCRIPT), "app.js.br": b"brotli", "style.css": b"p {}", "style.css.gz": b"gzip",
    ".well-known/security.txt": b"Contact: mailto:x@example.org\n", "error.html": b"<h1>nothing here</h1>\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("www"), FILES)


@pytest.fixture(scope="module")
def site(serve_module, folder):
    return serve_module("-w", "1", config=config(
        folder, listing=True, precompressed=True, max_age=60, types="glb=model/gltf-binary, .log=text/plain",
        not_found="error.html"))


@pytest.fixture
def wire(site):
    with site.connect() as wire:
        yield wire


def fields(response):
    """Those that a file is sent with."""
    names = ("ETag", "Last-Modified", "Cache-Control", "Vary", "Content-Encoding", "Accept-Ranges", "Content-Type",
             "Content-Length", "Content-Range", "Location", "Allow")
    return {name: response.header(name) for name in names if response.header(name) is not None}


# ---- whole files ----
@pytest.mark.parametrize("target, content, type_", [
    ("/text.txt", TEXT, "text/plain; charset=utf-8"),
    pytest.param("/big.bin", BIG, "application/octet-stream", id="big.bin"),  # the name is in the environment of its server
    ("/empty.css", b"", "text/css; charset=utf-8"),
    ("/no-ending", b"?", "application/octet-stream"),
    ("/model.glb", b"glTF", "model/gltf-binary"),
    ("/a%20b%26%3cc%3E.txt", b"odd", "text/plain; charset=utf-8"),
    ("/colon:name.txt?query=ignored", b"colon", "text/plain; charset=utf-8"),
    ("/", b"<h1>home</h1>\n", "text/html; charset=utf-8"),
    ("/docs/", b"<h1>docs</h1>\n", "text/html; charset=utf-8"),
    ("/docs/page.html", b"page", "text/html; charset=utf-8"),
    ("/.well-known/security.txt", b"Contact: mailto:x@example.org\n", "text/plain; charset=utf-8"),
])
def test_a_file_is_sent_whole_with_its_type(wire, target, content, type_):
    answer = wire.ask(target)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (200, content, type_)
    assert answer.header("Cache-Control") == "max-age=60" and answer.header("Accept-Ranges") == "bytes"
    assert re.fullmatch(r'"[0-9a-f.-]+"', answer.header("ETag")) and answer.header("Last-Modified")


@pytest.mark.parametrize("target", ["/text.txt", "/big.bin", "/empty.css", "/", "/docs", "/list/", "/none", "/.hidden", "/app.js"])
@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}], ids=["plain", "gzip"])
def test_head_equals_get(wire, target, headers):
    get = wire.ask(target, headers=headers)
    head = wire.ask(target, method="HEAD", headers=headers)
    expected = fields(get)
    if not get.body:
        del expected["Content-Length"]  # the answer to HEAD may leave it out, and an empty body does so (RFC 9110 8.6)
    assert (head.status, fields(head), head.body) == (get.status, expected, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
@pytest.mark.parametrize("target", ["/text.txt", "/none", "/docs/"])
def test_other_methods_are_not_allowed(wire, method, target):
    answer = wire.ask(target, method=method)
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


def test_a_file_that_has_just_changed_has_a_weak_tag(serve, tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "new.txt").write_bytes(b"new")
    with serve("-w", "1", config=config(tmp_path / "www")).connect() as wire:
        answer = wire.ask("/new.txt")
        assert answer.header("ETag").startswith('W/"') and answer.header("Cache-Control") is None


# ---- conditions ----
def test_conditions_are_answered_as_the_rfc_asks(wire):
    whole = wire.ask("/text.txt")
    tag, date = whole.header("ETag"), whole.header("Last-Modified")
    earlier, later = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    for headers, status in [
        ({"If-None-Match": tag}, 304), ({"If-None-Match": "W/" + tag}, 304), ({"If-None-Match": f'"x", {tag}'}, 304),
        ({"If-None-Match": "*"}, 304), ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": date}, 304), ({"If-Modified-Since": later}, 304), ({"If-Modified-Since": earlier}, 200),
        ({"If-Modified-Since": "no date"}, 200), ({"If-None-Match": '"x"', "If-Modified-Since": later}, 200),
        ({"If-Match": tag}, 200), ({"If-Match": "*"}, 200), ({"If-Match": '"x"'}, 412), ({"If-Match": "W/" + tag}, 412),
        ({"If-Unmodified-Since": date}, 200), ({"If-Unmodified-Since": earlier}, 412),
    ]:
        answer = wire.ask("/text.txt", headers=headers)
        assert (answer.status, answer.body) == (status, TEXT if status == 200 else b""), headers
        if status == 304:
            assert fields(answer).items() >= {"ETag": tag, "Cache-Control": "max-age=60", "Vary": "Accept-Encoding"}.items()
            assert wire.ask("/text.txt", method="HEAD", headers=headers).status == 304


def test_ranges(wire):
    size = len(BIG)
    for field, status, content, range_ in [
        ("bytes=0-0", 206, BIG[:1], f"bytes 0-0/{size}"), ("bytes=256-", 206, BIG[256:], f"bytes 256-{size - 1}/{size}"),
        ("bytes=-3", 206, BIG[-3:], f"bytes {size - 3}-{size - 1}/{size}"), (f"bytes={size}-", 416, None, f"bytes */{size}"),
        ("bytes=2-1", 200, BIG, None), ("lines=0-1", 200, BIG, None), ("bytes=0-5,3-9", 200, BIG, None),
        (f"bytes=0-{1 << 70}", 206, BIG, f"bytes 0-{size - 1}/{size}"),
    ]:
        answer = wire.ask("/big.bin", headers={"Range": field})
        assert (answer.status, answer.header("Content-Range")) == (status, range_), field
        assert content is None or answer.body == content, field
    assert wire.ask("/text.txt", headers={"Range": "bytes=2-4"}).body == TEXT[2:5]
    assert wire.ask("/empty.css", headers={"Range": "bytes=0-"}).status == 200
    head = wire.ask("/big.bin", method="HEAD", headers={"Range": "bytes=0-0"})  # RFC 9110 14.2: of GET alone
    assert head.status == 200 and head.header("Content-Length") == str(size)


def test_several_ranges_are_parts_of_one_answer(wire):
    answer = wire.ask("/big.bin", headers={"Range": "bytes=0-1,1000-1003,-2"})
    boundary = re.fullmatch("multipart/byteranges; boundary=([0-9a-f]+)", answer.header("Content-Type"))[1].encode()
    pieces = answer.body.split(b"\r\n--" + boundary)
    assert answer.status == 206 and pieces[0] == b"" and pieces[-1] == b"--\r\n"
    bodies = [piece.split(b"\r\n\r\n", 1)[1] for piece in pieces[1:-1]]
    assert bodies == [BIG[:2], BIG[1000:1004], BIG[-2:]]
    assert b"Content-Range: bytes 1000-1003/" in pieces[2]


def test_if_range_asks_for_a_part_of_this_version_only(wire):
    whole = wire.ask("/text.txt")
    for field, status in [(whole.header("ETag"), 206), ('"other"', 200), ("W/" + whole.header("ETag"), 200),
                          (whole.header("Last-Modified"), 206), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)]:
        assert wire.ask("/text.txt", headers={"Range": "bytes=0-1", "If-Range": field}).status == status, field


def test_a_part_at_the_end_of_a_huge_sparse_file(serve, tmp_path):
    www = write(tmp_path / "www", {"huge": b""})
    size = 1 << 40
    with open(www / "huge", "r+b") as file:
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"last")
    with serve("-w", "1", config=config(www)).connect() as wire:
        assert wire.ask("/huge", method="HEAD").header("Content-Length") == str(size)
        answer = wire.ask("/huge", headers={"Range": "bytes=-6"})
        assert answer.body == b"\0\0last" and answer.header("Content-Range") == f"bytes {size - 6}-{size - 1}/{size}"
        assert wire.ask("/huge", headers={"Range": f"bytes={size - 3}-{size - 2},0-0"}).body.count(b"Content-Range") == 2


# ---- compressed forms ----
@pytest.mark.parametrize("accepted, coding", [
    ("gzip", "gzip"), ("br", "br"), ("gzip, deflate, br", "br"), ("gzip;q=1.0, br;q=0.9", "gzip"), ("br;q=0, gzip", "gzip"),
    ("*", "br"), ("*;q=0.1, br;q=0", "gzip"), ("identity, gzip;q=0.5", None), ("gzip;q=0", None), ("", None), ("zstd", None),
    ("x-gzip", "gzip"), ("gzip ; q=0.001", "gzip"), ("gzip;q=nonsense", None), ("GZIP;Q=1", "gzip"),
    ("identity;q=0, br;q=0.1", "br"),
])
def test_the_compressed_form_that_the_client_prefers(wire, accepted, coding):
    answer = wire.ask("/app.js", headers={"Accept-Encoding": accepted})
    assert answer.header("Content-Encoding") == coding and answer.header("Vary") == "Accept-Encoding"
    assert answer.header("Content-Type") == "text/javascript; charset=utf-8"
    assert answer.body == FILES["app.js" + {None: "", "gzip": ".gz", "br": ".br"}[coding]]


def test_each_form_has_a_tag_and_ranges_of_its_own(wire):
    tags = {accepted: wire.ask("/app.js", headers={"Accept-Encoding": accepted}).header("ETag") for accepted in ("", "gzip", "br")}
    assert len(set(tags.values())) == 3 and tags["gzip"].endswith('-gzip"')
    both = {"Accept-Encoding": "gzip", "If-None-Match": tags["gzip"]}
    assert wire.ask("/app.js", headers=both).status == 304
    assert wire.ask("/app.js", headers={"If-None-Match": tags["gzip"]}).status == 200
    part = wire.ask("/app.js", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-1", "If-Range": tags["gzip"]})
    assert part.status == 206 and part.body == b"\x1f\x8b" and part.header("Content-Encoding") == "gzip"


def test_what_has_no_compressed_form_is_sent_as_it_is(wire):
    assert wire.ask("/style.css", headers={"Accept-Encoding": "br, gzip;q=0.1"}).body == b"gzip"
    assert wire.ask("/text.txt", headers={"Accept-Encoding": "br, gzip"}).body == TEXT
    compressed = wire.ask("/app.js.gz", headers={"Accept-Encoding": "gzip"})
    assert compressed.header("Content-Encoding") is None and compressed.header("Content-Type") == "application/gzip"


# ---- folders ----
def test_a_folder_without_its_slash_leads_to_the_one_with_it(serve, folder):
    server = serve("-w", "1", config=config(folder, prefix="/st/at"))
    with server.connect() as wire:
        for target, location in [("/st/at", "/st/at/"), ("/st/at/docs", "/st/at/docs/"),
                                 ("/st/at/docs?a=b/c", "/st/at/docs/?a=b/c"),
                                 ("/s%74/at/do%63s", "/s%74/at/do%63s/"), ("/st/at?x", "/st/at/?x")]:
            answer = wire.ask(target)
            assert (answer.status, answer.header("Location")) == (301, location)
        assert wire.ask("/st/at/").body == FILES["index.html"] and wire.ask("/st/at/docs/?a=b").body == FILES["docs/index.html"]
        assert wire.ask("/st/at/list/").status == 404  # no index, and no listing without the option


@pytest.mark.parametrize("target", ["//example.org", "//example.org/..", "/%2fexample.org", "/\\example.org", "/%5cexample.org",
                                    "//example.org/%2e%2e/docs", "///docs", "//docs"])
def test_a_redirect_never_leads_to_another_host(wire, target):
    answer = wire.ask(target)
    assert (answer.status, answer.header("Location")) == (404, None)


def test_a_listing_shows_what_is_served_and_no_more(wire):
    page = wire.ask("/list/")
    assert page.status == 200 and page.header("Content-Type") == "text/html; charset=utf-8"
    assert re.findall('href="([^"]*)"', page.text) == ["../", "./sub/", "./one.txt", "./two.txt"]
    assert re.search(r'>two.txt</a><td>2<td>\d{4}-\d\d-\d\d \d\d:\d\d', page.text)


def test_names_in_a_listing_are_text_and_links_to_the_files(serve, tmp_path):
    names = ["a b.txt", "<script>alert(1)</script>", "it's \"quoted\" & more", "javascript:alert(1)", "100%", "q?#.txt",
             "über.txt"]
    www = write(tmp_path / "www", {"list/" + name.replace("/", "_"): name.encode() for name in names})
    os.symlink("/etc/passwd", www / "list" / "leads-out")
    os.symlink("100%", www / "list" / "leads-beside")
    os.mkfifo(www / "list" / "fifo")
    with serve("-w", "1", config=config(www, listing=True)).connect() as wire:
        page = wire.ask("/list/").text
        assert "<script>" not in page and "leads-out" not in page and "fifo" not in page
        links = re.findall('href="./([^"]*)"', page)
        assert len(links) == len(names) + 1 and "leads-beside" in links
        assert {wire.ask("/list/" + link).text for link in links} == set(names)


def test_a_listing_of_very_many_files_says_that_there_are_more(serve, tmp_path):
    www = tmp_path / "www"
    www.mkdir()
    for number in range(5100):
        (www / str(number)).touch()
    with serve("-w", "1", config=config(www, listing=True)).connect() as wire:
        page = wire.ask("/").text
        assert page.count("<a ") == 5000 and "There is more than is shown here." in page


@pytest.mark.parametrize("index, target, content", [
    ("index.htm, home.html", "/", b"htm"), ("none.html,home.html", "/", b"home"), ("none.html", "/", None), ("", "/", None)])
def test_the_first_index_that_is_there_answers_for_the_folder(serve, tmp_path, index, target, content):
    www = write(tmp_path / "www", {"index.htm": b"htm", "home.html": b"home", "index.html": b"html"})
    with serve("-w", "1", config=config(www, index=index)).connect() as wire:
        answer = wire.ask(target)
        assert answer.body == content if content else answer.status == 404


# ---- where there is nothing ----
def test_a_404_has_the_page_of_the_folder(wire):
    for target in ("/none", "/none/", "/docs/none", "/text.txt/", "/.hidden", "/list/.hidden"):
        answer = wire.ask(target, headers={"If-None-Match": "*", "Range": "bytes=0-1"})
        assert (answer.status, answer.body) == (404, FILES["error.html"]), target
        assert answer.header("ETag") is None and answer.header("Cache-Control") is None


def test_an_application_of_one_page_answers_for_every_path(serve, folder):
    server = serve("-w", "1", config=config(folder, fallback="/index.html", max_age=600))
    with server.connect() as wire:
        for target in ("/cart", "/cart/7", "/cart/7/", "/list/"):
            answer = wire.ask(target)
            assert (answer.status, answer.body, answer.header("Cache-Control")) == (200, FILES["index.html"], "no-cache"), target
            assert wire.ask(target, headers={"If-None-Match": answer.header("ETag")}).status == 304
        assert wire.ask("/text.txt").header("Cache-Control") == "max-age=600"
        assert wire.ask("/docs").status == 301 and wire.ask("/%2e%2e/x").status == 404 and wire.ask("/.git").status == 404


# ---- beside an application ----
def test_files_and_a_python_application_in_one_server(serve, folder, tmp_path):
    (tmp_path / "shop.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [environ['PATH_INFO'].encode()]\n")
    for_ever = "public, max-age=31536000, immutable"
    settings = f"app: shop:app\nchdir: {tmp_path}\nroutes:\n" + route(folder, "/static", cache_control=for_ever)
    with serve("-w", "1", config=settings).connect() as wire:
        for _ in range(2):
            assert wire.ask("/static/text.txt").body == TEXT and wire.ask("/cart").body == b"/cart"
        assert wire.ask("/static/text.txt").header("Cache-Control") == for_ever
        assert wire.ask("/static/none").status == 404 and wire.ask("/staticx").body == b"/staticx"


def test_the_plugin_has_a_name_and_the_folder_may_be_relative(serve, folder):
    settings = f"chdir: {folder.parent}\nroutes:\n  - {{prefix: /, app: static, options: {{folder: {folder.name}}}}}\n"
    with serve("-w", "1", config=settings).connect() as wire:
        assert wire.ask("/text.txt").body == TEXT


@pytest.mark.parametrize("options, said", [
    ({"folder": None}, "folder"),
    ({"folder": "/none/such"}, "option 'folder': open '/none/such': No such file or directory: name a folder"),
    ({"folder": "{}/text.txt"}, "/text.txt': Not a directory: name a folder"),
    ({"index": "a/b.html"}, "option 'index': 'a/b.html' is not the name of a file"),
    ({"types": "glb"}, "option 'types': 'glb' is not ENDING=TYPE"),
    ({"max_age": -5}, "option 'max_age': '-5' is below 0"),
    ({"max_age": 5, "cache_control": "no-store"}, "options 'max_age' and 'cache_control': give one of them"),
    ({"cache_control": "a\nb"}, "option 'cache_control'"),
    ({"fallback": "none.html"}, "/none.html': No such file or directory: name a file in the folder"),
    ({"not_found": "../x"}, "option 'not_found': '../x' is not the path of a file in the folder"),
    ({"not_found": "docs"}, "/docs': it is not a regular file"),
    ({"listing": "perhaps"}, "listing"),
    ({"colour": "red"}, "colour"),
])
def test_a_mistake_in_the_options_stops_the_start_and_is_named(folder, tmp_path, options, said):
    options = {key: str(value).replace("{}", str(folder)) if key == "folder" and value else value for key, value in options.items()}
    (tmp_path / "narwhal.yaml").write_text(config(**{"folder": folder, **options}))
    done = run("-b", "127.0.0.1:0", "-c", tmp_path / "narwhal.yaml")
    assert done.returncode != 0 and said in done.stderr


# ---- files that change ----
@pytest.fixture
def changing(serve, tmp_path):
    www = tmp_path / "www"
    www.mkdir()
    return www, serve("-w", "1", config=config(www))


SIZE = 16_000_000  # more than the kernel buffers


def body_of(wire, head):
    wire._read_body(head, "GET", time.monotonic() + scaled(30))
    return head.body


def test_a_file_that_is_replaced_while_it_is_sent_is_sent_to_its_end(changing):
    www, server = changing
    (www / "file").write_bytes(b"a" * SIZE)
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/file"))
        head = wire.head()
        (www / "new").write_bytes(b"b" * SIZE)
        os.rename(www / "new", www / "file")
        with server.connect() as other:
            assert other.ask("/file").body == b"b" * SIZE
        assert head.header("Content-Length") == str(SIZE)
        assert body_of(wire, head) == b"a" * SIZE


def test_a_file_that_is_cut_while_it_is_sent_ends_the_answer_visibly(changing):
    www, server = changing
    (www / "file").write_bytes(b"a" * SIZE)
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/file"))
        head = wire.head()
        os.truncate(www / "file", 1000)
        with pytest.raises(Truncated):
            body_of(wire, head)
    server.wait_for(r"\[ERROR\] the response to 127\.0\.0\.1 is cut off, \d+ bytes before its end: the file ")
    assert server.get("/file").body == b"a" * 1000


def test_a_file_that_grows_is_sent_as_long_as_it_was(changing):
    www, server = changing
    (www / "file").write_bytes(b"a" * SIZE)
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/file"))
        head = wire.head()
        with open(www / "file", "ab") as file:
            file.write(b"b" * 1000)
        assert body_of(wire, head) == b"a" * SIZE and wire.quiet_for(0.2)


def test_a_switched_link_serves_the_new_folder_without_a_reload(serve, tmp_path):
    for release in ("one", "two"):
        write(tmp_path / release, {"version.txt": release.encode()})
    os.symlink("one", tmp_path / "current")
    server = serve("-w", "2", config=config(tmp_path / "current"))
    with server.connect() as wire:
        assert wire.ask("/version.txt").body == b"one"
        os.symlink("two", tmp_path / "next")
        os.rename(tmp_path / "next", tmp_path / "current")
        eventually("the new folder", lambda: wire.ask("/version.txt").body == b"two")
        os.rename(tmp_path / "current", tmp_path / "gone")  # as between two renames of a deployment
        warning = "/current': No such file or directory: the folder that was there is served still"
        eventually("the warning", lambda: wire.ask("/version.txt").body == b"two" and warning in server.log())


def test_a_reload_without_the_folder_fails_and_the_old_one_is_served(serve, tmp_path):
    www = write(tmp_path / "www", {"in.txt": b"in"})
    server = serve("-w", "1", config=config(www))
    os.rename(www, tmp_path / "away")
    mark = server.mark()
    server.send(signal.SIGHUP)
    server.wait_for("option 'folder': open '.*/www': No such file or directory: name a folder", after=mark)
    assert server.get("/in.txt").body == b"in" and server.generations() == [1]
    os.rename(tmp_path / "away", www)
    server.reload()
    assert server.get("/in.txt").body == b"in"


def test_many_threads_serve_while_the_folder_changes(serve, tmp_path):
    for release in ("one", "two"):
        write(tmp_path / release, {"version.txt": release.encode()})
    os.symlink("one", tmp_path / "current")
    server = serve("-w", "1", "--threads", "4", config=config(tmp_path / "current"))
    with server.load(target="/version.txt") as load:
        for release in ("two", "one", "two"):
            os.symlink(release, tmp_path / "next")
            os.rename(tmp_path / "next", tmp_path / "current")
            eventually(release, lambda: server.get("/version.txt").text == release)
    load.assert_clean()
    assert set(load.bodies) == {b"one", b"two"}
