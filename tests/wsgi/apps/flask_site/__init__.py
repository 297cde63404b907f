"""A site as courses have it written: a clone of a rental service, with a bit of everything that Flask has."""
import hashlib
import os
import time

from flask import (Flask, Response, abort, flash, jsonify, make_response, redirect, render_template, request, send_file,
                   send_from_directory, session, stream_with_context, url_for)
from werkzeug.utils import secure_filename

STATES = {"421a55f4": "Louisiana", "421a55f1": "Colorado", "421a55f7": "Arizona <b>", "421a55f9": "Québec"}

SHARED = os.environ.get("TRIAL_SHARED", "/nowhere")

app = Flask(__name__)
app.secret_key = "a fixed key, for a test"
app.config["MAX_CONTENT_LENGTH"] = 4 << 20


@app.route("/", strict_slashes=False)
def hello_hbnb():
    return "Hello HBNB!"


@app.route("/hbnb", strict_slashes=False)
def hbnb():
    return "HBNB"


@app.route("/c/<text>", strict_slashes=False)
def c_text(text):
    return f"C {text.replace('_', ' ')}"


@app.route("/python", defaults={"text": "is cool"}, strict_slashes=False)
@app.route("/python/<text>", strict_slashes=False)
def python_text(text):
    return f"Python {text.replace('_', ' ')}"


@app.route("/number/<int:n>", strict_slashes=False)
def number(n):
    return f"{n} is a number"


@app.route("/states_list", strict_slashes=False)
def states_list():
    return render_template("states.html", states=STATES)


@app.route("/strict/")
def strict():
    return "strict"


# ---- the API ----

@app.route("/api/v1/status", strict_slashes=False)
def api_status():
    return jsonify({"status": "OK"})


@app.route("/api/v1/states", strict_slashes=False)
def api_states():
    return jsonify([{"id": key, "name": name} for key, name in sorted(STATES.items())])


@app.route("/api/v1/states/<state_id>", methods=["GET", "DELETE"], strict_slashes=False)
def api_state(state_id):
    if state_id not in STATES:
        abort(404)
    return jsonify({}) if request.method == "DELETE" else jsonify({"id": state_id, "name": STATES[state_id]})


@app.route("/api/v1/states", methods=["POST"], strict_slashes=False)
def api_make_state():
    if not request.is_json:
        abort(400, "Not a JSON")
    if "name" not in request.get_json():
        abort(400, "Missing name")
    return make_response(jsonify({"id": "new", "name": request.get_json()["name"]}), 201)


# ---- forms, sessions, cookies ----

@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        session["user"] = request.form["user"]
        flash(f"Welcome, {request.form['user']}")
        return redirect(url_for("profile"))
    return '<form method="post"><input name="user"></form>'


@app.route("/profile")
def profile():
    if "user" not in session:
        return redirect(url_for("login", next=request.path))
    session["visits"] = session.get("visits", 0) + 1
    return render_template("layout.html") + f"{session['user']} was here {session['visits']} times"


@app.route("/logout")
def logout():
    session.clear()
    return redirect("/", 303)


@app.route("/cookies")
def cookies():
    response = make_response(jsonify(dict(request.cookies)))
    response.set_cookie("plain", "value")
    response.set_cookie("full", "with space; and more", max_age=60, path="/cookies", secure=True, httponly=True,
                        samesite="Lax", expires=0)
    response.delete_cookie("gone")
    return response


@app.route("/form", methods=["GET", "POST", "PUT", "PATCH"])
def form():
    return jsonify(args=request.args.to_dict(flat=False), form=request.form.to_dict(flat=False), method=request.method,
                   data=request.get_data(as_text=True), length=request.content_length, type=request.content_type)


@app.route("/upload", methods=["POST"])
def upload():
    told = []
    for name in sorted(request.files):
        for file in request.files.getlist(name):
            data = file.read()
            told.append([name, secure_filename(file.filename), file.mimetype, len(data), hashlib.sha256(data).hexdigest()])
    return jsonify(files=told, fields=request.form.to_dict(flat=False))


@app.route("/raw", methods=["POST"])
def raw():
    """The stream itself, in pieces."""
    digest, size = hashlib.sha256(), 0
    while piece := request.stream.read(10_000):
        digest.update(piece)
        size += len(piece)
    return jsonify(size=size, sha256=digest.hexdigest())


@app.route("/twice", methods=["POST"])
def twice():
    return jsonify(first=hashlib.sha256(request.get_data()).hexdigest(), again=len(request.get_data()))


# ---- files and streams ----

@app.route("/download")
def download():
    return send_file(os.path.join(SHARED, "blob.bin"), as_attachment=True, download_name="räum.bin", max_age=10)


@app.route("/files/<path:name>")
def files(name):
    return send_from_directory(SHARED, name)


@app.route("/stream")
def stream():
    def rows():
        for row in range(200):
            yield f"{row},{request.args.get('x', '')}\n"
    return Response(stream_with_context(rows()), mimetype="text/csv")


@app.route("/events")
def events():
    def ticks():
        for tick in range(3):
            yield f"data: {tick}\n\n"
            time.sleep(0.01)
    return Response(ticks(), mimetype="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


@app.route("/etag")
def etag():
    response = make_response("a page that knows its tag")
    response.set_etag("tag-1")
    return response.make_conditional(request)


@app.route("/echo", methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def echo():
    return Response(f"{request.method} {request.full_path} {request.url} {request.host} {request.scheme} "
                    f"{request.remote_addr} {sorted(request.headers.items())}", mimetype="text/plain")


# ---- errors ----

@app.route("/abort/<int:code>")
def aborts(code):
    abort(code)


@app.route("/boom")
def boom():
    raise RuntimeError("boom")


@app.route("/boom_in_stream")
def boom_in_stream():
    def pieces():
        yield "begun"
        raise RuntimeError("in the stream")
    return Response(pieces())


@app.route("/none")
def none():
    return None


@app.errorhandler(404)
def not_found(error):
    return (jsonify({"error": "Not found"}), 404) if request.path.startswith("/api/") else error


@app.route("/nothing")
def nothing():
    return "", 204


@app.route("/teapot")
def teapot():
    return "short and stout", "418 Short And Stout", {"X-Handle": "here"}


@app.after_request
def after(response):
    response.headers["X-After"] = request.endpoint or "none"
    return response
