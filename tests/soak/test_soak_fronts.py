"""100 MiB in each direction through each web server of conf/ and over each wire."""
import hashlib
import json

import pytest

from front_cases import CHUNKED_REFUSED
from server import example
from web_fronts import FRONTS, WIRES
from wire import Wire, request_bytes

MIB = 1024 * 1024
SIZE = 100 * MIB
PIECE = bytes(range(256)) * 4096  # 1 MiB


def digest_of_pattern():
    digest = hashlib.sha256()
    for _ in range(SIZE // MIB):
        digest.update(PIECE)
    return digest.hexdigest()


def send(client, how):
    """The body of SIZE bytes after its head."""
    chunked = how == "chunked"
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(SIZE))
    client.send(request_bytes("/", method="POST", headers=[framing]))
    for _ in range(SIZE // MIB):
        client.send(b"100000\r\n" + PIECE + b"\r\n" if chunked else PIECE)
    if chunked:
        client.send(b"0\r\n\r\n")


def received(client):
    """How many bytes 'x' the rest of the answer has. Chunk lines and fields hold none of them."""
    count = client.buffer.count(b"x")
    client.sock.settimeout(60)
    while data := client.sock.recv(MIB):
        count += data.count(b"x")
    return count


@pytest.mark.parametrize("spoken", WIRES)
@pytest.mark.parametrize("name", FRONTS)
def test_100_mib_in_each_direction(serve, tmp_path, name, spoken):
    if not FRONTS[name].program:
        pytest.skip(f"{FRONTS[name].package} is not installed")
    server = serve(example("echo"), "-w", "1", "--limit-request-body", str(2 * SIZE), bind=f"{spoken}://127.0.0.1:0")
    limit = {} if name == "apache" and spoken in ("http", "fastcgi") else FRONTS[name].body_limit
    front = FRONTS[name](spoken, server.address, tmp_path / "front", limit).start()
    try:
        for how in ("length", "chunked"):
            if how == "chunked" and (name, spoken) in CHUNKED_REFUSED:
                continue
            with Wire(front.address, 60) as client:
                send(client, how)
                seen = json.loads(client.response("POST").body)
            assert (seen["body_len"], seen["body_sha256"]) == (SIZE, digest_of_pattern())
        for how in ("", "&write=1", "&chunked=1"):
            with Wire(front.address, 60) as client:
                client.send(request_bytes(f"/?size={SIZE}{how}", headers=[("Connection", "close")]))
                assert client.head().status == 200
                assert received(client) == SIZE
    finally:
        front.stop()
