"""100 MiB in both directions through HAProxy, as conf/haproxy has it."""
import hashlib
import json

import pytest

import wire
from haproxy_front import haproxy, needs_haproxy  # noqa: F401
from server import example
from wire import request_bytes

pytestmark = needs_haproxy
SIZE = 100 * 1024 * 1024


@pytest.mark.parametrize("name,prefix", [("narwhal.cfg", ""), ("narwhal-fastcgi.cfg", "fastcgi://")])
def test_100_mib_arrive_whole(serve, haproxy, name, prefix):  # noqa: F811
    server = serve(example("echo"), "--limit-request-body", "200M", bind=prefix + "127.0.0.1:0")
    front = haproxy(server.address, name=name)
    body = (bytes(range(251)) * (SIZE // 251 + 1))[:SIZE]
    digest = hashlib.sha256(body).hexdigest()
    with wire.Wire(front.address, timeout=300) as client:
        seen = json.loads(client.ask("/?nobody=1", method="POST", body=body).body)
        assert (seen["body_len"], seen["body_sha256"]) == (SIZE, digest)
        for how in ("", "&chunked=1"):
            answer = client.ask(f"/?size={SIZE}{how}")
            assert len(answer.body) == SIZE == answer.body.count(b"x")
        if prefix == "":
            pieces = [body[at:at + 1_000_000] for at in range(0, SIZE, 1_000_000)]
            head = request_bytes("/?nobody=1", method="POST", headers=[("Transfer-Encoding", "chunked")])
            client.send(head + wire.chunked(*pieces))
            seen = json.loads(client.response("POST").body)
            assert (seen["body_len"], seen["body_sha256"]) == (SIZE, digest)
