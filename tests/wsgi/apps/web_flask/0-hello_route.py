"""A module whose name is not an identifier, such as a course's numbered exercise."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"Hello from {__name__}".encode()]
