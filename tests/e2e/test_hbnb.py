"""examples/hbnb on the real server: its first start by many workers, writes while workers die, a reload, its page in a
browser, and its twin in Flask, which must answer the same."""
import importlib.util
import json
import sqlite3

import pytest

import hbnb_talk
from browser import CHROMIUM, Browser
from clock import eventually
from hbnb_writers import FIRST, Writer, assert_nothing_is_lost, kill_a_worker
from load import in_parallel
from server import ROOT, WSGI, example

pytestmark = pytest.mark.skipif(not example("hbnb").exists(), reason="this build has no hbnb: it needs libsqlite3-dev")
needs_twin = pytest.mark.skipif(not WSGI.exists() or importlib.util.find_spec("flask") is None,
                                reason="needs the WSGI plugin and python3-flask")


@pytest.fixture
def database(tmp_path):
    return tmp_path / "hbnb.db"


def flags(database, workers=2):
    return (example("hbnb"), "-w", workers, "--threads", 4, "--option", f"database={database}")


@pytest.fixture
def hbnb(serve, database):
    return serve(*flags(database))


def api(server, path, method="GET", body=None):
    answer = server.get("/api/v1" + path, method=method, headers=list(hbnb_talk.JSON.items()) if body is not None else [],
                        body=b"" if body is None else json.dumps(body).encode())
    assert answer.status in (200, 201), answer
    return json.loads(answer.body)


def test_many_workers_of_two_servers_start_on_a_new_file_at_once(serve, database):
    servers = [serve(*flags(database, workers=6), wait=False) for _ in range(2)]
    for server in servers:
        server._wait_ready(30)
        assert len(server.wait_workers(6)) == 6
    for server in servers:
        assert api(server, "/stats") == FIRST
        assert "ERROR" not in server.log()


def test_no_answered_write_is_lost_when_workers_are_killed(hbnb, database):
    writers = [Writer(hbnb.address, number) for number in range(4)]
    try:
        for _ in range(4):
            before = sum(len(writer.answered) for writer in writers)
            eventually("more writes", lambda: sum(len(writer.answered) for writer in writers) >= before + 20)
            kill_a_worker(hbnb, 2)
    finally:
        for writer in writers:
            writer.stop()
    assert assert_nothing_is_lost(writers, hbnb, database) >= 80


def test_changes_of_different_members_at_the_same_time_both_remain(hbnb):
    place = api(hbnb, "/places_search", "POST", {})[0]["id"]
    members = ["number_rooms", "number_bathrooms", "max_guest", "price_by_night"]
    for value in (101, 102, 103):
        in_parallel(4, lambda number: api(hbnb, f"/places/{place}", "PUT", {members[number]: value}))
        now = api(hbnb, f"/places/{place}")
        assert [now[member] for member in members] == [value] * 4


def test_a_reload_under_load_loses_no_request(hbnb):
    with hbnb.load(clients=4, target="/api/v1/places_search", method="POST", headers=[("Content-Type", "application/json")],
                   body=b"{}") as load:
        load.wait_for_more(50)
        hbnb.reload()
        load.wait_for_more(50)
    load.assert_clean(100)


def test_a_busy_database_is_answered_503_and_later_served(hbnb, database):
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = hbnb.get("/api/v1/states", method="POST", headers=list(hbnb_talk.JSON.items()), body=b'{"name": "late"}')
        assert answer.status == 503 and answer.header("Retry-After") == "1"
        assert json.loads(answer.body) == {"error": "The database does not answer"}
        assert api(hbnb, "/stats") == FIRST, "reads go on"
        other.execute("ROLLBACK")
    assert "database is locked" in hbnb.log()
    assert api(hbnb, "/states", "POST", {"name": "late"})["name"] == "late"


@needs_twin
def test_the_twin_in_flask_answers_the_same(serve, hbnb, tmp_path):
    twin = serve("app:app", "--chdir", ROOT / "examples/hbnb-flask", "-w", 2, "--threads", 4,
                 env={"HBNB_DATABASE": str(tmp_path / "twin.db"), "PYTHONDONTWRITEBYTECODE": "1"})
    talks = []
    for server in (hbnb, twin):
        with server.connect() as wire:
            talks.append(hbnb_talk.whole(hbnb_talk.Talk(wire)))
    for ours, theirs in zip(*talks):
        assert ours == theirs
    assert len(talks[0]) == len(talks[1]) > 90


@needs_twin
def test_the_twin_in_flask_may_share_the_database_and_checks_the_passwords(serve, hbnb, database):
    from werkzeug.security import check_password_hash
    user = api(hbnb, "/users", "POST", {"email": "ann@example.org", "password": "open sesame"})
    twin = serve("app:app", "--chdir", ROOT / "examples/hbnb-flask", "-w", 2,
                 env={"HBNB_DATABASE": str(database), "PYTHONDONTWRITEBYTECODE": "1"})
    assert api(twin, f"/users/{user['id']}") == user
    api(twin, "/states", "POST", {"name": "Utah"})
    assert api(hbnb, "/stats") == api(twin, "/stats") == {**FIRST, "users": 6, "states": 6}
    with sqlite3.connect(database) as file:
        (kept,) = file.execute("SELECT password FROM users WHERE id = ?", [user["id"]]).fetchone()
    assert check_password_hash(kept, "open sesame") and not check_password_hash(kept, "open")


# ---- in a browser ----
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def open_page(server, browser, cards=12):
    browser.open("http://%s:%d/hbnb" % server.address)
    wait_for_cards(browser, cards)


def wait_for_cards(browser, count):
    eventually(f"{count} cards", lambda: browser.value("document.querySelectorAll('#cards .card').length") == count
               and browser.value("document.getElementById('results').getAttribute('aria-busy')") == "false")


def click(browser, selector):
    browser.value(f"document.querySelector({json.dumps(selector)}).click()")


@needs_browser
def test_a_person_searches_reads_reviews_and_sees_when_the_server_is_gone(hbnb, tmp_path):
    city = api(hbnb, "/places_search", "POST", {})[0]["city_id"]
    user = api(hbnb, "/users")[0]["id"]
    api(hbnb, f"/cities/{city}/places", "POST", {"name": "<b>Barn</b>", "user_id": user, "price_by_night": 7})
    with Browser(tmp_path) as browser:
        open_page(hbnb, browser, 13)
        assert browser.text("count") == "13 places" and browser.text("status") == "open"
        click(browser, "input[data-name=Arizona]")
        wait_for_cards(browser, 3)
        assert browser.text("where") == "Arizona" and "<b>Barn</b>" in browser.text("cards"), "as text, not as markup"
        click(browser, "input[data-name=Pool]")
        wait_for_cards(browser, 1)
        assert "Adobe house with a courtyard" in browser.text("cards") and "Luz Herrera" in browser.text("cards")
        click(browser, "#cards summary")
        eventually("the review", lambda: "Tom Lindqvist\nThe pool alone is worth the way." in browser.text("cards"))
        click(browser, "input[data-name=Fireplace]")
        wait_for_cards(browser, 0)
        assert "Nothing matches" in browser.text("note")
        click(browser, "button[type=reset]")
        wait_for_cards(browser, 13)
        browser.value("document.getElementById('sort').value = 'price'")
        browser.value("document.getElementById('sort').dispatchEvent(new Event('change'))")
        assert "Barn" in browser.value("document.querySelector('#cards h2').textContent")
        prefix = "http://%s:%d/" % hbnb.address
        assert all(url.startswith((prefix, "data:")) for url in browser.requests) and not browser.errors
        hbnb.stop()
        click(browser, "button[type=submit]")
        eventually("no answer", lambda: browser.text("status") == "no answer" and "could not be loaded" in browser.text("note"))


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 800])
def test_it_fits_on_a_phone(hbnb, tmp_path, width):
    with Browser(tmp_path, width, 700, phone=True) as browser:
        open_page(hbnb, browser)
        assert browser.value("document.documentElement.scrollWidth") <= width
        browser.open("http://%s:%d/airbnb-onepage/" % hbnb.address)
        eventually("the page", lambda: browser.value("document.querySelectorAll('.card').length") == 12)
        assert browser.value("document.documentElement.scrollWidth") <= width and not browser.errors
