"""What the tests of public idioms share: a project with a gunicorn.conf.py, and an application that tells about itself."""
import ast
from urllib.parse import quote

import pytest

# Answers with the value of the expression in the query, so that a test sees what the application sees.
SHOW = """
import os, sys, threading
from urllib.parse import unquote
imported_by = os.getpid()
def app(environ, start_response):
    value = eval(unquote(environ["QUERY_STRING"]), globals(), {"environ": environ})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(value).encode()]
"""


class Project:
    """A folder with show.py and a gunicorn.conf.py, which the server finds there."""

    def __init__(self, folder, serve):
        self.folder, self._serve = folder, serve
        self.write("show.py", SHOW)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def conf(self, text):
        return self.write("gunicorn.conf.py", text)

    def start(self, conf, *args, app="show:app", **named):
        self.conf(conf)
        return self._serve(*([app] if app else []), *args, **named)

    def has(self, name):
        return (self.folder / name).exists()

    def read(self, name):
        return (self.folder / name).read_text() if self.has(name) else ""


def ask(server, expression, **parts):
    response = server.get("/?" + quote(expression), **parts)
    assert response.status == 200, (response, server.tail())
    return ast.literal_eval(response.text)


@pytest.fixture
def project(tmp_path, serve):
    return Project(tmp_path, serve)
