"""The example guestbook: one SQLite database, several workers and threads, and a database that can take no more."""
import json

import pytest

from load import in_parallel
from server import example

JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.skipif(not example("guestbook").exists(), reason="built without SQLite")


def guestbook(serve, folder, *args):
    return serve(example("guestbook"), "--option", f"file={folder / 'entries.db'}", *args)


def add(asker, name, text):
    return asker("/entries", method="POST", headers=list(JSON.items()), body=json.dumps({"name": name, "text": text}).encode())


def test_workers_that_start_together_make_one_database(serve, tmp_path):
    server = guestbook(serve, tmp_path, "-w", "6", "--threads", "2", "--option", "busy=20000")
    assert len(server.wait_workers(6)) == 6

    def sign(number):
        return json.loads(add(server.get, f"visitor {number}", "x").body)["id"]
    assert sorted(in_parallel(60, sign)) == list(range(1, 61))
    listed = json.loads(server.get("/entries?limit=100").body)
    assert {entry["name"] for entry in listed} == {f"visitor {number}" for number in range(60)}
    assert [entry["id"] for entry in listed] == list(range(60, 0, -1))


def test_entries_outlast_a_reload_and_a_restart(serve, tmp_path):
    server = guestbook(serve, tmp_path, "-w", "2")
    assert add(server.get, "Ada", "before").status == 201
    server.reload()
    assert add(server.get, "Ada", "between").status == 201
    server.stop()
    again = guestbook(serve, tmp_path, "-w", "2")
    with again.connect() as wire:
        assert [entry["text"] for entry in json.loads(wire.ask("/entries").body)] == ["between", "before"]
        assert wire.ask("/entries/1", method="DELETE").status == 204
        assert wire.ask("/entries/1", method="DELETE").status == 404


def test_the_page_signs_and_shows(serve, tmp_path):
    server = guestbook(serve, tmp_path)
    with server.connect() as wire:
        signed = wire.ask("/", method="POST", headers={"Content-Type": "application/x-www-form-urlencoded"},
                          body=b"name=%3Cb%3E&text=a+%26+b")
        assert (signed.status, signed.header("Location")) == (303, "/")
        page = wire.ask("/")
        assert page.status == 200 and "<dt>&lt;b&gt;, " in page.text and "<dd>a &amp; b\n" in page.text


def test_a_full_database_answers_so_and_the_service_goes_on(serve, tmp_path):
    server = guestbook(serve, tmp_path, "-w", "1", "--option", "pages=20")
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        answers = [add(wire.ask, "Ada", "x" * 9000) for _ in range(20)]
        assert {answer.status for answer in answers} == {201, 507}
        assert answers[-1].text == "the guestbook is full\n"
        assert wire.ask("/entries?limit=1").status == 200
        assert wire.ask("/entries/1", method="DELETE").status == 204
        assert add(wire.ask, "Ada", "x" * 9000).status == 201
    server.wait_for("POST /entries: SQLite: database or disk is full")
    assert server.worker_pids() == [worker]


def test_a_read_only_database_is_shown_and_refuses_entries(serve, tmp_path):
    writer = guestbook(serve, tmp_path, "-w", "1")
    assert add(writer.get, "Ada", "there").status == 201
    reader = serve(example("guestbook"), "-w", "1", "--option", f"file=file:{tmp_path / 'entries.db'}?mode=ro")
    with reader.connect() as wire:
        refused = add(wire.ask, "Bob", "not there")
        assert (refused.status, refused.text) == (503, "the guestbook cannot be changed now\n")
        assert [entry["name"] for entry in json.loads(wire.ask("/entries").body)] == ["Ada"]
    reader.wait_for("POST /entries: SQLite: attempt to write a readonly database")


def test_a_database_that_cannot_be_opened_ends_the_start(serve, tmp_path):
    server = serve(example("guestbook"), "--option", f"file={tmp_path}/none/x.db", "--option", "busy=0", wait=False)
    assert server.wait_exit() != 0
    assert f"option 'file': '{tmp_path}/none/x.db': " in server.log()
