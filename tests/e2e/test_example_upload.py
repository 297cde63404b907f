"""The example upload: files reach the disk whole or not at all, in bounded memory."""
import errno
import os
import signal

import pytest

import faults as fault
import proc
from clock import eventually
from faults import FOR_EVER, Faults
from server import SANITIZED, example, run
from wire import request_bytes

TYPE = [("Content-Type", "multipart/form-data; boundary=B")]
END = b"\r\n--B--\r\n"


def part(content, name="x"):
    return f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "files"
    made.mkdir()
    return made


@pytest.fixture
def start(serve, folder):
    def run_with(*args, **named):
        return serve(example("upload"), "--option", f"folder={folder}", *args, **named)
    return run_with


def upload(wire, content, name="x"):
    return wire.ask("/files", method="POST", headers=TYPE, body=part(content, name) + END)


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_file_comes_back_whole_in_parts_or_not_again(start, folder):
    server = start("-w", "2")
    content = bytes(range(256)) * 4000
    with server.connect() as wire:
        made = upload(wire, content, "../../x.html")
        assert made.status == 201, made
        target = made.header("Location")
        server.wait_for(rf"POST /files: '\.\./\.\./x\.html' is now {target[7:]}, 1024000 bytes")
        assert names(folder) == [target[7:]]
        assert f'<a href="{target}">' in wire.ask("/").text
        whole = wire.ask(target)
        assert whole.body == content and whole.header("Content-Type") == "application/octet-stream"
        assert whole.header("Content-Disposition").startswith("attachment")
        some = wire.ask(target, headers={"Range": "bytes=256-258"})
        assert some.status == 206 and some.body == b"\x00\x01\x02"
        assert wire.ask(target, headers={"If-None-Match": whole.header("ETag")}).status == 304
        assert wire.ask(target, headers={"If-Modified-Since": whole.header("Last-Modified")}).status == 304
        assert wire.ask("/files/..%2fnarwhal.yaml").status == 404


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has memory of its own")
def test_a_large_upload_needs_little_memory(start, folder):
    server = start("-w", "1")
    worker, = server.wait_workers(1)
    piece, count = os.urandom(1 << 20), 60
    with server.connect() as wire:
        assert upload(wire, b"warm").status == 201
        before = proc.status_field(worker, "VmHWM")
        head = part(b"")
        wire.send(request_bytes("/files", method="POST", body=head, headers=[
            *TYPE, ("Content-Length", str(len(head) + (count << 20) + len(END)))]))
        for _ in range(count):
            wire.send(piece)
        wire.send(END)
        made = wire.response("POST")
        assert made.status == 201
        grown = proc.status_field(worker, "VmHWM") - before
        assert grown < 4 << 10, f"{grown} KiB"
        assert (folder / made.header("Location")[7:]).stat().st_size == count << 20
        wire.send(request_bytes(made.header("Location")))
        assert wire.response().body == piece * count
        assert proc.status_field(worker, "VmHWM") - before < 4 << 10


def begin(server, folder):
    """A client in the middle of its upload."""
    wire = server.connect()
    wire.send(request_bytes("/files", method="POST", body=part(b"x" * 200_000), headers=[
        *TYPE, ("Content-Length", "1000000")]))
    eventually("the file has begun", lambda: names(folder))
    assert all(name.startswith(".") for name in names(folder))
    return wire


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_nothing_stays_of_an_upload_whose_client_leaves(start, folder, ending):
    server = start("--threads", "2")
    wire = begin(server, folder)
    assert "<a " not in server.get("/").text
    getattr(wire, ending)()
    eventually("the file is gone", lambda: not names(folder))


def test_nothing_stays_of_an_upload_whose_worker_is_killed(start, folder):
    server = start("-w", "1")
    with begin(server, folder):
        os.kill(server.wait_workers(1)[0], signal.SIGKILL)
        eventually("the next worker has removed it", lambda: not names(folder))
    assert "<a " not in server.get("/").text


def test_a_reload_lets_an_upload_end(start, folder):
    server = start("-w", "1", "--threads", "2", "--graceful-timeout", "20")
    whole = part(b"y" * 500_000) + END
    with server.connect() as wire:
        wire.send(request_bytes("/files", method="POST", headers=TYPE, body=whole)[:-400_000])
        eventually("the file has begun", lambda: names(folder))
        server.send(signal.SIGHUP)
        server.wait_for("Generation 2 is ready")  # its workers have looked for what is left of crashes
        assert len(names(folder)) == 1
        wire.send(whole[-400_000:])
        made = wire.response("POST")
        assert made.status == 201
    assert server.get(made.header("Location")).body == b"y" * 500_000


def test_what_is_too_large_is_refused_before_it_is_sent_or_while_it_comes(start, folder):
    server = start("--option", "file_max=1000")
    with server.connect() as wire:
        wire.send(request_bytes("/files", method="POST", headers=[*TYPE, ("Content-Length", "5000000")]))
        assert wire.response("POST").status == 413
    with server.connect() as wire:
        assert upload(wire, b"x" * 1000).status == 201
    with server.connect() as wire:
        assert upload(wire, b"x" * 1001).status == 413
    assert len(names(folder)) == 1


@pytest.mark.parametrize("kind, error, status, reason", [
    (fault.WRITE, errno.ENOSPC, 507, r"an upload: write: No space left on device"),
    (fault.WRITE, errno.EDQUOT, 507, r"an upload: write: Disk quota exceeded"),
    (fault.WRITE, errno.EIO, 500, r"an upload: write: Input/output error"),
    (fault.OPEN, errno.EACCES, 500, r"open .*/files/\.unfinished-\w+: Permission denied"),
])
def test_a_disk_that_takes_nothing_is_said_and_the_service_goes_on(start, folder, tmp_path, kind, error, status, reason):
    faults = Faults(tmp_path)
    server = start("-w", "1", env=faults.environment)
    with server.connect() as wire:
        assert upload(wire, b"x").status == 201
    faults.watch(server.wait_workers(1)[0])
    faults.arm(kind, 1, count=FOR_EVER, error=error)
    with server.connect() as wire:
        refused = upload(wire, b"x" * 100_000)
    assert faults.disarm() > 0
    assert refused.status == status, refused
    assert refused.text == ("there is no room for this\n" if status == 507 else "the files cannot be kept now\n")
    server.wait_for(rf"\[ERROR\] POST /files: {reason}")
    assert len(names(folder)) == 1
    with server.connect() as wire:
        assert upload(wire, b"x").status == 201


def test_without_its_folder_it_does_not_start(tmp_path):
    checked = run("--check-config", "--option", f"folder={tmp_path}/none", example("upload"))
    assert checked.returncode != 0 and f"option 'folder': {tmp_path}/none: No such file or directory" in checked.stderr
