"""wsgi.file_wrapper: what the client gets is what read() of the file object gives, however the bytes are sent."""
import hashlib

import pytest

KINDS = ["plain", "unbuffered", "rewound", "peeked", "not_flushed", "gzipped", "bzipped", "xz", "zipped", "tar_member",
         "subclass", "reader_of_subclass", "replaced_read", "other_fileno", "named_temporary", "proc", "sys_file",
         "pipe", "after_its_end"]


@pytest.fixture(scope="module")
def bare(both):
    return both("files:bare")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_sent_as_read_gives_it(bare, kind, method):
    with bare.narwhal.connect() as wire:
        for _ in range(2):
            response = wire.ask(f"/file_kind?{kind}", method=method)
            assert response.status == 200
            if method == "GET":
                digest = hashlib.sha256(response.body).hexdigest()
                assert response.header("Digest") == digest, len(response.body)


@pytest.mark.parametrize("length", [0, 5, 100000])
def test_a_device_ends_where_its_length_does(bare, length):
    with bare.narwhal.connect() as wire:
        for method in ["GET", "HEAD", "GET"]:
            response = wire.ask(f"/endless_file?length={length}", method=method)
            assert response.header("Content-Length") == str(length)
            assert method == "HEAD" or response.body == bytes(length)


def test_a_pipe_is_read_no_further_than_the_length(bare):
    with bare.narwhal.connect() as wire:
        assert wire.ask("/endless_file?fifo&length=100").body == b"x" * 100


@pytest.mark.parametrize("target", ["/file_not_readable", "/closed_file"])
def test_a_file_that_cannot_be_read_is_an_error_of_the_application(bare, target):
    with bare.narwhal.connect() as wire:
        assert wire.ask(target).status == 500
    assert bare.narwhal.get("/one").status == 200


def test_a_file_with_a_length_of_its_own_is_not_changed_into_chunks(bare):
    with bare.narwhal.connect() as wire:
        assert wire.ask("/file_kind?rewound").header("Content-Length") == "16384"


def test_the_wrapper_has_what_gunicorns_has(bare):
    bare.same("/wrapper_parts")
