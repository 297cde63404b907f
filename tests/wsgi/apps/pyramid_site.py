"""A Pyramid site: views, renderers, signed sessions, static views, streams, errors."""
import hashlib
import os

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPFound
from pyramid.response import FileIter, FileResponse, Response
from pyramid.session import JSONSerializer, SignedCookieSessionFactory

SHARED = os.environ.get("TRIAL_SHARED", "/nowhere")


def index(request):
    return Response("Hello, Pyramid!")


def hello(request):
    return {"name": request.matchdict["name"], "params": dict(request.params.items())}


def about(request):
    return {"url": request.url, "path": request.path, "host": request.host, "method": request.method,
            "client": request.client_addr, "headers": sorted(request.headers.items()), "charset": request.charset}


def form(request):
    told = {name: value if isinstance(value, str) else [value.filename, len(value.file.read())]
            for name, value in sorted(request.POST.items())}
    return {"form": told, "length": request.content_length}


def raw(request):
    return {"size": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()}


def session(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return Response(f"visit {request.session['visits']}")


def stream(request):
    return Response(app_iter=(b"line %d\n" % number for number in range(100)), content_type="text/plain")


def download(request):
    return FileResponse(os.path.join(SHARED, "blob.bin"), request=request, content_type="application/octet-stream")


def file_iter(request):
    return Response(app_iter=FileIter(open(os.path.join(SHARED, "blob.bin"), "rb")),
                    content_type="application/octet-stream")


def conditional(request):
    response = Response("a page that knows its tag", etag="tag-1", conditional_response=True)
    response.cache_control.max_age = 10
    return response


def fails(request):
    kind = request.matchdict["kind"]
    if kind == "moved":
        raise HTTPFound("/hello/x")
    if kind == "forbidden":
        raise HTTPForbidden("no")
    if kind == "odd":
        return Response("odd", status="299 Quite Odd")
    if kind == "nothing":
        return Response(status=204)
    raise RuntimeError("boom")


def not_found(request):
    return Response(f"nothing at {request.path}", status=404)


def make(global_config=None):
    config = Configurator(session_factory=SignedCookieSessionFactory("fixed", serializer=JSONSerializer()))
    for name, pattern, view, renderer in (
            ("index", "/", index, None), ("hello", "/hello/{name}", hello, "json"), ("about", "/about", about, "json"),
            ("form", "/form", form, "json"), ("raw", "/raw", raw, "json"), ("session", "/session", session, None),
            ("stream", "/stream", stream, None), ("download", "/download", download, None),
            ("iter", "/iter", file_iter, None), ("conditional", "/conditional", conditional, None),
            ("fails", "/fails/{kind}", fails, None)):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name, renderer=renderer)
    config.add_notfound_view(not_found, append_slash=True)
    if os.path.isdir(SHARED):
        config.add_static_view("files", SHARED)
    return config.make_wsgi_app()
