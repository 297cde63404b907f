"""The corpus, sent to the server directly and through real reverse proxies: the application sees no request that was not
sent as one, and no other client of the same proxy notices anything."""
import contextlib
import json
import re
from collections import Counter

import pytest

import proc
from clock import eventually
from corpus import ENTRIES, UNREAD
from fronts import FRONTS, KINDS, find
from gullible import Gullible
from server import example
from wire import Truncated, Wire, WireError, fetch


class App:
    """The echo server, and which marked requests its application has answered, by the access log."""

    def __init__(self, serve, folder, plugin="echo"):
        self.log_path = folder / "access.log"
        self.server = serve(example(plugin), "-w", "1", "--access-logfile", self.log_path,
                            "--access-logformat", "%(s)s %(r)s", "--header-timeout", "10", "--body-timeout", "10")
        self.port = self.server.port

    def answered(self):
        """[(kind, number)] in order. Only the application says 200 or 204; what is refused has another status."""
        marks = []
        for line in self.log_path.read_text("latin-1").splitlines():
            if line.startswith(("200 ", "204 ")):
                found = KINDS.findall(line)
                assert len(found) == 1, f"the application saw a request that no client sent: {line}"
                marks += found
        return marks


@pytest.fixture
def app(serve, tmp_path):
    return App(serve, tmp_path)


def send(address, entry, number):
    """Sends an entry and ends; everything that came back."""
    with Wire(address) as client:
        first, *later = entry.numbered(number)
        try:
            client.send(first)
            for piece in later:
                client.quiet_for(0.05)  # a pause is the trick; an answer ends it
                client.send(piece)
            client.shut_down_writing()
            return client.rest()
        except (Truncated, OSError):
            return bytes(client.buffer)


def asked_directly(app, entries):
    """[(entry, kinds of requests that the application saw, the statuses that the client saw)]"""
    answers = [send(app.server.address, entry, number) for number, entry in enumerate(entries)]
    assert app.server.get("/barrier-000000").status == 200
    eventually("the barrier in the log", lambda: ("barrier", "000000") in app.answered())
    seen = [(kind, int(number)) for kind, number in app.answered() if kind != "barrier"]
    for number, entry in enumerate(entries):
        kinds = tuple(kind for kind, of in seen if of == number)
        yield entry, kinds, re.findall(rb"HTTP/1\.[01] (\d\d\d) ", answers[number])


def test_a_server_asked_directly_sees_what_a_strict_one_sees(app):
    problems = []
    for entry, kinds, statuses in asked_directly(app, ENTRIES):
        if kinds != entry.seen:
            problems.append(f"{entry.name} ({entry.source}): seen {kinds}, not {entry.seen}; {statuses}")
        elif not entry.seen and not entry.unfinished and (not statuses or statuses[-1][:1] not in b"45"):
            problems.append(f"{entry.name} ({entry.source}): not refused: {statuses}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("plugin", ["echo", "echo-stream"])
def test_a_body_that_the_application_leaves_unread_is_not_a_request(serve, tmp_path, plugin):
    app, problems = App(serve, tmp_path, plugin), []
    for entry, kinds, statuses in asked_directly(app, UNREAD):
        refused = "bad" in entry.name and not kinds  # the application had not begun
        if not refused and (not kinds or kinds != entry.seen[:len(kinds)]):
            problems.append(f"{entry.name} ({entry.source}): seen {kinds}, not {entry.seen}; {statuses}")
    assert not problems, "\n".join(problems)


# ---- behind a proxy ----
FRONT_KINDS = pytest.mark.parametrize("kind", FRONTS, ids=lambda kind: kind.program)


@contextlib.contextmanager
def front_of(kind, app, folder, lenient=False):
    if not find(kind.program):
        pytest.skip(f"{kind.program} is not installed (Debian: {kind.package})")
    folder = folder / "front"
    folder.mkdir()
    front = kind(folder, app.port, lenient)
    try:
        yield front.start()
    finally:
        front.stop()


def innocent(address, number):
    """What an honest client of the proxy receives that is not its own answer; None if there is nothing."""
    own = f"{number:06}"
    try:
        response = fetch(address, f"/innocent-{own}", headers=[("X-Innocent", own)])
        if response.status != 200:
            return f"was answered {response.status}"
        answer = json.loads(response.body)
    except (WireError, OSError, ValueError) as error:
        return f"met {type(error).__name__}: {error}"
    headers = [value for name, value in answer["headers"] if name.lower() == "x-innocent"]
    right = (answer["method"], answer["uri"], answer["body_len"], headers) == ("GET", f"/innocent-{own}", 0, [own])
    return None if right else f"got the answer of another client: {answer}"


def problems_behind(front, app, entries, patience=5):
    """Sends every entry through the proxy, honest clients after each; returns messages about what went wrong."""
    address, problems = ("127.0.0.1", front.port), []
    for number, entry in enumerate(entries):
        answer = send(address, entry, number)
        if others := {mark for mark in re.findall(rb"-(\d{6})", answer) if int(mark) != number}:
            problems.append(f"{entry.name} ({entry.source}): its client received answers to the requests {others}")
        for _ in range(2):  # the first may receive what is left in the server's connection, the second the rest
            if problem := innocent(address, number):
                problems.append(f"{entry.name} ({entry.source}): the next client {problem}")

    def differences():
        seen = Counter(f"/{kind}-{number}" for kind, number in app.answered())
        return (seen - front.forwarded(), "the front never sent what the application saw"), \
               (front.forwarded(200) - seen, "the application never saw what the front had answered")
    try:  # the lines come a moment after the answers
        eventually("the logs agree", lambda: not any(marks for marks, _ in differences()), patience)
    except AssertionError:
        problems += [f"{entries[int(mark[-6:])].name}: {text}: {mark}" for marks, text in differences() for mark in marks]
    return problems


@FRONT_KINDS
@pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])
def test_behind_a_proxy_nothing_is_seen_that_the_proxy_did_not_send(app, tmp_path, kind, lenient):
    with front_of(kind, app, tmp_path, lenient) as front:
        problems = problems_behind(front, app, ENTRIES)
    assert not problems, "\n".join(problems)


@FRONT_KINDS
@pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])
def test_behind_a_proxy_a_body_that_is_left_unread_is_not_a_request(serve, tmp_path, kind, lenient):
    app = App(serve, tmp_path, "echo-stream")
    with front_of(kind, app, tmp_path, lenient) as front:
        problems = problems_behind(front, app, UNREAD)
    assert not problems, "\n".join(problems)


@FRONT_KINDS
def test_the_proxies_of_the_trial_keep_their_connections(app, tmp_path, kind):
    """Without kept connections the trial would find nothing."""
    worker, = app.server.wait_workers(1)
    with front_of(kind, app, tmp_path) as front:
        kept = []
        for number in range(10):
            assert not innocent(("127.0.0.1", front.port), number)
            kept.append(proc.socket_inodes(worker))
        assert kept[-1] == kept[1]


@FRONT_KINDS
def test_the_trial_finds_a_server_that_can_be_fooled(tmp_path, kind):
    app = Gullible()
    try:
        with front_of(kind, app, tmp_path) as front:
            problems = problems_behind(front, app, [entry for entry in ENTRIES if entry.name == "CL.0, GET"], 0.5)
    finally:
        app.stop()
    assert any("the front never sent what the application saw: /smuggled-000000" in problem for problem in problems), problems
