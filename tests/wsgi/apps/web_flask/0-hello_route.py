"""A module whose name is no identifier, as a course numbers its exercises."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"Hello from {__name__}".encode()]
