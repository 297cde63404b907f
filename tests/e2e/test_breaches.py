"""What a plugin does against its contract reaches no other request, is answered with a code, and is in the log."""
import re
import signal

import pytest

from load import Load, in_parallel
from server import test_plugin
from wire import Truncated, request_bytes

USES_ENDED = test_plugin("uses_ended")
STATE = -4
CALLS = ["request", "header", "variable", "body", "body_fd", "read_body", "alloc", "user", "gone", "respond", "start", "write",
         "write_lent", "send_file", "finish", "fail", "inform", "trailers", "flush", "log_value"]
SILENT = {"gone"}  # a question that may come late


@pytest.fixture
def server(serve):
    return serve(USES_ENDED, "-w", "1", "--threads", "2", "--timeout", "5")


def test_the_plugin_makes_each_call(server):
    assert server.get("/names").text.split() == CALLS


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ["return", "defer"])
def test_a_call_for_a_request_that_has_ended_does_nothing(server, call, end):
    assert server.get(f"/keep?end={end}").text == "kept"
    with server.connect() as wire:  # it most probably gets the memory of the kept one
        for _ in range(3):
            assert wire.ask(f"/use?call={call}.").text == f"{call} {STATE}"
        assert wire.ask("/innocent").text == "path /innocent"
    if call not in SILENT:
        name = "(set_)?user" if call == "user" else call
        server.wait_for(rf"\[ERROR\] plugin '{USES_ENDED}' has called {name}\(\) for a request that has ended: the call does nothing")


def test_the_log_has_one_line_a_second(server):
    server.get("/keep")
    for _ in range(20):
        server.get("/use?call=write.")
    assert 1 <= server.log().count("for a request that has ended") <= 5


def test_other_requests_run_beside_it_unharmed(server):
    server.get("/keep")
    server.get("/other?ms=500")

    def client(number):
        with server.connect(timeout=20) as wire:
            return [wire.ask(f"/{number}/{turn}?wait={turn % 3}").text for turn in range(100)]
    for number, texts in enumerate(in_parallel(8, client)):
        assert texts == [f"path /{number}/{turn}?wait={turn % 3}" for turn in range(100)]


@pytest.mark.parametrize("size", [-1, 4, 100])
def test_a_response_that_is_not_finished_looks_cut_off(server, size):
    """Even if each byte that was declared has been written: the connection ends, and the log says why."""
    with server.connect() as wire:
        if size == 4:
            assert wire.ask(f"/unended?size={size}").text == "some"
            wire.end()
        else:
            with pytest.raises(Truncated):
                wire.ask(f"/unended?size={size}")
    server.wait_for(r"\[ERROR\] GET /unended\S*: the handler returned before it had finished the response, which is cut off")
    assert server.get("/innocent").text == "path /innocent"


# ---- each breach, beside clients that must not notice it ----
OK, ERROR, REFUSED = 0, -1, -5
CUT = "cut off"  # the client sees that the response is not whole
ENDED, GIVEN, NOT_STARTED = ("the response has ended already", "the head of the response has been given already",
                             r"start\(\) has not been called")


def not_now(call, why):
    return rf"{call}\(\) is refused and does nothing: {why}"


# What the client gets (text, status or CUT), and the line in the log.
BREACHES = {
    "respond_twice": ("first", not_now("respond", ENDED)),
    "start_twice": (STATE, not_now("start", GIVEN)),
    "start_after_respond": ("first", not_now("start", ENDED)),
    "respond_after_start": (STATE, not_now("respond", GIVEN)),
    "write_before_start": (STATE, not_now("write", NOT_STARTED)),
    "write_after_finish": (OK, not_now("write", ENDED)),
    "finish_before_start": (STATE, not_now("finish", NOT_STARTED)),
    "finish_twice": (OK, not_now("finish", ENDED)),
    "fail_after_respond": ("first", not_now("fail", ENDED)),
    "inform_after_start": (STATE, not_now("inform", GIVEN)),
    "trailers_before_start": (STATE, not_now("trailers", NOT_STARTED)),
    "trailers_after_finish": (OK, not_now("trailers", ENDED)),
    "send_file_before_start": (STATE, not_now("send_file", NOT_STARTED)),
    "write_too_much": (STATE, not_now("write", "4 bytes are more than the 2 that the declared length leaves")),
    "finish_short": (CUT, "the response is 96 bytes short of its declared length"),
    "no_finish": (CUT, "the handler returned before it had finished the response, which is cut off"),
    "no_answer": (500, "the handler returned without an answer"),
    "odd_code": (500, "the handler returned 7, which is not a code of narwhal/plugin.h"),
    "never_ended": (504, r"was deferred, and not answered, by \S*breaches\.so after"),
    "over_its_time": (504, r"is still in \S*breaches\.so after"),
    "new_line_in_value": (REFUSED, "refused in an answer: .*'X-A'"),
    "nul_in_value": (REFUSED, "refused in an answer: .*'X-A'"),
    "space_in_name": (REFUSED, "refused in an answer: .*'X A'"),
    "no_name": (REFUSED, "refused in an answer: "),
    "odd_status": (REFUSED, "refused in an answer: "),
    "new_line_in_reason": (REFUSED, "refused in an answer: "),
    "final_status_as_interim": (REFUSED, "refused in an answer: "),
    "no_struct_size": (REFUSED, r"respond\(\) with a narwhal_response whose struct_size is 0"),
    "unknown_flags": (REFUSED, r"write\(\) with flags 0x80"),
    "too_much_memory": (OK, None),
    "send_a_folder": (ERROR, "send_file: not a regular file"),
    "send_no_descriptor": (ERROR, "send_file: "),
    "send_beyond_the_file": (ERROR, r"send_file: \d+ bytes from 10 on"),
    "no_exchange": (STATE, r"a plugin has called write\(\) without an exchange"),
    "used_by_a_thread_of_its_own": ("first", r"has called \w+\(\) for a request that has ended"),
}


def outcome_of(server, name):
    with server.connect(timeout=20) as wire:
        try:
            response = wire.ask(f"/{name}")
        except Truncated:
            return CUT
    return response.text if response.status == 200 else response.status


def test_no_breach_changes_delays_or_stops_another_request(serve):
    """35 breaches in one worker, with 8 clients beside them."""
    server = serve(test_plugin("breaches"), "-w", "1", "--threads", "4", "--timeout", "1")
    assert server.get("/names").text.split() == ["/" + name for name in BREACHES]
    worker, = server.wait_workers(1)
    with Load(server.address, clients=8, target="/innocent", timeout=20,
              accept=lambda response: (response.status, response.text) == (200, "innocent")) as load:
        for name, (wanted, line) in BREACHES.items():
            assert outcome_of(server, name) == (wanted if isinstance(wanted, str) or wanted > 99 else str(wanted)), name
            if line is not None:
                server.wait_for(r"\[(ERROR|CRITICAL)\].*" + line)
            if name == "over_its_time":
                server.wait_workers(1, without=[worker])  # the old one would end before a breach that takes a while
        load.wait_for_more(100)
    load.assert_clean()


# ---- what a plugin has not finished when its worker leaves ----
@pytest.mark.parametrize("client", ["waits", "has left"])
def test_a_deferral_that_was_never_ended_is_named_when_the_worker_leaves(serve, client):
    server = serve(test_plugin("breaches"), "-w", "1", "--timeout", "0", "--graceful-timeout", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/never_ended"))
        server.get("/innocent")
        if client == "has left":
            wire.close()
            server.get("/innocent")
        assert server.stop(signal.SIGTERM) == 0
    assert re.search(r"\[WARNING\] GET /never_ended: \S*breaches\.so has deferred it, and not ended it after", server.log())


def test_a_handler_that_has_not_returned_is_named_when_the_worker_leaves(serve):
    server = serve(test_plugin("breaches"), "-w", "1", "--threads", "2", "--timeout", "0", "--graceful-timeout", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/over_its_time"))
        server.get("/innocent")
        assert server.stop(signal.SIGTERM) == 0
    assert re.search(r"\[WARNING\] GET /over_its_time: its handler in \S*breaches\.so has not returned after", server.log())
