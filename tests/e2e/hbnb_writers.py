"""Clients of examples/hbnb that write and read without a pause while its workers are killed, and what must hold afterwards."""
import json
import os
import signal
import sqlite3
import threading

import wire
from hbnb_talk import JSON

FIRST = {"amenities": 8, "cities": 11, "places": 12, "reviews": 14, "states": 5, "users": 5}


class Writer:
    """Adds states until stop(). What was answered 201 is in `answered`; `sent` also has what got no answer. `passed`: the
    statuses by which a proxy says that the server gave none."""

    def __init__(self, address, number, passed=()):
        self.address, self.number, self.passed = address, number, passed
        self.sent, self.answered, self.refused, self.reads = set(), set(), [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client = None
        while not self.over.is_set():
            try:
                client = client or wire.Wire(self.address)
                self.write(client)
                self.read(client)
            except (OSError, wire.WireError):
                if client is not None:
                    client.close()
                client = None
        if client is not None:
            client.close()

    def write(self, client):
        name = f"state {self.number}-{len(self.sent)}"
        self.sent.add(name)
        answer = client.ask("/api/v1/states", method="POST", headers=JSON, body=json.dumps({"name": name}).encode())
        if answer.status == 201:
            self.answered.add(name)
        elif answer.status not in self.passed:
            self.refused.append(answer)

    def read(self, client):
        answer = client.ask("/api/v1/stats")
        if answer.status == 200:
            self.reads += 1
        elif answer.status not in self.passed:
            self.refused.append(answer)

    def stop(self):
        self.over.set()
        self.thread.join()


def kill_a_worker(server, count):
    victim = server.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    server.wait_workers(count, without=[victim])


def assert_nothing_is_lost(writers, server, database):
    """Every answered write is there once, nothing that was not sent is, and all counts agree. Ends the server."""
    assert [answer for writer in writers for answer in writer.refused] == []
    answered = set().union(*(writer.answered for writer in writers))
    sent = set().union(*(writer.sent for writer in writers))
    kept = [state["name"] for state in json.loads(server.get("/api/v1/states").body)][FIRST["states"]:]
    assert answered <= set(kept) <= sent and len(kept) == len(set(kept))
    assert json.loads(server.get("/api/v1/stats").body) == {**FIRST, "states": FIRST["states"] + len(kept)}
    server.stop()
    with sqlite3.connect(database) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("SELECT count(*) FROM states").fetchone() == (FIRST["states"] + len(kept),)
    return len(answered)
