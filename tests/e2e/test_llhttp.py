"""Every request's head goes through llhttp's llhttp_execute. Shown by taking it away: in a copy of the server in which that
function refuses whatever it is given, no request is served."""
import os
import platform
import struct
import subprocess
import time

import pytest

from server import BINARY, SANITIZED, example
from wire import chunked, request_bytes

HPE_INVALID_METHOD = 6
FUNCTIONS = ("llhttp_execute", "narwhal_llhttp_execute_sse42")

REQUESTS = {
    "plain": request_bytes(),
    "http 1.0": request_bytes(version="1.0"),
    "query": request_bytes("/a/b?c=d"),
    "absolute": request_bytes("http://test/a"),
    "asterisk": request_bytes("*", method="OPTIONS"),
    "length": request_bytes("/", method="POST", body=b"hello"),
    "chunked": request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"hello")),
    "upgrade": request_bytes(headers=[("Connection", "upgrade"), ("Upgrade", "websocket")]),
    "closing": request_bytes(headers=[("Connection", "close")]),
    "many fields": request_bytes(headers=[(f"X-{number}", "value " * number) for number in range(60)]),
    # what llhttp takes only in a copy
    "bytes from 0x80": request_bytes("/caf\u00e9"),
    "fragment": request_bytes("/a?b#c"),
    "unknown method": request_bytes(method="BREW"),
    "tabs": request_bytes(method="POST", headers=[("Content-Length", "\t0\t")]),
}


def returns_error():
    """Machine code of: return HPE_INVALID_METHOD."""
    if platform.machine() == "x86_64":
        return b"\xb8" + struct.pack("<i", HPE_INVALID_METHOD) + b"\xc3"  # mov eax, 6; ret
    if platform.machine() == "aarch64":
        return struct.pack("<II", 0x52800000 | HPE_INVALID_METHOD << 5, 0xD65F03C0)  # mov w0, 6; ret
    return pytest.skip(f"no machine code at hand for {platform.machine()}")


def functions_of(binary):
    """Addresses of llhttp_execute in it, in either form; empty where llhttp is a shared library."""
    listed = subprocess.run(["nm", str(binary)], capture_output=True, text=True, check=True).stdout
    symbols = [line.split() for line in listed.splitlines()]
    return [int(symbol[0], 16) for symbol in symbols if len(symbol) == 3 and symbol[2] in FUNCTIONS]


def file_offset(image, address):
    """Where in an ELF64 file the byte is that is loaded to this address."""
    headers, size, count = struct.unpack_from("<Q", image, 32)[0], *struct.unpack_from("<HH", image, 54)
    for number in range(count):
        kind, _, offset, start, _, length = struct.unpack_from("<IIQQQQ", image, headers + number * size)
        if kind == 1 and start <= address < start + length:
            return offset + address - start
    raise AssertionError(f"nothing is loaded to {address:#x}")


def without_llhttp(folder):
    """The arguments for `serve` that make llhttp_execute refuse everything."""
    functions = functions_of(BINARY)
    if not functions:
        if SANITIZED:
            pytest.skip("a sanitizer wants to be the first library")
        source, library = folder / "refuses.c", folder / "refuses.so"
        source.write_text(f"int llhttp_execute(void) {{ return {HPE_INVALID_METHOD}; }}\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        return {"env": {"LD_PRELOAD": str(library)}}
    image = bytearray(BINARY.read_bytes())
    for function in functions:
        at, code = file_offset(image, function), returns_error()
        image[at:at + len(code)] = code
    binary = folder / "narwhal"
    binary.write_bytes(image)
    os.chmod(binary, 0o755)
    return {"binary": binary}


@pytest.fixture(scope="module")
def ordinary(serve_module):
    return serve_module(example("echo"), "-w", "1")


@pytest.fixture(scope="module")
def crippled(serve_module, tmp_path_factory):
    return serve_module(example("echo"), "-w", "1", **without_llhttp(tmp_path_factory.mktemp("crippled")))


@pytest.mark.parametrize("name", REQUESTS)
def test_no_head_is_served_without_llhttp(ordinary, crippled, name):
    for server, status in ((ordinary, 200), (crippled, 400)):
        with server.connect() as wire:
            wire.send(REQUESTS[name])
            assert wire.response().status == status


def test_a_head_in_pieces_is_not_served_without_llhttp(ordinary, crippled):
    for server, status in ((ordinary, 200), (crippled, 400)):
        with server.connect() as wire:
            wire.send(REQUESTS["plain"][:8])
            time.sleep(0.05)  # so that they do not arrive together
            wire.send(REQUESTS["plain"][8:])
            assert wire.response().status == status
