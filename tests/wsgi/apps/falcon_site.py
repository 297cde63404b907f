"""A Falcon API: resources, media, hooks, a sink, static files, streams, errors."""
import hashlib
import os

import falcon

SHARED = os.environ.get("TRIAL_SHARED", "/nowhere")


class Things:
    def __init__(self):
        self.things = {1: "first", 2: "zweite é"}

    def on_get(self, req, resp, number=None):
        if number is None:
            resp.media = [{"id": key, "name": self.things[key]} for key in sorted(self.things)]
        elif number in self.things:
            resp.media = {"id": number, "name": self.things[number]}
        else:
            raise falcon.HTTPNotFound(title="No such thing", description=str(number))

    def on_post(self, req, resp):
        media = req.get_media()
        resp.status, resp.media, resp.location = falcon.HTTP_201, {"made": media}, "/things/3"

    def on_put(self, req, resp, number):
        resp.status, resp.media = falcon.HTTP_202, {"id": number, "length": req.content_length, "type": req.content_type}

    def on_delete(self, req, resp, number):
        resp.status = falcon.HTTP_204


class About:
    def on_get(self, req, resp):
        resp.media = {"uri": req.uri, "path": req.path, "root": req.root_path, "params": req.params, "host": req.host,
                      "port": None, "scheme": req.scheme, "forwarded": req.forwarded_scheme, "remote": req.remote_addr,
                      "headers": req.headers, "accept": req.accept, "cookies": req.cookies, "route": req.access_route,
                      "prefix": req.prefix}
        resp.set_cookie("seen", "1", max_age=60, secure=False)
        resp.append_header("X-Two", "1")
        resp.append_header("X-Two", "2")


class Body:
    def on_post(self, req, resp):
        digest, size = hashlib.sha256(), 0
        stream = req.bounded_stream if req.get_param_as_bool("bounded") else req.stream
        while piece := stream.read(8192):
            digest.update(piece)
            size += len(piece)
        resp.media = {"size": size, "sha256": digest.hexdigest()}


class Stream:
    def on_get(self, req, resp):
        resp.content_type = "text/plain"
        if req.get_param_as_bool("length"):
            resp.set_stream(open(os.path.join(SHARED, "blob.bin"), "rb"), 300_000)
        elif req.get_param_as_bool("file"):
            resp.stream = open(os.path.join(SHARED, "blob.bin"), "rb")
        else:
            resp.stream = (b"line %d\n" % number for number in range(100))


class Errors:
    def on_get(self, req, resp, kind):
        if kind == "boom":
            raise RuntimeError("boom")
        if kind == "late":
            resp.stream = self.late()
            return
        raise {"limit": falcon.HTTPTooManyRequests(retry_after=7),
               "auth": falcon.HTTPUnauthorized(challenges=["Basic realm=x"]), "range": falcon.HTTPRangeNotSatisfiable(9),
               "moved": falcon.HTTPMovedPermanently("/things"),
               "status": falcon.HTTPStatus("299 Quite Odd", text="odd")}[kind]

    def late(self):
        yield b"begun"
        raise RuntimeError("boom")


def sink(req, resp, rest):
    resp.text = f"sink {rest} {req.method}"


app = falcon.App()
things = Things()
app.add_route("/things", things)
app.add_route("/things/{number:int}", things)
app.add_route("/about", About())
app.add_route("/body", Body())
app.add_route("/stream", Stream())
app.add_route("/errors/{kind}", Errors())
if os.path.isdir(SHARED):
    app.add_static_route("/files", SHARED)
app.add_sink(sink, "/sink/(?P<rest>.*)")
