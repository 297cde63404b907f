"""narwhal-tutorial(7), FROM FLASK: the two programs of the page give the same answers to the same requests."""
import importlib.util
import json
import re
import subprocess

import pytest

from clock import eventually
from server import BUILD, ROOT, SANITIZED, WSGI

PAGE = (ROOT / "man" / "narwhal-tutorial.7").read_text()
pytestmark = [pytest.mark.skipif(SANITIZED, reason="the compiler's flags are those of an ordinary build"),
              pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs python3-dev"),
              pytest.mark.skipif(importlib.util.find_spec("flask") is None, reason="python3-flask is not installed")]

FORM = [("Content-Type", "application/x-www-form-urlencoded")]
JSON = [("Content-Type", "application/json")]
UPLOAD = [("Content-Type", "multipart/form-data; boundary=x")]
FILE = (b'--x\r\nContent-Disposition: form-data; name="file"; filename="<a>.txt"\r\nContent-Type: text/plain\r\n\r\n'
        b"seven b\r\n--x--\r\n")

# (method, target, fields, body), in this order: some change what later ones see.
REQUESTS = [
    ("GET", "/users/1", [], b""), ("GET", "/users/7", [], b""), ("GET", "/users/x", [], b""), ("HEAD", "/users/1", [], b""),
    ("DELETE", "/users/1", [], b""), ("GET", "/nowhere", [], b""),
    ("POST", "/users", FORM, b"name=Bob+%3Cb%3E"), ("GET", "/users/2", [], b""), ("POST", "/users", FORM, b"other=1"),
    ("PUT", "/users/2", JSON, b'{"name": "Eve"}'), ("GET", "/users/2", [], b""), ("PUT", "/users/2", JSON, b"{"),
    ("GET", "/search?q=a%20b&n=3", [], b""), ("GET", "/search?q=%C3%A9", [], b""), ("GET", "/search", [], b""),
    ("GET", "/theme", [], b""), ("GET", "/theme", [("Cookie", "theme=dark")], b""), ("GET", "/theme?set=dark", [], b""),
    ("GET", "/theme?set=%3Cb%3E", [], b""), ("GET", "/theme", [("Cookie", "theme=<svg/onload=alert(1)>")], b""),
    ("POST", "/upload", UPLOAD, FILE), ("GET", "/files/a.txt", [], b""), ("GET", "/files/none.txt", [], b""),
    ("GET", "/files/../site.py", [], b""), ("GET", "/count", [], b""), ("GET", "/admin/rounds", [], b""),
    ("GET", "/%61dmin/rounds", [], b""),
]


def program(name):
    (text,) = re.findall(rf"^The file\n\.Pa {re.escape(name)} :\n\.Bd -literal\n(.*?)^\.Ed$", PAGE, re.MULTILINE | re.DOTALL)
    return text.replace("\\e", "\\")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for name in ("site.py", "site.cpp"):
        (folder / name).write_text(program(name))
    (folder / "site.py").rename(folder / "flask_site.py")  # the standard library has a module of that name
    (folder / "files").mkdir()
    (folder / "files" / "a.txt").write_text("a file\n")
    flags = subprocess.run([BUILD / "tools" / "narwhal-plugin", "flags"], capture_output=True, text=True, check=True).stdout.split()
    done = subprocess.run(["c++", *flags, "-O0", "-Wall", "-Wextra", "-Werror", "-shared", "-o", "site.so", "site.cpp"], cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def seen(answer):
    """What must be equal: the status, the fields that the programs give, and the body."""
    kind = (answer.header("Content-Type") or "").partition(";")[0]
    cookie = re.sub(r";.*?(Max-Age=\d+).*", r"; \1", answer.header("Set-Cookie") or "")
    body = json.loads(answer.text) if kind == "application/json" else answer.text
    if answer.status in (204, 302):  # the page that Flask sends with it is its own
        kind = body = ""
    return (answer.status, kind, answer.header("Location") or "", answer.header("X-Shop"), cookie, body)


def test_both_programs_give_the_same_answers(serve, folder):
    flask = serve("-w", "1", "--chdir", folder, "flask_site:app")
    cpp = serve("-w", "1", "--chdir", folder, "./site.so")
    for method, target, fields, body in REQUESTS:
        answers = [seen(server.get(target, method=method, headers=fields, body=body)) for server in (flask, cpp)]
        assert answers[0] == answers[1], (method, target)
        assert answers[0][3] == "corner", (method, target)


def test_both_programs_work_in_the_background(serve, folder):
    for app in ("flask_site:app", "./site.so"):
        server = serve("-w", "1", "--chdir", folder, app)
        eventually(f"{app} has worked", lambda: int(server.get("/admin/rounds", headers=[("X-Key", "1")]).text) > 1)


def test_a_number_that_is_none_is_where_they_differ(serve, folder):
    assert serve("-w", "1", "--chdir", folder, "./site.so").get("/search?q=a&n=x").status == 400
    assert json.loads(serve("-w", "1", "--chdir", folder, "flask_site:app").get("/search?q=a&n=x").text)["n"] == 1


def test_the_plugin_takes_its_settings_as_options(serve, folder):
    server = serve("-w", "1", "--option", "name=harbour", "--chdir", folder, "./site.so")
    assert server.get("/users/1").header("X-Shop") == "harbour"
