"""What an application answers: status, fields, every kind of body, errors, files, and close()."""
import pytest

from clock import eventually
from comparison import LENGTH_KNOWN, NO_LENGTH
from wire import Wire, request_bytes

BODIES = ["/measured", "/generator", "/late_start", "/written", "/written_measured", "/big?size=1000000",
          "/big?size=1000000&measured", "/big?size=10", "/many_fields", "/latin", "/closing"]
FILES = ["/file?length=4096", "/file?length=0", "/file?size=1048576&length=1048576", "/named_file", "/not_a_file",
         "/memory_file", "/iterated_file", "/closes_file"]
# Without a length from the application; narwhal knows it anyway.
AT_HAND = ["/one", "/several", "/tuple_of_two", "/file", "/file?size=1048576"]
EMPTY = ["/one_empty", "/nothing"]
FAILURES = ["/fails", "/fails_after_start", "/fails_in_first_item", "/returns_none", "/starts_twice", "/not_str",
            "/bad_length"]
# Gunicorn answers bad fields with 400, as if the client had sent them; it sends the head before it looks at an item's type;
# and it writes "None" for a missing status.
FAILURES_HERE = ["/bad_field", "/bad_name", "/returns_str", "/never_starts"]


@pytest.fixture(scope="module")
def bare(both):
    return both("plain:bare")


@pytest.fixture(scope="module")
def checked(both):
    return both("plain:checked")


def noted(pair, name):
    path = pair.folders[name] / "notes"
    return path.read_text().splitlines() if path.exists() else []


# ---- bodies ----

@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("target", BODIES + FILES)
def test_the_body_and_its_framing(bare, target, version):
    bare.same(target, version=version)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("target", AT_HAND + EMPTY)
def test_a_body_at_hand_has_a_length(bare, target, version):
    bare.same(target, version=version, differs=LENGTH_KNOWN)


@pytest.mark.parametrize("target", BODIES)
def test_the_same_through_the_validator(checked, target):
    checked.same(target)


@pytest.mark.parametrize("target, body", [
    ("/file?offset=1000", bytes(range(256)) * 16), ("/file?offset=1000&length=100", bytes(range(256)) * 16),
    ("/file?size=0", b"")], ids=["to its end", "a part", "an empty one"])
def test_a_file_is_sent_from_where_it_stands(bare, target, body):
    """Gunicorn 20 sends it from its first byte, and the end of the chunks twice when the file is empty."""
    with bare.narwhal.connect() as wire:
        wanted = body[1000:1100] if "length" in target else body[1000:]
        for _ in range(2):
            response = wire.ask(target)
            assert response.status == 200 and response.body == wanted


def test_pieces_leave_as_they_are_made(bare):
    """Nothing is collected: the client has the first piece before the second exists."""
    with bare.narwhal.connect() as wire:
        wire.send(request_bytes("/pushes?until=pushed"))
        assert wire.head().status == 200
        assert wire.chunk() == b"first"
        (bare.folders["narwhal"] / "pushed").touch()
        assert wire.chunk() == b"second" and wire.chunk() == b""


@pytest.mark.parametrize("target", [*BODIES, *FILES, *EMPTY])
def test_head(bare, target):
    """Without a body, and with the length where the application gives one."""
    bare.same(target, method="HEAD")


@pytest.mark.parametrize("target", AT_HAND)
def test_head_says_what_get_would_have_got(bare, target):
    length = bare.same(target, method="HEAD", differs=LENGTH_KNOWN).header("Content-Length")
    assert int(length) == len(bare.narwhal.get(target).body)


@pytest.mark.parametrize("target", ["/too_long", "/too_long_at_once"])
def test_more_than_the_length_is_not_sent(bare, target):
    assert bare.same(target).body == b"12345"


def test_less_than_the_length_is_seen_as_cut_off(bare):
    """Both close the connection before the body is there. How much of it arrives before that is not defined."""
    for side in (bare.theirs, bare.ours):
        answer = side.answer(request_bytes("/too_short"), "GET")
        assert answer.cut and answer.framing == [("content-length", "50")]


# ---- status and fields ----

@pytest.mark.parametrize("status", ["200 OK", "200 Fine", "299 Something Of Our Own", "404 NOT FOUND", "418 I'M A TEAPOT",
                                    "499 Gone Fishing", "500 Internal Server Error", "599 Last",
                                    "302 Found  Twice"])
def test_a_status_and_its_reason(bare, status):
    bare.same("/status?" + f"is={status.replace(' ', '%20')}&body=b&fields=Content-Length:1")


def test_a_status_without_a_reason_gets_the_usual_one(bare):
    assert bare.narwhal.get("/status?is=201%20&body=b").reason == "Created"


def test_a_status_without_a_body(bare):
    for status in ("204%20No%20Content", "304%20Not%20Modified"):
        bare.same(f"/status?is={status}&fields=ETag:x")
        bare.same(f"/status?is={status}", method="HEAD")
    bare.same("/status?is=304%20Not%20Modified&fields=Content-Length:500")
    bare.same("/status?is=204%20No%20Content&fields=Content-Length:0", differs=NO_LENGTH)


def test_a_status_of_no_three_digits_is_an_error(bare):
    for status in ("OK", "20%20Short", "abc%20d", "1000%20Long"):
        assert bare.narwhal.get(f"/status?is={status}").status == 500


def test_fields_of_the_connection_are_the_servers(bare):
    bare.same("/hop_by_hop")


def test_a_204_that_has_a_body_sends_none(bare):
    with bare.narwhal.connect() as wire:
        assert wire.ask("/status?is=204%20No%20Content&body=oops").body == b""
        assert wire.ask("/one").body == b"one item, no length"


# ---- errors ----

@pytest.mark.parametrize("target", FAILURES + FAILURES_HERE)
def test_an_error_before_the_head_is_a_500(bare, target):
    """The same status line; the page is each server's own. Nothing of the application's answer was sent."""
    mark = bare.narwhal.mark()
    ours = bare.ours.answer(request_bytes(target), "GET")
    assert ours.line == "500 Internal Server Error" and not ours.cut
    if target in FAILURES:
        assert bare.theirs.answer(request_bytes(target), "GET").line == ours.line
    assert b"X-Forged" not in ours.body and not ours.response.all("X-Forged")
    bare.narwhal.wait_for(rf"\[ERROR\] .*{target}", after=mark)
    assert bare.narwhal.get("/one").status == 200


def test_an_error_is_logged_with_its_traceback(bare):
    mark = bare.narwhal.mark()
    assert bare.narwhal.get("/fails?secret=1").status == 500
    bare.narwhal.wait_for(r"\[ERROR\] Error handling request /fails\?secret=1\nTraceback \(most recent call last\):\n"
                          r'(  .*\n)*  File ".*plain.py", line \d+, in fails\n(  .*\n)*ValueError: before anything$',
                          after=mark)


@pytest.mark.parametrize("target", ["/fails_in_second_item", "/recovers_too_late"])
def test_an_error_after_the_head_cuts_the_answer_off(bare, target):
    answer = bare.same(target)
    assert answer.status == 200 and answer.body == b"sent"


def test_exc_info_replaces_a_head_that_was_not_sent(bare):
    """Gunicorn 20 takes the new status and keeps the old fields beside the new."""
    response = bare.narwhal.get("/recovers")
    assert (response.status, response.reason, response.body) == (503, "Second Thoughts", b"recovered")
    assert not response.all("X-First") and response.header("X-Second") == "1"


def test_exc_info_after_the_head_raises_again(bare):
    bare.same("/recovers_too_late")
    for name in ("gunicorn", "narwhal"):
        eventually(f"the note of {name}", lambda: "raised again: after the head" in noted(bare, name))


def test_system_exit_in_a_handler_does_not_end_the_server(bare):
    """Gunicorn's worker ends without an answer to its client. Here the client gets its answer, and the next one too."""
    response = bare.narwhal.get("/exits?now")
    assert response.status == 500
    assert bare.narwhal.get("/one").status == 200


# ---- close() ----

@pytest.mark.parametrize("target, method, note", [
    ("/closing", "GET", "close of a whole answer"), ("/closing_on_error", "GET", "close of a broken answer"),
    ("/closing_on_head", "HEAD", "close of an answer to HEAD"), ("/not_a_file", "GET", "close of an object that is not a file"),
    ("/not_a_file", "HEAD", "close of an object that is not a file"), ("/closes_file", "GET", "close of a file"),
    ("/closes_file", "HEAD", "close of a file")])
def test_close_is_called_once(bare, target, method, note):
    before = {name: noted(bare, name).count(note) for name in bare.folders}
    bare.same(target, method=method, differs=LENGTH_KNOWN if target in AT_HAND else None)
    for name, count in before.items():
        eventually(f"{note!r} in the notes of {name}", lambda: noted(bare, name).count(note) > count)
    assert bare.same("/measured").status == 200
    for name, count in before.items():
        assert noted(bare, name).count(note) == count + 1, name


def test_close_is_called_when_the_client_is_gone(bare):
    before = noted(bare, "narwhal").count("close of an endless answer")
    with Wire(bare.narwhal.address) as wire:
        wire.send(request_bytes("/endless"))
        assert wire.head().status == 200
        wire.reset()
    eventually("close() of the answer that is not read",
               lambda: noted(bare, "narwhal").count("close of an endless answer") == before + 1, 20)
    assert bare.narwhal.get("/one").status == 200


def test_answers_come_in_the_order_of_the_requests(bare):
    """Eight requests in one segment: Gunicorn reads only the first."""
    targets = ["/one", "/generator", "/measured", "/fails", "/file", "/several", "/nothing", "/latin"]
    with bare.narwhal.connect() as wire:
        wire.send(b"".join(request_bytes(target) for target in targets))
        for target in targets:
            response = wire.response()
            assert response.status == (500 if target == "/fails" else 200), target
            if response.closes:
                break
        else:
            return
    assert target == "/fails", "only an error may end the connection"
