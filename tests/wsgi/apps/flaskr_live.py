"""Flask's own tutorial application, one for each database that a request names: its suite has a new one in each test."""
import os
import tempfile

from flaskr import create_app

apps = {}


def app(environ, start_response):
    database = environ.pop("HTTP_X_DATABASE")
    assert os.path.dirname(database) == tempfile.gettempdir()
    if database not in apps:
        apps[database] = create_app({"TESTING": True, "DATABASE": database})
    return apps[database](environ, start_response)
