"""Werkzeug's own test page, and what tests of a server need: the request as JSON, and a stream that may break."""
import json

from werkzeug.testapp import test_app
from werkzeug.wrappers import Request, Response


def pieces(crash):
    for number in range(5):
        yield f"{number}\n"
    if crash:
        raise RuntimeError("crash requested")


@Request.application
def pages(request):
    if request.path.startswith("/stream"):
        return Response(pieces(request.path.endswith("crash")))
    files = {name: file.read().decode() for name, file in request.files.items()}
    return Response(json.dumps({"environ": request.environ, "form": request.form.to_dict(), "files": files}, default=str),
                    content_type="application/json")


def app(environ, start_response):
    return (test_app if environ["PATH_INFO"] == "/testapp" else pages)(environ, start_response)
