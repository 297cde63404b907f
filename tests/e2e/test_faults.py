"""No memory, or a system call that fails, at any moment of a request: tests/e2e/faults.py says what must hold."""
import errno
import re

import pytest

import faults as fault
import proc
from clock import eventually
from faults import FOR_EVER, Faults, asking, settle, sweep
from server import BUILD, example, test_plugin
from wire import chunked, request_bytes

BODY = b"0123456789" * 20_000
SMALL_BUFFER = {"receive_buffer": 4096}
REQUESTS = {
    "small": request_bytes("/?size=100"),
    "large": request_bytes("/?size=100000"),
    "written": request_bytes("/?size=100000&write=1"),
    "chunked": request_bytes("/?size=100000&chunked=1"),
    "small chunks and trailer": request_bytes("/?size=1000&trailer=X:y&hint=Link:x", headers=[("TE", "trailers")]),
    "body in memory": request_bytes("/?size=10", method="POST", body=BODY[:60_000]),
    "body in a file": request_bytes("/?size=10", method="POST", body=BODY * 10),
    "chunked body": request_bytes("/?size=10", method="POST", headers=[("Transfer-Encoding", "chunked")],
                                  body=chunked(BODY[:10_000], BODY[:20_000])),
}


@pytest.fixture
def faulty(serve, tmp_path):
    """Starts a server with one worker whose calls can be made to fail: (server, faults)."""
    def start(*args, slow="/?size=10&sleep=0.01"):
        faults = Faults(tmp_path)
        server = serve(*args, "-w", "1", env=faults.environment)
        settle(server, slow, "/?size=10")
        faults.watch(server.wait_workers(1)[0])
        return server, faults
    return start


@pytest.mark.parametrize("count", [1, FOR_EVER], ids=["one", "all from one on"])
@pytest.mark.parametrize("name", REQUESTS)
def test_an_allocation_that_fails_costs_one_answer_at_most(faulty, name, count):
    server, faults = faulty(example("echo"))
    assert sweep(server, faults, asking(server, REQUESTS[name]), count=count, fresh=count == 1)


@pytest.mark.parametrize("query", ["write=1", "chunked=1"])
def test_an_allocation_that_fails_costs_one_answer_when_another_thread_has_the_loop(faulty, query):
    server, faults = faulty(example("echo"))
    ask = asking(server, request_bytes(f"/?size=100000&{query}&sleep=0.005"))
    sweep(server, faults, ask)


@pytest.mark.parametrize("query", ["size=8000000", "size=8000000&write=1"])
def test_an_allocation_that_fails_costs_one_answer_when_the_client_is_slow(faulty, query):
    server, faults = faulty(example("echo"))
    assert sweep(server, faults, asking(server, request_bytes(f"/?{query}"), **SMALL_BUFFER), most=15)


def test_an_allocation_that_fails_costs_one_answer_when_a_body_is_read_while_it_arrives(faulty):
    server, faults = faulty(BUILD / "examples" / "echo-stream.so")
    assert sweep(server, faults, asking(server, REQUESTS["body in a file"]))


def test_the_answers_before_and_after_one_that_fails_are_right(faulty):
    server, faults = faulty(example("echo"))
    pipeline = b"".join(request_bytes(f"/?size={size}") for size in (10, 100_000, 20, 30_000))
    seen = sweep(server, faults, asking(server, pipeline, count=4), sizes=(1000, 1 << 62))
    assert any(got != "cut" for got in seen), "an answer is replaced, and others go on"


@pytest.mark.parametrize("target, count", [
    ("/", 1), ("/", FOR_EVER), ("/once", 1), ("/once", FOR_EVER), ("/?wait=5", 1), ("/?wait=5", FOR_EVER),
    ("/once?wait=5", 1), ("/?later=1", 1), ("/?later=1", FOR_EVER), ("/once?later=1", 1)])
def test_what_a_careless_plugin_could_not_write_looks_missing(faulty, target, count):
    """It continues and ends its answer as if nothing had happened. Memory that it has lent is returned."""
    server, faults = faulty(test_plugin("careless"), slow="/?wait=10")
    seen = sweep(server, faults, asking(server, request_bytes(target)), count=count, fresh=True)
    assert seen and set(map(str, seen)) <= {"cut", "[(500, b'Internal Server Error\\n')]"}
    eventually("all that was lent is back", lambda: server.get("/held").body == b"0")


def test_a_failed_allocation_leaks_nothing(faulty):
    server, faults = faulty(example("echo"))
    ask = asking(server, REQUESTS["chunked"])
    numbers = range(1, 15)

    def once():
        for number in numbers:
            faults.arm(fault.ALLOC, number)
            ask()
            faults.disarm()
            ask()
        return faults.live
    once()
    before, descriptors = once(), len(proc.descriptors(faults.pid))
    assert once() - before < len(numbers) // 2
    eventually("no descriptor more", lambda: len(proc.descriptors(faults.pid)) <= descriptors)


ON_THE_SOCKET = [(fault.SEND, errno.ENOBUFS), (fault.SEND, errno.ENOMEM), (fault.READ, errno.ENOMEM)]
ON_A_FILE = [(fault.OPEN, errno.EMFILE), (fault.WRITE, errno.ENOSPC), (fault.WRITE, errno.EIO), (fault.PREAD, errno.EIO)]


@pytest.mark.parametrize("name, kind, error", [("written", *call) for call in ON_THE_SOCKET] +
                         [("body in a file", *call) for call in ON_THE_SOCKET + ON_A_FILE])
def test_a_call_that_fails_costs_one_answer_at_most(faulty, name, kind, error):
    server, faults = faulty(example("echo"))
    sweep(server, faults, asking(server, REQUESTS[name]), kinds=kind, error=error, most=20)


def test_accept_without_memory_is_tried_again_and_does_not_spin(faulty):
    server, faults = faulty(example("echo"))
    ask = asking(server, REQUESTS["small"])
    good = ask()
    faults.arm(fault.ACCEPT, 1, count=5, error=errno.ENOMEM)
    assert ask() == good, "the connection has waited"
    assert faults.disarm() == 5
    assert len(re.findall(r"accept: Cannot allocate memory: tried again in 100 ms", server.log())) == 5


def test_with_no_memory_the_log_still_has_its_line(faulty):
    server, faults = faulty(example("echo"))
    ask = asking(server, REQUESTS["written"])
    ask()
    faults.arm(fault.ALLOC, 1, count=FOR_EVER)
    assert ask() in ("cut", [(500, b"Internal Server Error\n")])
    faults.disarm()
    assert any(level == "ERROR" for _, _, level, _ in server.lines())
