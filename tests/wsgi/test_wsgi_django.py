"""A Django site: the admin site with its forms, static files, uploads, streams; a database for each server."""
import os
import random
import re
import shutil
import subprocess
import sys

import pytest

from comparison import APPS, multipart
from wire import chunked

pytest.importorskip("django", reason="the package python3-django is not installed")

NOISE = random.Random(4).randbytes(1 << 20)
# A visitor has random tokens from each server, which pages and their tags show, and cookies with the time in them.
VISITOR = [(r"(csrftoken|sessionid|messages)=[^;]+", r"\1=RANDOM"), (r"expires=[^;]+", "expires=THEN"),
           (r'(name="csrfmiddlewaretoken" value=)"\w+"', r'\1"RANDOM"'),
           (r'^ETag: "[0-9a-f]{32}"', "ETag: OF-RANDOM")]
PAGES = ["/", "/about/", "/about/?x=1&x=2&y=%C3%A9", "/about", "/about?x=1", "/moved/", "/nope", "/nope/", "/caf%C3%A9/",
         "/stream/", "/download/", "/download/?name=r%C3%A4um.txt", "/refused/", "/boom/",
         "/odd/", "/admin", "/message", "/files/blob.bin", "/files/nope", "/files/", "/files/../x",
         "/static/admin/css/base.css", "/static/admin/js/core.js", "/static/admin/img/icon-yes.svg", "/static/nope.css",
         "/static/admin/"]


@pytest.fixture(scope="module")
def site(both, tmp_path_factory):
    path = both.shared / "blob.bin"
    path.write_bytes(NOISE[:300_000])
    os.utime(path, (1_700_000_000, 1_700_000_000))
    database = tmp_path_factory.mktemp("database") / "db.sqlite3"
    subprocess.run([sys.executable, APPS / "django_site.py", database], check=True, timeout=60,
                   env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    pair = both("django_site")  # the module alone: its `application`
    for folder in pair.folders.values():
        shutil.copyfile(database, folder / "db.sqlite3")
    return pair


def token_of(side):
    """The token in the form that this server gave last."""
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', side.last.text)[1]


@pytest.fixture
def admin(site):
    visitor = site.browser()
    assert visitor.same("/admin/", hide=VISITOR).header("Location") == "/admin/login/?next=/admin/"
    assert b"Log in" in visitor.same("/admin/login/?next=/admin/", hide=VISITOR).body
    entered = visitor.same("/admin/login/?next=/admin/", hide=VISITOR, form={
        "csrfmiddlewaretoken": token_of, "username": "admin", "password": "secret", "next": "/admin/"})
    assert entered.status == 302 and entered.header("Location") == "/admin/"
    return visitor


@pytest.mark.parametrize("target", PAGES)
def test_a_page(site, target):
    site.same(target)
    site.same(target, method="HEAD")


def test_fields_reach_the_application(site):
    site.same("/about/", headers=[("X-Forwarded-Proto", "https"), ("X-One", "1"), ("X-One", "2"),
                                  ("Accept-Language", "fr, en;q=0.5"), ("Cookie", "a=1")], host="shop.example:8080")


def test_the_admin_sites_pages(admin):
    for target in ("/admin/", "/admin/auth/user/", "/admin/auth/user/?q=user01", "/admin/auth/user/?p=1&o=-1",
                   "/admin/auth/user/?is_staff__exact=1", "/admin/auth/group/", "/admin/auth/group/1/change/",
                   "/admin/auth/user/5/change/", "/admin/auth/user/99999/change/", "/admin/password_change/",
                   "/admin/jsi18n/", "/admin/auth/user/add/"):
        admin.same(target, hide=VISITOR)
    assert b"121 users" in admin.same("/admin/auth/user/", hide=VISITOR).body


def test_a_group_is_made_changed_and_deleted(admin):
    add = "/admin/auth/group/add/"
    admin.same(add, hide=VISITOR)
    assert b"This field is required" in admin.same(add, form={"csrfmiddlewaretoken": token_of, "name": ""},
                                                   hide=VISITOR).body
    made = admin.same(add, form={"csrfmiddlewaretoken": token_of, "name": "Rédaction", "_continue": "1"}, hide=VISITOR)
    change = made.header("Location")
    assert re.fullmatch(r"/admin/auth/group/\d+/change/", change)
    page = admin.same(change, hide=VISITOR)
    assert "Rédaction" in page.text and "was added successfully" in page.text
    admin.same(change, form={"csrfmiddlewaretoken": token_of, "name": "Renamed"}, hide=VISITOR)
    delete = change.replace("change", "delete")
    assert b"Are you sure" in admin.same(delete, hide=VISITOR).body
    gone = admin.same(delete, form={"csrfmiddlewaretoken": token_of, "post": "yes"}, hide=VISITOR)
    assert gone.header("Location") == "/admin/auth/group/"


def test_the_admin_site_asks_for_password_and_token(site):
    visitor = site.browser()
    login = "/admin/login/?next=/admin/"
    visitor.same(login, hide=VISITOR)
    said = visitor.same(login, hide=VISITOR, form={"csrfmiddlewaretoken": token_of, "username": "admin",
                                                   "password": "wrong"})
    assert said.status == 200 and b"correct username and password" in said.body
    assert visitor.same(login, hide=VISITOR, form={"username": "admin", "password": "secret"}).status == 403
    assert site.same(login, hide=VISITOR, form={"csrfmiddlewaretoken": "x" * 64, "username": "admin"}).status == 403


def test_logging_out(admin):
    assert b"Logged out" in admin.same("/admin/logout/", hide=VISITOR).body
    assert admin.same("/admin/", hide=VISITOR).status == 302


def test_a_session_in_the_database(site):
    visitor = site.browser()
    for number in range(1, 5):
        assert visitor.same("/session/", hide=VISITOR).text == f"visit {number}"


@pytest.mark.parametrize("size, kind", [(0, None), (10, "InMemoryUploadedFile"), (99_000, "InMemoryUploadedFile"),
                                        (900_000, "TemporaryUploadedFile")])
def test_a_file_is_uploaded_by_a_form_with_its_token(site, size, kind):
    visitor = site.browser()
    visitor.same("/message/", hide=VISITOR)

    def filled(side):
        header, body = multipart("bound", ("csrfmiddlewaretoken", token_of(side)), ("name", "Zoë"),
                                 ("file", "a file.bin", "application/octet-stream", NOISE[:size]))
        return {"headers": [header], "body": body}

    ours = visitor.same("/message/", method="POST", each=filled, hide=VISITOR)
    assert ours.status == (201 if size else 200)
    assert kind is None or kind in ours.text


@pytest.mark.parametrize("threads", [1, 4])
def test_what_is_read_while_it_arrives(both, threads):
    """Without a length, Django takes it as empty, as under Gunicorn."""
    site = both("django_site", "--threads", threads, env={"NARWHAL_CMD_ARGS": "--no-request-buffering"})
    for size in (10, 900_000):
        visitor = site.browser()
        visitor.same("/message/", hide=VISITOR)

        def filled(side, size=size):
            header, body = multipart("bound", ("csrfmiddlewaretoken", token_of(side)), ("name", "Zoë"),
                                     ("file", "a file.bin", "application/octet-stream", NOISE[:size]))
            return {"headers": [header], "body": body}
        assert visitor.same("/message/", method="POST", each=filled, hide=VISITOR).status == 201
    kind = ("Content-Type", "application/octet-stream")
    for target in ("/echo/", "/lines/"):
        site.same(target, method="POST", headers=[kind], body=NOISE)
    site.same("/echo/", method="POST", headers=[kind, ("Transfer-Encoding", "chunked")], body=chunked(b"in chunks"))


def test_a_form_that_is_not_valid_and_one_without_token(site):
    visitor = site.browser()
    visitor.same("/message/", hide=VISITOR)
    assert b"This field is required" in visitor.same("/message/", form={"csrfmiddlewaretoken": token_of, "name": ""},
                                                     hide=VISITOR).body
    assert visitor.same("/message/", form={"name": "x"}, hide=VISITOR).status == 403


def test_bodies(site):
    for body in (b"", b"short", NOISE):
        site.same("/echo/", method="POST", headers=[("Content-Type", "application/octet-stream")], body=body)
        site.same("/lines/", method="POST", headers=[("Content-Type", "application/octet-stream")], body=body)
    site.same("/echo/", form={"a": "1", "é": "ü"})
    site.same("/echo/", method="PUT", body=b"put")


def test_a_chunked_body_arrives(site):
    """Under Gunicorn it does not: Django needs CONTENT_LENGTH, which is missing there (Gunicorn's issue 2947)."""
    with site.narwhal.connect() as wire:
        response = wire.ask("/echo/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                            body=chunked(b"in ", b"chunks"))
    assert '"length": 9' in response.text


def test_conditions(site):
    for target in ("/", "/static/admin/css/base.css", "/files/blob.bin", "/stream/"):
        first = site.same(target)
        for name, field in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
            if value := first.header(name):
                assert site.same(target, headers=[(field, value)]).status == 304
                site.same(target, headers=[(field, value)], method="HEAD")
    site.same("/files/blob.bin", headers=[("Range", "bytes=0-9")])


def test_a_stream_comes_in_pieces(site):
    assert len(site.same("/stream/").chunks) > 1


def test_errors_are_in_the_log(site):
    mark = site.narwhal.mark()
    assert site.same("/boom/").status == 500
    site.narwhal.wait_for("RuntimeError: boom", after=mark)
