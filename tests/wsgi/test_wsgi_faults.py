"""Out of memory at any moment of a request, in Python's objects too: the client gets a 500 or sees its answer cut off, the log
says why, lent bytes are released, and the worker continues. tests/e2e/faults.py has the conditions that must hold."""
import errno

import pytest

import faults as fault
from comparison import APPS
from faults import FOR_EVER, Faults, asking, settle, sweep
from wire import chunked, request_bytes

BODY = (b"x" * 99 + b"\n") * 900
ANSWERS = ["small", "parts", "lent_parts", "lent_parts_of_known_length", "lent_body", "written", "file"]


@pytest.fixture
def faulty(serve, tmp_path):
    def start(*args):
        faults = Faults(tmp_path)
        server = serve("--chdir", APPS, "-w", "1", *args, "sizes:app",
                       env={**faults.environment, "PYTHONDONTWRITEBYTECODE": "1"})
        settle(server, "/slow", "/small")
        faults.watch(server.wait_workers(1)[0])
        return server, faults
    return start


def references(server):
    return server.get("/references").body


def sweep_all(server, faults, ask, **arming):
    before = references(server)
    seen = sweep(server, faults, ask, **arming)
    server.get("/small")  # released bytes are freed with the next request
    assert references(server) == before
    return seen


@pytest.mark.parametrize("count", [1, FOR_EVER], ids=["one", "all from one on"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_allocation_that_fails_costs_one_answer_at_most(faulty, name, count):
    server, faults = faulty()
    assert sweep_all(server, faults, asking(server, request_bytes("/" + name)), count=count, most=30, fresh=count == 1)


@pytest.mark.parametrize("name", ["many_lent_parts", "large_lent_body"])
def test_what_is_lent_comes_back_from_a_slow_client_that_is_dropped(faulty, name):
    server, faults = faulty()
    ask = asking(server, request_bytes("/" + name), receive_buffer=4096)
    assert sweep_all(server, faults, ask, most=12)


BODIES = {"whole": {"body": BODY}, "in a file": {"body": BODY * 20},
          "chunked": {"headers": [("Transfer-Encoding", "chunked")], "body": chunked(BODY[:10_000], BODY)}}


@pytest.mark.parametrize("mode", [(), ("--no-request-buffering",)], ids=["buffered", "arriving"])
@pytest.mark.parametrize("target", ["echo", "lines"])
@pytest.mark.parametrize("name", BODIES)
def test_so_it_is_while_a_body_is_read(faulty, name, target, mode):
    server, faults = faulty(*mode)
    ask = asking(server, request_bytes("/" + target, method="POST", **BODIES[name]))
    assert sweep_all(server, faults, ask, most=12)


def test_the_answers_before_and_after_one_that_fails_are_right(faulty):
    server, faults = faulty()
    seen = sweep_all(server, faults, asking(server, request_bytes("/small") * 4, count=4), most=30)
    assert any(sorted(status for status, _ in got) == [200, 200, 200, 500] for got in seen if got != "cut")


@pytest.mark.parametrize("name, kind, error", [
    ("file", fault.DUPLICATE, errno.EMFILE), ("file", fault.SENDFILE, errno.EIO), ("lent_parts", fault.SEND, errno.ENOBUFS)])
def test_a_call_that_fails_costs_one_answer(faulty, name, kind, error):
    server, faults = faulty()
    before = references(server)
    assert "cut" in sweep(server, faults, asking(server, request_bytes("/" + name)), kinds=kind, error=error, most=10)
    assert references(server) == before


def test_with_no_memory_at_all_the_log_says_which_request_and_what(faulty):
    server, faults = faulty()
    mark = server.mark()
    faults.arm(fault.ALLOC, 1, count=FOR_EVER, sizes=(0, 511))
    assert asking(server, request_bytes("/small?with=no+memory"))() in ("cut", [(500, b"Internal Server Error\n")])
    faults.disarm()
    lines = [text for _, _, level, text in server.lines(mark) if level == "ERROR"]
    assert "Error handling request /small?with=no+memory: MemoryError (its traceback cannot be formatted)" in lines
