"""plugins/static: nothing outside of its folder is sent, and nothing that is not a file makes it wait."""
import ctypes
import os
import platform
import shutil
import socket
import struct
import tempfile
from pathlib import Path

import pytest

import proc
from clock import eventually
from hardships import leave_descriptors
from server import run
from static_site import config, write
from wire import request_bytes

SECRET = b"secret"
NOBODY = 65534


@pytest.fixture(scope="module")
def www(tmp_path_factory):
    """Beside the folder there is a secret, and in it links of every kind."""
    root = tmp_path_factory.mktemp("root")
    write(root, {"secret.txt": SECRET, "www/in.txt": b"in", "www/large.bin": bytes(100_000),
                 "www/a/in.txt": b"a", "www/.env": SECRET, "www/.git/config": SECRET,
                 "www/a/.env": SECRET, "www/a/.well-known/x": SECRET, "www-beside/x.txt": SECRET, "www/back\\slash": SECRET,
                 "www/..x": SECRET, "www/...": SECRET, "www/100%": b"percent", "www/new\nline": b"newline"})
    www = root / "www"
    for name, target in {"out": "../secret.txt", "out-folder": "..", "absolute": str(root / "secret.txt"),
                         "absolute-inside": str(www / "in.txt"), "chain": "out", "there-and-back": "../www/in.txt",
                         "etc": "/etc", "loop": "loop", "dangling": "none", "proc": "/proc/self/root", "inside": "a/in.txt",
                         "a/up": "../in.txt", "folder": "a", "a/out": "../../secret.txt", "fd": "/proc/self/fd"}.items():
        os.symlink(target, www / name)
    os.mkfifo(www / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(www / "socket"))
    return www


@pytest.fixture(scope="module")
def site(serve_module, www):
    return serve_module("-w", "1", config=config(www, listing=True))


HOSTILE = [
    "/../secret.txt", "/a/../../secret.txt", "/%2e%2e/secret.txt", "/%2E%2e/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt",
    "/a/%2e%2e/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/a%2f..%2f..%2fsecret.txt", "/a%2fin.txt",
    "/..\\secret.txt", "/..%5csecret.txt", "/%5c..%5csecret.txt", "/a\\..\\..\\secret.txt", "/back%5cslash", "/back\\slash",
    "/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/%c0%ae%c0%ae/secret.txt", "/%c0%af..%c0%afsecret.txt",
    "/%u002e%u002e/secret.txt", "/in.txt%00", "/in.txt%00.html", "/%00", "/..%00/secret.txt", "/in.txt/", "/in.txt/x", "/in.txt/.",
    "/./in.txt", "/a/./in.txt", "/a/../in.txt", "/a/..", "/..", "/../", "/.", "/./", "//in.txt", "/a//in.txt", "//", "//secret.txt",
    "/a/", "/../www-beside/x.txt", "/-beside/x.txt", "/%2fetc/passwd", "//etc/passwd", "/etc/passwd", "/;/../secret.txt",
    "/..;/secret.txt", "/.env", "/%2eenv", "/.git/config", "/a/.env", "/a/.well-known/x", "/..x", "/...", "/.well-known/none",
    "/out", "/out-folder/secret.txt", "/out-folder/", "/absolute", "/absolute-inside", "/chain", "/there-and-back", "/etc/",
    "/loop", "/loop/x", "/dangling", "/proc/etc/passwd", "/fd/0", "/a/out", "/fifo", "/socket", "/fifo/", "/" + "x" * 300, "/" + "x/" * 1900,
    "/%zz", "/%", "/%2", "/in.txt%20", "/in.txt.", "/IN.TXT", "/in.txt:$DATA", "/in.txt~", "/file:///etc/passwd",
]


@pytest.mark.parametrize("target", HOSTILE, ids=lambda target: target[:40].replace("\\", "_"))
def test_a_path_that_leads_nowhere_gets_404(site, target):
    with site.connect() as wire:
        answer = wire.ask(target)
        if target == "/a/":  # a folder inside, for comparison: this server lists it
            assert answer.status == 200
        else:
            assert answer.status == 404, answer
        assert SECRET not in answer.body and b"root:" not in answer.body
        head = wire.ask(target, method="HEAD")
        assert (head.status, head.header("Content-Length")) == (answer.status, answer.header("Content-Length"))


@pytest.mark.parametrize("prefix", ["/", "/static"])
def test_hostile_paths_below_a_prefix(serve, www, prefix):
    server = serve("-w", "1", config=config(www, prefix=prefix))
    before = prefix.rstrip("/")
    for target in ("/../secret.txt", "%2f..%2fsecret.txt", "/%2e%2e/secret.txt", "%2fin.txt", "../secret.txt", "/..%2fsecret.txt"):
        answer = server.get(before + target)
        refused = 404 if (before + target).startswith("/") else 400  # not a target
        assert answer.status == refused and SECRET not in answer.body, target
    assert server.get(before + "/in.txt").body == b"in"


def test_links_that_stay_in_the_folder_are_followed(site):
    with site.connect() as wire:
        assert wire.ask("/inside").body == b"a" and wire.ask("/a/up").body == b"in" and wire.ask("/folder/in.txt").body == b"a"
        assert wire.ask("/folder").status == 301


def test_odd_names_are_only_names(site):
    with site.connect() as wire:
        assert wire.ask("/100%25").body == b"percent" and wire.ask("/100%").body == b"percent"
        assert wire.ask("/new%0aline").body == b"newline"


def test_hidden_names_are_served_when_that_is_asked_for(serve, www):
    server = serve("-w", "1", config=config(www, hidden=True, listing=True))
    with server.connect() as wire:
        assert wire.ask("/.env").body == wire.ask("/.git/config").body == wire.ask("/..x").body == SECRET
        for target in ("/..", "/../secret.txt", "/.", "/%2e%2e/secret.txt", "/out"):
            assert wire.ask(target).status == 404, target
        assert 'href="./.env"' in wire.ask("/").text and 'href="./out"' not in wire.ask("/").text


def test_a_fifo_and_a_socket_hold_no_handler(site):
    with site.connect() as wire:
        wire.send(request_bytes("/fifo") * 5 + request_bytes("/socket") + request_bytes("/in.txt"))
        assert [wire.response().status for _ in range(7)] == [404] * 6 + [200]


def test_what_the_user_of_the_workers_may_not_read_gets_403(serve):
    root = Path(tempfile.mkdtemp())  # not of tmp_path, which another user may not enter
    try:
        os.chmod(root, 0o755)
        www = write(root / "www", {"in.txt": b"in", "no.txt": SECRET, "no/in.txt": SECRET})
        os.chmod(www / "no.txt", 0)
        os.chmod(www / "no", 0)
        users = ["--user", str(NOBODY), "--group", str(NOBODY)] if os.geteuid() == 0 else []
        with serve("-w", "1", *users, config=config(www, listing=True)).connect() as wire:
            assert wire.ask("/in.txt").body == b"in"
            for target in ("/no.txt", "/no/in.txt", "/no/"):
                answer = wire.ask(target)
                assert (answer.status, answer.body) == (403, b"Forbidden\n"), target
            assert wire.ask("/").status == 200
    finally:
        os.chmod(www / "no", 0o755)
        shutil.rmtree(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may choose another user for the workers")
def test_a_folder_that_the_user_of_the_workers_may_not_enter_stops_the_start():
    root = Path(tempfile.mkdtemp())
    try:
        os.chmod(root, 0o755)
        www = write(root / "www", {"in.txt": b"in"})
        os.chmod(www, 0o700)
        (root / "narwhal.yaml").write_text(config(www))
        done = run("-c", root / "narwhal.yaml", "-b", "127.0.0.1:0", "--user", str(NOBODY), "--group", str(NOBODY))
        assert done.returncode == 3 and "name a folder that the user of the workers may enter" in done.stderr
    finally:
        shutil.rmtree(root)


def test_too_many_open_files_are_answered_503_with_one_line_a_second(serve, www):
    server = serve("-w", "1", config=config(www))
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        assert wire.ask("/in.txt").status == 200
        restore = leave_descriptors(worker, 0)
        for _ in range(20):
            answer = wire.ask("/in.txt")
            assert (answer.status, answer.header("Retry-After")) == (503, "1")
        restore()
        assert wire.ask("/in.txt").body == b"in"
        restore = leave_descriptors(worker, 1)  # enough to open a file, but a large one is opened twice
        assert wire.ask("/large.bin").status == 503 and wire.ask("/in.txt").status == 200
        restore()
        assert len(wire.ask("/large.bin").body) == 100_000
    server.wait_for(r"\[ERROR\] GET /in.txt: open '.*/www/in.txt': Too many open files: answered 503; raise the limit")
    assert server.log().count("Too many open files") < 5


def test_no_descriptor_is_left_open(serve, www):
    server = serve("-w", "1", config=config(www, listing=True, precompressed=True))
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        targets = ("/in.txt", "/", "/a", "/a/", "/out", "/fifo", "/none", "/.env", "/loop")
        wire.ask("/in.txt")
        before = len(proc.descriptors(worker))
        for target in targets * 5:
            wire.ask(target, headers={"Accept-Encoding": "br, gzip", "Range": "bytes=0-0"})
            wire.ask(target, method="HEAD")
        eventually("as many as before", lambda: len(proc.descriptors(worker)) == before)


def refuse_openat2():
    """As a kernel before 5.6: a filter of system calls that answers ENOSYS."""
    number, arches = 437, {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
    arch = arches[platform.machine()]

    def step(code, jump_true, jump_false, value):
        return struct.pack("=HBBI", code, jump_true, jump_false, value)
    program = (step(0x20, 0, 0, 4) + step(0x15, 0, 3, arch) + step(0x20, 0, 0, 0) + step(0x15, 0, 1, number)
               + step(0x06, 0, 0, 0x00050000 | 38) + step(0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HxxxxxxP", 6, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter_, 0, 0) == 0


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the filter is for another processor")
def test_without_openat2_no_link_is_followed_and_the_rest_is_the_same(serve, www):
    server = serve("-w", "1", config=config(www, listing=True), preexec=refuse_openat2)
    with server.connect() as wire:
        assert wire.ask("/in.txt").body == b"in" and wire.ask("/a/in.txt").body == b"a" and wire.ask("/a").status == 301
        for target in ("/inside", "/a/up", "/folder/in.txt", "/folder", "/folder/", "/out", "/etc/passwd", "/absolute", "/loop",
                       "/proc/etc/passwd", "/fifo", "/socket", "/in.txt/x", "/none", "/a/none"):
            assert wire.ask(target).status == 404, target
        page = wire.ask("/").text
        assert 'href="./a/"' in page and 'href="./inside"' not in page and 'href="./folder/"' not in page
