"""The example thumbnail: pictures over real sockets, broken ones, and other requests while a handler thread scales."""
import base64
import re
import struct
import time
import zlib

import pytest

from load import in_parallel
from server import example

pytestmark = pytest.mark.skipif(not example("thumbnail").exists(), reason="built without libturbojpeg or libpng")

# 20 x 10 pixels, grey.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgy"
    "PC4zNDL/wAALCAAKABQBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEG"
    "E1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJ"
    "ipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APJ694+Hf/Ih"
    "6b/21/8ARr11FfL9e8fDv/kQ9N/7a/8Ao166iv/Z")

def png(width, height, rows=None):
    """A grey picture; `rows` in place of its bytes."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    data = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)) if rows is None else rows, 1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_size(data):
    return struct.unpack(">II", data[16:24])


def jpeg_size(data):
    height, width = struct.unpack(">HH", re.search(rb"\xff\xc0..\x08(....)", data, re.DOTALL)[1])
    return width, height


@pytest.fixture(scope="module")
def thumbnail(serve_module):
    return serve_module(example("thumbnail"), "-w", "1", "--threads", "2", "--option", "pixels=30000000")


def test_both_kinds_of_picture_are_scaled(thumbnail):
    with thumbnail.connect() as wire:
        small = wire.ask("/?width=30", method="POST", body=png(300, 120))
        assert small.status == 200 and small.header("Content-Type") == "image/png" and png_size(small.body) == (30, 12)
        small = wire.ask("/?width=10", method="POST", body=JPEG)
        assert small.status == 200 and small.header("Content-Type") == "image/jpeg" and jpeg_size(small.body) == (10, 5)


def test_pictures_that_are_broken_or_too_large_are_refused_and_the_worker_goes_on(thumbnail):
    worker, = thumbnail.wait_workers(1)
    bomb = png(60_000, 60_000, rows=bytes(100_000))  # 14 GB when it is scaled
    wrong = png(100, 100)
    with thumbnail.connect() as wire:
        for body, status, text in [
                (b"", 415, "the body must be a JPEG or a PNG"), (b"<svg/>", 415, "the body must be a JPEG or a PNG"),
                (bomb, 413, "the picture has more than 30000000 pixels"), (wrong[:60], 400, "the PNG cannot be read: "),
                (wrong[:40] + b"?" + wrong[41:], 400, "the PNG cannot be read: "), (JPEG[:300], 400, "the JPEG cannot be read: "),
                (b"\0" * 20_000_001, 413, "the picture has more than 20000000 bytes")]:
            answer = wire.ask("/", method="POST", body=body)
            assert answer.status == status and answer.text.startswith(text), (answer.status, answer.text)
        assert wire.ask("/?width=no", method="POST", body=JPEG).status == 400
        assert wire.ask("/", method="PUT", body=JPEG).status == 405
        assert wire.ask("/", method="POST", body=JPEG).status == 200
    assert thumbnail.worker_pids() == [worker]


def test_other_requests_are_served_while_a_picture_is_scaled(thumbnail):
    """The answer says how long the handler took. What another connection got in that time, it did not wait for."""
    large = png(6000, 5000)
    done = []

    def scale(_):
        answer = None
        try:
            answer = thumbnail.get("/?width=100", method="POST", body=large, timeout=60)
        finally:
            done.append(time.monotonic())
        return float(re.fullmatch(r"scale;dur=([\d.]+)", answer.header("Server-Timing"))[1]) / 1000

    def ask(_):
        times = []
        while not done:
            begun = time.monotonic()
            assert thumbnail.get("/", timeout=60).status == 200
            times.append((begun, time.monotonic()))
        return times

    seconds, times = in_parallel(2, lambda number: (scale, ask)[number](number))
    meanwhile = [1 for begun, answered in times if begun > done[0] - seconds and answered < done[0]]
    assert meanwhile, (seconds, done, times[-5:])


def test_pictures_are_scaled_side_by_side_without_mixing(thumbnail):
    def scale(number):
        return png_size(thumbnail.get(f"/?width={number + 1}", method="POST", body=png(400, 400), timeout=30).body)
    assert in_parallel(16, scale) == [(number + 1, number + 1) for number in range(16)]
