"""WSGI applications under narwhal and, for comparison, under Debian's Gunicorn."""
import pytest

import reference
from comparison import APPS, Pair
from fixtures import _binary_exists, _bounded, serve, serve_module, servers_in  # noqa: F401
from server import WSGI

PLUGIN = WSGI


@pytest.fixture(scope="session", autouse=True)
def _plugin_exists():
    if not PLUGIN.exists():
        pytest.skip(f"this build has no WSGI plugin ({PLUGIN}): it needs the package python3-dev")


@pytest.fixture
def serve_app(serve):
    """serve_app("habits:app", "--threads", 2): narwhal alone with an application of apps/."""
    def start(app, *args):
        return serve(app, "--chdir", APPS, *args, env={"PYTHONDONTWRITEBYTECODE": "1"})
    return start


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """both("module:app", "--threads", 2): the application under both servers, for all tests of a module. In its
    environment TRIAL_FOLDER is where each may write, TRIAL_SHARED what both see; sets have the same order in both."""
    if not reference.INSTALLED:
        pytest.skip("the package gunicorn is not installed")
    folder = tmp_path_factory.mktemp("both")
    pairs = []

    def start(app, *args, env=None):
        own = folder / f"pair{len(pairs)}"
        for side in ("gunicorn", "narwhal"):
            (own / side).mkdir(parents=True)
        args = ["--chdir", APPS, *args, app]
        environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TRIAL_SHARED": str(folder), **(env or {})}
        gunicorn = reference.Gunicorn(own / "gunicorn", args,
                                      {**environment, "TRIAL_FOLDER": str(own / "gunicorn")}).start()
        pairs.append(gunicorn)
        narwhal = start_narwhal(*args, "--keep-alive", 60, env={**environment, "TRIAL_FOLDER": str(own / "narwhal")})
        pairs[-1] = Pair(narwhal, gunicorn, {side: own / side for side in ("gunicorn", "narwhal")})
        return pairs[-1]

    try:
        with servers_in(folder) as start_narwhal:
            start.shared = folder
            yield start
            for pair in pairs:
                pair.close()
    finally:
        for pair in pairs:
            getattr(pair, "gunicorn", pair).stop()
