"""The example login: sessions that no worker keeps, over real sockets."""
import contextlib
import os
import re
import signal
from urllib.parse import urlencode

import pytest

from clock import eventually
from server import example, run

SECRET, NEXT_SECRET = "a" * 32, "b" * 32
FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def settings(**options):
    lines = {"secret": SECRET, "password": "shells", **options}
    return "".join([f"app: {example('login')}\nworkers: 2\nthreads: 1\noptions:\n",
                    *(f"  {key}: {value}\n" for key, value in lines.items())])


class Browser:
    """Keeps cookies, and the token of the last form. Every request is a new connection."""

    def __init__(self, server, **headers):
        self.server, self.cookies, self.token, self.headers = server, {}, "", headers

    def ask(self, target, fields=None):
        headers = [*self.headers.items(), ("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))]
        form = {} if fields is None else {"method": "POST", "body": urlencode({**fields, "token": self.token}).encode()}
        answer = self.server.get(target, headers=headers + (FORM if form else []), **form)
        for cookie in answer.all("Set-Cookie"):
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
            if "; Max-Age=0" in cookie:
                del self.cookies[name]
        if token := re.search(r'name="token" value="(\w+)"', answer.text):
            self.token = token[1]
        return answer

    def log_in(self, password="shells"):
        self.ask("/login")
        return self.ask("/login", {"user": "ada", "password": password})

    def is_known(self):
        answer = self.ask("/")
        assert answer.status in (200, 303), answer
        return answer.status == 200 and "Hello, ada" in answer.text


@pytest.fixture
def login(serve):
    return serve(config=settings())


def test_a_session_begins_and_ends(login):
    browser = Browser(login)
    assert not browser.is_known()
    answer = browser.log_in()
    assert answer.status == 303 and answer.header("Location") == "/"
    assert set(browser.cookies) == {"session"}
    assert browser.is_known()
    assert browser.ask("/").header("Cache-Control") == "no-store"
    assert browser.ask("/logout", {}).status == 303
    assert not browser.is_known() and browser.cookies == {}


def test_a_wrong_password_and_a_form_of_another_site_are_refused(login):
    browser, other = Browser(login), Browser(login)
    assert browser.log_in("sells").status == 403
    login.wait_for("POST /login: a login of 127.0.0.1 was refused")
    assert "sells" not in login.log()
    browser.log_in()
    other.ask("/login")
    browser.token = other.token
    assert browser.ask("/logout", {}).status == 403
    assert browser.is_known()


def test_every_worker_knows_a_session(serve):
    server = serve("--access-logfile", "-", "--access-logformat", "%(p)s %(s)s", config=settings())
    server.wait_workers(2)
    browser = Browser(server)
    browser.log_in()
    with contextlib.ExitStack() as open_ones:  # so many at once that the workers share them
        for _ in range(12):
            wire = open_ones.enter_context(server.connect())
            assert wire.ask("/", headers={"Cookie": f"session={browser.cookies['session']}"}).status == 200
    served = {line.split()[0] for line in server.stdout().splitlines() if line.endswith(" 200")}
    assert len(served) == 2, server.stdout()


def test_a_session_outlives_a_crash_a_reload_and_a_restart(login, serve):
    browser = Browser(login)
    browser.log_in()
    for pid in login.wait_workers(2):
        os.kill(pid, signal.SIGKILL)
    login.wait_workers(2)
    assert browser.is_known()
    login.reload()
    assert browser.is_known()
    assert login.stop() == 0
    browser.server = serve(config=settings())
    assert browser.is_known()


def test_a_new_secret_keeps_sessions_while_the_old_one_is_named(login):
    browser, late = Browser(login), Browser(login)
    browser.log_in()
    late.ask("/login")
    login.config_path.write_text(settings(secret=NEXT_SECRET, old_secret=SECRET))
    login.reload()
    assert browser.is_known()
    assert late.ask("/login", {"user": "ada", "password": "shells"}).status == 303
    login.config_path.write_text(settings(secret=NEXT_SECRET))
    login.reload()
    assert late.is_known() and not browser.is_known()


def test_a_session_ends_by_the_server_s_clock(serve):
    server = serve(config=settings(lifetime=1))
    browser = Browser(server)
    assert any("; Max-Age=1;" in cookie for cookie in browser.log_in().all("Set-Cookie"))
    cookie = dict(browser.cookies)

    def is_over():
        browser.cookies = dict(cookie)
        return not browser.is_known()
    eventually("the session ends", is_over)


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(login):
    browser = Browser(login, **{"X-Forwarded-Proto": "https"})
    browser.log_in()
    assert set(browser.cookies) == {"__Host-session"}
    assert browser.is_known()
    browser.headers = {}
    assert not browser.is_known()


def test_without_a_good_secret_it_does_not_start(tmp_path):
    for text, reason in ((settings(secret="short"), "at least 32 bytes"),
                         (settings().replace(f"  secret: {SECRET}\n", ""), "secret")):
        (tmp_path / "narwhal.yaml").write_text(text)
        checked = run("-c", tmp_path / "narwhal.yaml", "--check-config")
        assert checked.returncode != 0 and reason in checked.stderr, checked
