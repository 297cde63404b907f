"""FastCGI 1.0, record by record, on the real server: what a web server may send in any form, and what it gets. The decoder's own
tests, under every cut of each stream, are in tests/unit/protocol_fastcgi_test.cpp."""
import json
import signal
import socket
import struct
import threading
import time

import pytest

from clock import scaled
from gateway import (ABORT, BEGIN, CANNOT_MULTIPLEX, COMPLETE, DATA, END, GET_VALUES, PARAMS, STDERR, STDIN, STDOUT, UNKNOWN,
                     UNKNOWN_ROLE, VALUES_RESULT, Gateway, begin, fastcgi_request, pairs, record, request_over, stream,
                     variables_of)
from load import in_parallel
from server import WSGI, example
from wire import Truncated, WireError


@pytest.fixture(scope="module")
def server(serve_module):
    return serve_module(example("echo"), "-w", "2", "--threads", "2", "--keep-alive", "30", bind="fastcgi://127.0.0.1:0")


@pytest.fixture
def fastcgi(server):
    with Gateway("fastcgi", server.address, timeout=20) as front:
        yield front


def test_a_connection_is_kept_where_the_web_server_asks_for_it(fastcgi):
    for number in range(1, 50):
        assert fastcgi.ask(f"/?size={number}", keep=True, request=number).body == b"x" * number
    assert fastcgi.ask("/?size=5").body == b"xxxxx"  # without KEEP_CONN the server closes it
    assert fastcgi.rest() == b""


def test_params_in_any_records(fastcgi):
    said = variables_of("/?size=3", more={"X_LONG": "v" * 300})
    for size in (1, 2, 3, 7, 50, 65535):
        for long in (False, True):
            fastcgi.send(fastcgi_request(said, size=size, long=long, padding=size % 5, keep=True))
            assert fastcgi.answer().body == b"xxx"


def test_management_records_are_answered(fastcgi):
    fastcgi.send(record(GET_VALUES, 0, pairs([(b"FCGI_MPXS_CONNS", b""), (b"FCGI_MAX_CONNS", b""), (b"NONE", b"")])))
    kind, request, content = fastcgi.record()
    assert (kind, request) == (VALUES_RESULT, 0) and b"\x0f\x01FCGI_MPXS_CONNS0" in content and b"FCGI_MAX_CONNS" in content
    fastcgi.send(record(77, 0, b"?"))
    kind, request, content = fastcgi.record()
    assert (kind, request, content[0]) == (UNKNOWN, 0, 77)
    assert fastcgi.ask("/?size=1", keep=True).body == b"x"


@pytest.mark.parametrize("role", [0, 2, 3, 65535])
def test_another_role_is_refused(fastcgi, role):
    refusal = (END, 3, bytes([0, 0, 0, 0, UNKNOWN_ROLE, 0, 0, 0]))
    fastcgi.send(begin(3, keep=True, role=role) + stream(PARAMS, 3, b"whatever"))
    assert fastcgi.record() == refusal
    assert fastcgi.ask("/?size=1", keep=True).body == b"x"
    fastcgi.send(begin(3, role=role))
    assert fastcgi.record() == refusal and fastcgi.rest() == b""


@pytest.mark.parametrize("request_id", [1, 255, 256, 65535])
def test_an_answer_has_the_id_of_its_request(fastcgi, request_id):
    assert fastcgi.ask("/?size=70000", keep=True, request=request_id).body == b"x" * 70_000


def test_a_request_may_come_byte_by_byte(fastcgi):
    sent = record(GET_VALUES, 0) + fastcgi_request(variables_of("/?nobody=1", "POST", body=b"abc"), b"abc", keep=True, padding=3)
    for byte in sent:
        fastcgi.send(bytes([byte]))
    assert fastcgi.record() == (VALUES_RESULT, 0, b"")
    assert json.loads(fastcgi.answer("POST").body)["body_len"] == 3


def test_padding_empty_records_and_reserved_bytes_mean_nothing(fastcgi):
    params = pairs(variables_of("/?nobody=1", "POST", body=b"abc"))
    sent = [record(BEGIN, 1, b"\0\1\1" + b"\xff" * 5, padding=255), record(DATA, 1), record(PARAMS, 1, params, padding=255),
            record(PARAMS, 1, padding=255), record(DATA, 1, padding=1), record(STDIN, 1, b"a", padding=1), record(STDIN, 9),
            record(STDIN, 1, b"bc", padding=255), record(STDIN, 1, padding=7)]
    fastcgi.send(b"".join(one[:7] + b"\xff" + one[8:] for one in sent))
    assert json.loads(fastcgi.answer("POST").body)["body_len"] == 3


def test_lengths_at_the_limit_of_one_byte(fastcgi):
    headers = [(f"X-{'n' * (size - 7)}", "v" * size) for size in (126, 127, 128, 129)]  # the variable's name is HTTP_X_nnn
    for long in (False, True):
        fastcgi.send(fastcgi_request(variables_of("/", headers=headers), keep=True, long=long))
        seen = dict(json.loads(fastcgi.answer().body)["headers"])
        assert [seen[name.title()] for name, _ in headers] == [value for _, value in headers]


def test_requests_meanwhile_are_refused_and_served_afterwards(fastcgi):
    fastcgi.send(request_over("fastcgi", "/?sleep=0.5&size=2", request=1, keep=True))
    for other in (2, 3):
        fastcgi.send(request_over("fastcgi", "/?size=9", request=other))  # without KEEP_CONN: it does not end the connection
        assert fastcgi.record() == (END, other, bytes([0, 0, 0, 0, CANNOT_MULTIPLEX, 0, 0, 0]))
    assert fastcgi.answer(request=1).body == b"xx"
    for other in (2, 3):
        assert fastcgi.ask("/?size=9", request=other, keep=True).body == b"x" * 9


def test_records_of_two_requests_may_be_mixed(fastcgi):
    first, second = (request_over("fastcgi", "/?size=4", "POST", body=b"abc", keep=True, request=number) for number in (1, 2))
    fastcgi.send(first[:16] + second + first[16:])
    assert fastcgi.record() == (END, 2, bytes([0, 0, 0, 0, CANNOT_MULTIPLEX, 0, 0, 0]))
    assert fastcgi.answer("POST").body == b"xxxx"


@pytest.mark.parametrize("when", ["params", "body", "handler"])
def test_an_aborted_request_is_ended(fastcgi, when):
    sent = request_over("fastcgi", "/?sleep=1", method="POST", body=b"x" * 1000, keep=True)
    if when == "params":
        sent = begin(1, keep=True) + record(PARAMS, 1, b"\x01")
    elif when == "body":
        sent = sent[:-500]
        sent = begin(1, keep=True) + stream(PARAMS, 1, pairs(variables_of("/", "POST", body=b"x" * 1000))) + record(STDIN, 1, b"x")
    fastcgi.send(sent)
    if when == "handler":
        time.sleep(scaled(0.2))
    fastcgi.send(record(ABORT, 1))
    began = time.monotonic()
    kind, request, content = fastcgi.record()
    if when != "params":  # an answer had been due
        assert (kind, request, content) == (STDOUT, 1, b"")
        kind, request, content = fastcgi.record()
    assert (kind, request, content[4]) == (END, 1, COMPLETE) and time.monotonic() - began < scaled(0.7)
    assert fastcgi.ask("/?size=1", keep=True, request=2).body == b"x"


def test_the_next_request_may_come_while_the_handler_is_still_at_work(serve):
    """It has flushed its answer, so that the web server has END_REQUEST."""
    server = serve(example("every_hook"), "-w", "1", "--threads", "2", "--option", "pause=1", bind="fastcgi://127.0.0.1:0")
    with Gateway("fastcgi", server.address, timeout=30) as front:
        for _ in range(2):
            assert front.ask("/work", keep=True).text == "accepted\n"
            assert front.ask("/cgi?REQUEST_METHOD", keep=True).text == "GET"
        assert front.ask("/work", keep=True).text == "accepted\n"
        front.send(record(ABORT, 1) + request_over("fastcgi", "/cgi?REMOTE_PORT", keep=True))
        assert front.fastcgi_answer().text == "40007"


def test_many_requests_that_are_aborted_at_once(fastcgi):
    one = request_over("fastcgi", "/?sleep=5", keep=True)
    fastcgi.send((one + record(ABORT, 1)) * 300 + request_over("fastcgi", "/?size=4", keep=True))
    ended = 0
    while True:
        kind, request, content = fastcgi.record()
        if kind == END and content[3] == 1:
            ended += 1
        elif kind == STDOUT and content:
            break
    assert ended == 300 and content.endswith(b"\r\n\r\n")


def test_a_web_server_that_asks_and_does_not_read(serve):
    server = serve(example("echo"), "-w", "1", bind="fastcgi://127.0.0.1:0")
    with Gateway("fastcgi", server.address, receive_buffer=4096) as front:
        front.send(request_over("fastcgi", "/?size=50000000", keep=True))
        with pytest.raises(ConnectionError):  # not a send that waits for ever
            for _ in range(3000):
                front.send(record(77, 0) * 1000)
    with Gateway("fastcgi", server.address) as front:
        assert front.ask("/?size=1").body == b"x"


def test_the_error_log_of_the_web_server_gets_a_line_about_a_cut(fastcgi):
    fastcgi.send(request_over("fastcgi", "/?exc=late&write=1&size=100000", keep=True))
    kinds = []
    while not kinds or kinds[-1][0] != END:
        kinds.append(fastcgi.record())
    # STDOUT has no end: nginx would take the answer for whole.
    assert [(kind, bool(content)) for kind, _, content in kinds[-4:]] == [
        (STDOUT, True), (STDERR, True), (STDERR, False), (END, True)]
    assert kinds[-3][2] == b"narwhal: the answer is cut off after its head: see narwhal's error log\n"
    assert kinds[-1][2] == bytes([0, 0, 0, 1, COMPLETE, 0, 0, 0])


def test_a_cut_of_an_unknown_length_is_an_error_over_a_unix_socket_too(serve, tmp_path):
    server = serve(example("echo"), bind=f"fastcgi://unix:{tmp_path}/a.sock")
    with Gateway("fastcgi", server.address) as front:
        with pytest.raises(WireError):
            front.ask("/?exc=late&chunked=1&size=100000")


def test_records_of_other_requests_are_ignored(fastcgi):
    sent = request_over("fastcgi", "/?size=4", method="POST", body=b"abc", keep=True)
    noise = record(STDIN, 9, b"no") + record(DATA, 1, b"no") + record(ABORT, 8) + record(PARAMS, 7)
    at = 16
    fastcgi.send(sent[:at] + noise + sent[at:])
    assert fastcgi.answer("POST").body == b"xxxx"


def test_a_body_of_unknown_length(fastcgi):
    said = variables_of("/", "POST", length=False)
    fastcgi.send(fastcgi_request(said, b"z" * 100_000, keep=True))
    assert json.loads(fastcgi.answer("POST").body)["body_len"] == 100_000
    fastcgi.send(fastcgi_request(said, b"", keep=True))
    assert json.loads(fastcgi.answer("POST").body)["body_len"] == 0


def test_a_reload_loses_no_request_of_a_kept_connection(serve):
    server = serve(example("echo"), "-w", "2", "--graceful-timeout", "20", bind="fastcgi://127.0.0.1:0")

    def client(_):
        done = 0
        front = Gateway("fastcgi", server.address, timeout=30)
        until = time.monotonic() + scaled(4)
        while time.monotonic() < until:
            try:
                front.send(request_over("fastcgi", "/?size=10", keep=True))
                assert front.fastcgi_answer().body == b"x" * 10
                done += 1
            except (Truncated, ConnectionError) as error:
                # A web server tries again when the connection was closed before a byte of an answer.
                assert getattr(error, "got", 0) == 0
                front.close()
                front = Gateway("fastcgi", server.address, timeout=30)
        front.close()
        return done
    reloads = threading.Timer(scaled(1), server.send, [signal.SIGHUP])
    reloads.start()
    assert all(done > 10 for done in in_parallel(4, client))
    reloads.join()


def test_a_file_is_sent_in_records(serve, tmp_path):
    (tmp_path / "big").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "app_file.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'application/octet-stream')])\n"
        f"    return environ['wsgi.file_wrapper'](open({str(tmp_path / 'big')!r}, 'rb'))\n")
    if not WSGI.exists():
        pytest.skip("no WSGI plugin")
    server = serve("app_file:app", "--pythonpath", tmp_path, bind="fastcgi://127.0.0.1:0")
    with Gateway("fastcgi", server.address, timeout=30) as front:
        for _ in range(3):
            assert front.ask("/", keep=True).body == bytes(range(256)) * 4096


def packets_received(front):
    """tcpi_segs_in of struct tcp_info."""
    return struct.unpack_from("I", front.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 140)[0]


def test_the_end_of_a_kept_connection_comes_in_one_packet_with_the_last_answer(serve):
    """FastCGI cannot announce it: a web server that has seen END_REQUEST alone sends its next request there."""
    server = serve(example("echo"), "-w", "1", "--threads", "4", bind="fastcgi://127.0.0.1:0")
    target = "/?sleep=0.3&size=3"  # longer than the kernel delays the packet that confirms the request
    with Gateway("fastcgi", server.address) as kept:
        for _ in range(2):
            kept.ask(target, keep=True)
        expected = packets_received(kept)
    for _ in range(3):
        with Gateway("fastcgi", server.address) as front:
            front.ask(target, keep=True)
            front.send(request_over("fastcgi", target, keep=True))
            server.reload()
            assert front.fastcgi_answer().body == b"xxx" and front.rest() == b""
            assert packets_received(front) == expected
