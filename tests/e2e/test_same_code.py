"""A worker that is started after the application's files were changed: what it runs, and what the log says."""
import os
import re
import signal

import pytest

from clock import eventually
from server import WSGI

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs the package python3-dev")

SHOP = "import part, os\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [part.TEXT, b' %d' % os.getpid()]\n"
CHANGED = r"\[WARNING\] Worker \(pid:(\d+)\) runs other code than the first of generation (\d+): (.*) changed since; HUP gives all workers the same"


@pytest.fixture
def shop(serve, tmp_path):
    """Serves a small application; save(text) changes one of its files."""
    def save(text, seconds=1_700_000_000):
        ready = tmp_path / "ready.py"
        ready.write_text(text)
        os.utime(ready, (seconds, seconds))
        os.replace(ready, tmp_path / "part.py")
    def start(*flags):
        (tmp_path / "shop.py").write_text(SHOP)
        save("TEXT = b'old'\n")
        return serve("shop:app", "--chdir", tmp_path, *flags)
    start.save = save
    return start


def texts(server, wanted):
    """The answers of each worker, by its pid, when all the wanted have answered."""
    seen = {}
    def all_seen():
        text, pid = server.get("/").text.split()
        seen[int(pid)] = text
        return wanted <= set(seen)
    eventually("an answer of each worker", all_seen)
    return seen


def replaced(server, pid):
    before = set(server.worker_pids())
    os.kill(pid, signal.SIGKILL)
    eventually("a worker in its place", lambda: len(set(server.worker_pids()) - before) == 1 and len(server.worker_pids()) == len(before))
    return (set(server.worker_pids()) - before).pop()


def test_a_worker_that_is_started_after_an_edit_runs_it_and_says_so_once(shop, tmp_path):
    server = shop("-w", "3")
    same = replaced(server, server.worker_pids()[0])
    texts(server, {same})
    assert not re.search(CHANGED, server.log())
    shop.save("TEXT = b'new'\n", 1_700_000_001)
    other = replaced(server, server.worker_pids()[0])
    found = server.wait_for(CHANGED)
    assert (int(found[1]), found[2], found[3]) == (other, "1", str(tmp_path / "part.py"))
    assert texts(server, set(server.worker_pids()))[other] == "new"
    titles = {pid: open(f"/proc/{pid}/cmdline").read().rstrip("\0") for pid in server.worker_pids()}
    assert [pid for pid, title in titles.items() if title.endswith(" gen 1, changed code")] == [other]
    server.reload()
    assert set(texts(server, set(server.worker_pids())).values()) == {"new"}
    replaced(server, server.worker_pids()[0])
    assert len(re.findall(CHANGED, server.log())) == 1


def test_with_preload_all_workers_run_what_was_imported_once(shop):
    server = shop("-w", "2", "--preload")
    shop.save("TEXT = b'new'\n", 1_700_000_001)
    new = replaced(server, server.worker_pids()[0])
    assert texts(server, {new})[new] == "old" and "changed" not in server.log()


@pytest.mark.parametrize("flags", [(), ("--preload",)])
def test_a_new_template_does_not_forget_what_the_first_workers_run(shop, tmp_path, flags):
    server = shop("-w", "2", *flags)
    template = server.template()
    os.kill(template, signal.SIGKILL)
    server.wait_for("it is forked again")
    eventually("another template", lambda: server.template() not in (None, template))
    shop.save("TEXT = b'new'\n", 1_700_000_001)
    if flags:  # what the second has imported is old, too
        os.kill(server.template(), signal.SIGKILL)
        eventually("a third template", lambda: server.log().count("it is forked again") == 2)
    new = replaced(server, server.worker_pids()[0])
    found = server.wait_for(CHANGED)
    assert (int(found[1]), found[2], found[3]) == (new, "1", str(tmp_path / "part.py"))
    assert texts(server, {new})[new] == "new"


def test_a_file_that_was_only_read_again_has_not_changed(shop, tmp_path):
    server = shop("-w", "2")
    shop.save("TEXT = b'old'\n")  # another file with the same bytes and time, as after a copy of the folder
    new = replaced(server, server.worker_pids()[0])
    assert texts(server, {new})[new] == "old" and "changed" not in server.log()


def test_a_replacement_that_cannot_be_imported_takes_no_worker_away(shop):
    """max_requests: who is to be replaced serves until its successor is ready, however long that takes."""
    server = shop("-w", "2", "--max-requests", "5")
    before = set(server.worker_pids())
    shop.save("TEXT = (\n", 1_700_000_001)
    for _ in range(40):
        assert server.get("/").text.startswith("old ")
    server.wait_for("SyntaxError")
    for _ in range(40):
        assert server.get("/").text.startswith("old ")
    assert before <= set(server.worker_pids())
    shop.save("TEXT = b'new'\n", 1_700_000_002)
    def is_new():
        return server.get("/").text.startswith("new ")
    eventually("the repaired code", is_new, 60)
    eventually("the first workers gone", lambda: not before & set(server.worker_pids()), 60)


def test_a_worker_that_has_died_is_tried_again_until_it_can_be_imported(shop):
    server = shop("-w", "3")
    shop.save("TEXT = (\n", 1_700_000_001)
    victim = server.worker_pids()[0]
    others = set(server.worker_pids()) - {victim}
    os.kill(victim, signal.SIGKILL)
    server.wait_for("SyntaxError")
    for _ in range(20):
        assert server.get("/").text.startswith("old ")
    assert others <= set(server.worker_pids())
    shop.save("TEXT = b'old'\n")
    eventually("three workers", lambda: len(server.worker_pids()) == 3 and
               len(texts(server, set(server.worker_pids()))) >= 3, 60)
