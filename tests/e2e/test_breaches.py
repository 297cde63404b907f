"""What a plugin does against its contract reaches no other request, is answered with a code, and is in the log."""
import pytest

from load import in_parallel
from server import test_plugin
from wire import Truncated

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
