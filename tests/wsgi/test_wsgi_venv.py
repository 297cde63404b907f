"""Virtual environments, made with Debian's python3 and without pip: their packages are imported."""
import json
import os
import subprocess
import sys

import pytest

from server import BINARY

APP = """
import json, sys
import only_here

def app(environ, start_response):
    try:
        import bottle
        bottle = bottle.__version__
    except ImportError:
        bottle = None
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"file": only_here.__file__, "prefix": sys.prefix, "base": sys.base_prefix,
                        "executable": sys.executable, "first": sys.path[0], "bottle": bottle,
                        "pth": "pth" in sys.modules}).encode()]
"""


def make_venv(folder, *args):
    """The environment's folder of packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *args, folder], check=True, timeout=60)
    packages, = folder.glob("lib/python3.*/site-packages")
    (packages / "only_here.py").write_text("")
    return packages


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments") / "venv"
    packages = make_venv(folder)
    (packages / "bottle.py").write_text("__version__ = 'of the environment'\n")
    (packages / "pth.py").write_text("")
    (packages / "a.pth").write_text("import pth\n")
    (folder / "bin" / "narwhal").symlink_to(BINARY)
    return folder


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "app.py").write_text(APP)
    return tmp_path / "site"


def told(server):
    response = server.get("/")
    assert response.status == 200, server.tail()
    return json.loads(response.body)


def assert_of(venv, site, said):
    assert said["file"].startswith(str(venv / "lib"))
    assert said["prefix"] == str(venv) and said["base"] == sys.base_prefix
    assert os.path.dirname(said["executable"]) == str(venv / "bin")
    assert said["bottle"] == "of the environment" and said["pth"]
    assert said["first"] == str(site)


def test_by_the_flag(serve, venv, site):
    assert_of(venv, site, told(serve("app:app", "--chdir", site, "--venv", venv)))


def test_by_the_setting(serve, venv, site):
    assert_of(venv, site, told(serve(config=f"wsgi_app: 'app:app'\nchdir: {site}\nvenv: {venv}\n")))


def test_by_the_environment_that_is_active(serve, venv, site):
    assert_of(venv, site, told(serve("app:app", "--chdir", site, env={"VIRTUAL_ENV": str(venv)})))


def test_by_a_link_beside_its_python(serve, venv, site):
    assert_of(venv, site, told(serve("app:app", "--chdir", site, binary=venv / "bin" / "narwhal")))


def test_by_a_link_found_on_the_path(serve, venv, site):
    assert_of(venv, site, told(serve("app:app", "--chdir", site, binary="narwhal",
                                     env={"PATH": f"{venv / 'bin'}:{os.environ['PATH']}"})))


def test_the_flag_goes_before_the_environment(serve, venv, site, tmp_path):
    make_venv(tmp_path / "other")
    assert_of(venv, site, told(serve("app:app", "--chdir", site, "--venv", venv,
                                     env={"VIRTUAL_ENV": str(tmp_path / "other")})))


def test_each_app_may_say_in_which_one_it_lives_but_there_is_one_python(serve, venv, site):
    """Two mounts, one interpreter: the environment is the same for both."""
    config = (f"chdir: {site}\nvenv: {venv}\nroutes:\n  - {{prefix: /a, app: 'app:app'}}\n"
              "  - {prefix: /b, app: 'app:app'}\n")
    server = serve(config=config)
    for target in ("/a", "/b"):
        assert_of(venv, site, json.loads(server.get(target).body))


def test_one_with_the_systems_packages_sees_them_too(serve, site, tmp_path):
    pytest.importorskip("bottle", reason="the package python3-bottle is not installed")
    make_venv(tmp_path / "both", "--system-site-packages")
    said = told(serve("app:app", "--chdir", site, "--venv", tmp_path / "both"))
    assert said["bottle"] not in (None, "of the environment")
    make_venv(tmp_path / "alone")
    assert told(serve("app:app", "--chdir", site, "--venv", tmp_path / "alone"))["bottle"] is None


def test_without_one_its_packages_are_not_found(serve, site):
    server = serve("app:app", "--chdir", site, wait=False)
    assert server.wait_exit() == 3
    server.wait_for(r"^ModuleNotFoundError: No module named 'only_here'$")


def test_one_that_does_not_exist_is_reported_by_name(serve, site, tmp_path):
    server = serve("app:app", "--chdir", site, "--venv", tmp_path / "nowhere", wait=False)
    assert server.wait_exit() != 0
    server.wait_for(rf"{tmp_path}/nowhere")


def test_one_of_another_python_is_reported_with_a_message(serve, site, tmp_path):
    other = tmp_path / "old"
    make_venv(other)
    config = (other / "pyvenv.cfg").read_text()
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    (other / "pyvenv.cfg").write_text("".join(
        line if not line.startswith("version") else "version = 3.7.3\n" for line in config.splitlines(keepends=True)))
    (other / "lib" / f"python{ours}").rename(other / "lib" / "python3.7")
    server = serve("app:app", "--chdir", site, "--venv", other, wait=False)
    assert server.wait_exit() != 0
    line = server.wait_for(rf"^.*{other}.*$")[0]
    assert "3.7" in line and ours in line, line
