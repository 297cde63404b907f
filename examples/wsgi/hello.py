# A WSGI application without any framework:  narwhal --chdir examples/wsgi hello:app


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Hello, world!\n"]
