"""A pytest plugin that points a Flask or Werkzeug suite at a running server: what their test clients would give
to the application as an environ goes over a socket to LIVE_ADDRESS (host:port) instead, and the answer comes from there.

The suite makes an application for each test; the server gets the name of the database that it uses (apps/flaskr_live.py).
"""
import contextlib
import os
from http.cookies import SimpleCookie

import werkzeug.test
from werkzeug.datastructures import Headers

from wire import Wire

host, port = os.environ["LIVE_ADDRESS"].rsplit(":", 1)


def over_the_wire(application, environ, buffered=False):
    """In place of werkzeug.test.run_wsgi_app: (body, status, fields)."""
    target = environ.get("RAW_URI") or environ["PATH_INFO"]
    headers = [(name[5:].replace("_", "-").title(), value) for name, value in environ.items()
               if name.startswith("HTTP_") and name != "HTTP_HOST"]
    if environ.get("CONTENT_TYPE"):
        headers.append(("Content-Type", environ["CONTENT_TYPE"]))
    headers += [("X-Database", application.config["DATABASE"]), ("Connection", "close")]
    with Wire((host, int(port))) as wire:
        response = wire.ask(target, method=environ["REQUEST_METHOD"], headers=headers, host=environ["HTTP_HOST"],
                            body=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    fields = Headers(response.headers)
    if keep := environ.get("werkzeug.debug.preserve_context"):
        keep(context_after(application, environ, fields))
    return [response.body], f"{response.status} {response.reason}", fields


@contextlib.contextmanager
def context_after(application, environ, fields):
    """`with client:` lets a test read the request's context. That was in another process, so one is made here as the
    next request would find it."""
    cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    for field in fields.getlist("Set-Cookie"):
        cookies.load(field)
    sent = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items() if cookie.value)
    with application.request_context({**environ, "HTTP_COOKIE": sent}):
        application.preprocess_request()
        yield


werkzeug.test.run_wsgi_app = over_the_wire
