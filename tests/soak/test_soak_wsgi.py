"""Python applications for minutes: no error, and memory that stays."""
import textwrap

import pytest

import ledger_clients
import proc
from server import ROOT, SANITIZED


def test_flask_and_sqlalchemy_on_4_threads_serve_8_clients_in_steady_memory(serve, tmp_path, seconds):
    pytest.importorskip("flask", reason="the package python3-flask is not installed")
    pytest.importorskip("sqlalchemy", reason="the package python3-sqlalchemy is not installed")
    server = serve("ledger:app", "--chdir", ROOT / "tests" / "wsgi" / "apps", "-w", "1", "--threads", "4",
                   env={"TRIAL_FOLDER": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"})
    worker, = server.wait_workers(1)
    # What is made once is made by now: every thread's connection, caches of statements and templates, malloc's arenas.
    before_visits, wrong = ledger_clients.run(server.address, max(seconds / 4, 5), seed=1)
    assert not wrong, wrong[:5]
    before = proc.status_field(worker, "RssAnon")
    visits, wrong = ledger_clients.run(server.address, seconds, seed=2)
    after = proc.status_field(worker, "RssAnon")
    print(f"{before_visits} visits of a few requests each, {before} KiB; then {visits} in {seconds:g} s, {after} KiB")
    assert not wrong, wrong[:5]
    assert visits > seconds * 10
    assert server.worker_pids() == [worker]
    assert "Traceback" not in server.log()
    assert SANITIZED or after <= before + 2048


LEAKS = """
import gc, sys
class Parts:
    def __init__(self, parts): self.parts = parts
    def __iter__(self): return iter(self.parts)
    def close(self): pass
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/blocks':
        gc.collect()
        body = str(sys.getallocatedblocks()).encode()
    elif path == '/raises':
        raise ValueError(path)
    elif path == '/late':
        write = start_response('200 OK', [('X-A', 'b')])
        write(b'written ')
        return Parts([b'and ', b'iterated'])
    else:
        body = environ['wsgi.input'].read() or b'x' * 40000
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
"""


def test_100000_requests_leave_neither_objects_nor_memory(serve, tmp_path):
    (tmp_path / "leaks.py").write_text(textwrap.dedent(LEAKS))
    server = serve("leaks:app", "--chdir", tmp_path, "-w", "1")
    worker, = server.wait_workers(1)
    with server.connect(timeout=60) as wire:
        def ask(count):
            for number in range(count):
                wire.ask("/late" if number % 3 else "/raises" if number % 100 == 0 else f"/{number % 7}?a=b",
                         headers=[("Cookie", f"a={number}"), (f"X-Odd-{number % 50}", "c")])
                if number % 10 == 0:
                    wire.ask("/echo", method="POST", body=b"body" * 500)
            return int(wire.ask("/blocks").body)
        blocks = ask(2_000)
        memory = proc.status_field(worker, "RssAnon")
        blocks_after, memory_after = ask(100_000), proc.status_field(worker, "RssAnon")
    print(f"blocks of Python's allocator {blocks}, then {blocks_after}; RssAnon {memory} KiB, then {memory_after} KiB")
    assert blocks_after - blocks < 500  # what its free lists hold at the moment differs by so many
    assert SANITIZED or memory_after - memory < 512
