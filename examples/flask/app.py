# A small Flask site:  narwhal --chdir examples/flask app:app
import os

from flask import Flask, render_template, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
if os.environ.get("BEHIND_PROXY"):  # without a proxy, any client could claim any address
    app.wsgi_app = ProxyFix(app.wsgi_app)


@app.get("/")
def hello():
    return render_template("hello.html", name=request.args.get("name", "world"))
