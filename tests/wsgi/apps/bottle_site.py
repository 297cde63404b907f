"""A Bottle site: routes, a template, cookies, forms, files, streams, errors."""
import json
import os

import bottle
from bottle import HTTPError, HTTPResponse, abort, redirect, request, response, static_file, template

SHARED = os.environ.get("TRIAL_SHARED", "/nowhere")
app = bottle.Bottle()


@app.route("/")
def index():
    return "Hello, Bottle!"


@app.route("/hello/<name>")
def hello(name):
    return template("<b>Hello {{name}}</b>!", name=name)


@app.route("/number/<number:int>")
def number(number):
    return {"number": number, "query": dict(request.query)}


@app.route("/form", method=["GET", "POST"])
def form():
    return {"forms": sorted(request.forms.allitems()), "files": [
        [item.name, item.filename, len(item.file.read())] for item in request.files.values()],
        "length": request.content_length}


@app.post("/json")
def takes_json():
    return {"got": request.json}


@app.post("/raw")
def raw():
    return {"size": len(request.body.read()), "chunked": request.chunked}


@app.route("/about", method="ANY")
def about():
    return {"url": request.url, "path": request.path, "script": request.script_name, "method": request.method,
            "remote": request.remote_addr, "headers": sorted(request.headers.items())}


@app.route("/cookies")
def cookies():
    response.set_cookie("signed", "value", secret="fixed")
    response.set_cookie("plain", "v", path="/", httponly=True)
    return request.get_cookie("plain", "none") + " " + str(request.get_cookie("signed", "none", secret="fixed"))


@app.route("/files/<name:path>")
def files(name):
    return static_file(name, root=SHARED, download=request.query.get("download") or False)


@app.route("/open")
def opened():
    response.content_type = "application/octet-stream"
    return open(os.path.join(SHARED, "blob.bin"), "rb")


@app.route("/stream")
def stream():
    for number in range(100):
        yield f"line {number} é\n"


@app.route("/empty")
def empty():
    return None


@app.route("/nothing")
def nothing():
    return HTTPResponse(status=204)


@app.route("/moved")
def moved():
    redirect("/hello/there?x=1")


@app.route("/odd")
def odd():
    response.status = "299 Quite Odd"
    response.add_header("X-Two", "1")
    response.add_header("X-Two", "2")
    return json.dumps({"odd": True})


@app.route("/teapot")
def teapot():
    abort(418, "short and stout")


@app.route("/raised")
def raised():
    raise HTTPError(402, "pay")


@app.route("/boom")
def boom():
    raise RuntimeError("boom")


@app.route("/boom_later")
def boom_later():
    yield "begun"
    raise RuntimeError("boom")
