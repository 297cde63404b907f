"""Python applications for the server: how they are named, where they are searched, what their failures do."""
import os
import re
import signal
import sys

import pytest

import proc
from clock import eventually
from server import BINARY, WSGI, run

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="the WSGI plugin was not built: it needs python3-dev")

APP = '''
def {name}(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [{text!r}.encode()]
'''


@pytest.fixture
def write(tmp_path):
    def write_app(name, text, attribute="app"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(APP.format(name=attribute, text=text))
        return path
    return write_app


def wait_text(server, text):
    eventually(f"answer {text!r}\n{server.tail()}", lambda: server.get("/").text == text)


# ---- names ----
@pytest.mark.parametrize("app,file,attribute", [
    ("hello:app", "hello.py", "app"),
    ("web_flask.0-hello_route:app", "web_flask/0-hello_route.py", "app"),
    ("hello", "hello.py", "application"),
])
def test_an_app_is_named_as_for_gunicorn(serve, write, app, file, attribute):
    write(file, "hi", attribute)
    server = serve(app)
    assert server.get("/").text == "hi"
    assert f"narwhal: worker 1 [{app}] gen 1" in server.processes().values()


def test_a_factory_is_called_with_its_arguments(serve, tmp_path):
    (tmp_path / "shop.py").write_text("def create_app(path, *, loud):\n" + "".join(
        f"    {line}\n" for line in (*APP.format(name="app", text="x").strip().replace("'x'", "(path + str(loud))")
                                     .splitlines(), "return app")))
    server = serve("shop:create_app('/etc/shop.so', loud=True)")
    assert server.get("/").text == "/etc/shop.soTrue"
    assert any("[shop:create_app('/etc/shop.so', loud=True)]" in title for title in server.processes().values())


def test_two_apps_are_mounted_beside_each_other_with_options_of_their_own(serve, write):
    write("one.py", "one")
    write("two.py", "two")
    server = serve(config="app: one:app\nroutes:\n  - {prefix: /two, app: 'two:app'}\n")
    assert (server.get("/").text, server.get("/two").text, server.get("/two/x").text) == ("one", "two", "two")
    server.reload()
    assert (server.get("/").text, server.get("/two").text) == ("one", "two")


def test_gunicorns_word_for_the_app_does_as_well(serve, write):
    write("one.py", "one")
    assert serve(config="wsgi_app: one:app\n").get("/").text == "one"


# ---- where it is searched ----
def test_chdir_and_pythonpath_say_where(serve, write, tmp_path):
    write("site/app.py", "in chdir")
    assert serve("app:app", "--chdir", "site").get("/").text == "in chdir"
    write("lib/shop/app.py", "in lib")
    write("site/extra/first.py", "in extra")
    config = "chdir: site\nwsgi_app: first:app\npythonpath: [extra, ../lib]\nroutes: [{prefix: /lib, app: 'shop.app:app'}]\n"
    (tmp_path / "server1").mkdir()
    for name in ("site", "lib"):
        (tmp_path / name).rename(tmp_path / "server1" / name)
    server = serve(config=config)
    assert (server.get("/").text, server.get("/lib").text) == ("in extra", "in lib")


@pytest.mark.parametrize("way", ["--venv", "link", "PATH"])
def test_a_virtual_environment_is_named_or_called_out_of(serve, write, tmp_path, way):
    write("app.py", "x").write_text(
        "import only_here\n" + APP.format(name="app", text="x").replace("'x'", "only_here.TEXT"))
    venv = tmp_path / "venv"
    site = venv / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    (site / "only_here.py").write_text("TEXT = 'from the venv'\n")
    (venv / "bin").mkdir()
    (venv / "pyvenv.cfg").write_text(f"home = {os.path.dirname(sys.executable)}\ninclude-system-site-packages = false\n")
    os.symlink(os.path.realpath(sys.executable), venv / "bin/python")
    os.symlink(BINARY, venv / "bin/narwhal")
    if way == "--venv":
        server = serve("app:app", "--venv", "venv")
    elif way == "link":
        server = serve("app:app", binary=venv / "bin/narwhal")
    else:
        launcher = tmp_path / "launcher"
        launcher.write_text('#!/bin/sh\nexec narwhal "$@"\n')
        launcher.chmod(0o755)
        server = serve("app:app", binary=launcher, env={"PATH": f"{venv}/bin:{os.environ['PATH']}"})
    assert server.get("/").text == "from the venv"


def test_a_server_without_the_wsgi_plugin_says_so(tmp_path):
    lonely = tmp_path / "narwhal"
    lonely.write_bytes(BINARY.read_bytes())
    lonely.chmod(0o755)
    done = run("hello:app", binary=lonely)
    if "the plugin that runs it, wsgi-cpVERSION.so, is not " not in done.stderr:
        pytest.skip("another one is installed")
    assert done.returncode == 1
    assert re.fullmatch(r"narwhal: app: 'hello:app' is a Python application, but the plugin that runs it, wsgi-cpVERSION\.so, is "
                        rf"not in {re.escape(str(tmp_path))}/plugins or .*\n", done.stderr)


def test_a_name_that_is_neither_a_plugin_nor_a_module_is_reported_as_both(tmp_path):
    for args, code in ((("--check-config",), 1), (("-b", "127.0.0.1:0"), 3)):
        done = run(*args, "no_such_thing", cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert ("No module named 'no_such_thing' (no plugin is called 'no_such_thing': it was taken for a Python module; "
                "write a plugin with its path, as in ./no_such_thing.so)") in done.stderr


def test_a_plugin_without_its_path_that_has_options_was_taken_for_a_module(tmp_path):
    (tmp_path / "narwhal.yaml").write_text("app: oops\noptions:\n  greeting: Hej\n")
    for args, code in ((("--check-config",), 1), (("-b", "127.0.0.1:0"), 4)):
        done = run(*args, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert "narwhal.yaml:3:3: options of oops: unknown option 'greeting'" in done.stderr, done.stderr
        assert "it was taken for a Python module; write a plugin with its path, as in ./oops.so" in done.stderr, done.stderr


@pytest.mark.parametrize("text", ["1 / 0", "def", "app = 1", ""])
def test_check_config_imports_the_app(tmp_path, write, text):
    write("shop.py", "fine")
    done = run("--check-config", "shop:app", cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    (tmp_path / "shop.py").write_text(text + "\n")
    done = run("--check-config", "shop:app", cwd=tmp_path)
    assert done.returncode == 1 and "narwhal: preload of shop:app: " in done.stderr, done.stderr


@pytest.mark.parametrize("text, reason", [
    ("import no_such_thing", "import shop: ModuleNotFoundError: No module named 'no_such_thing'"),
    ("def make():\n    return 1 / 0", "call make(): ZeroDivisionError: division by zero"),
])
def test_a_failing_factory_is_not_reported_as_a_failing_import(tmp_path, text, reason):
    (tmp_path / "shop.py").write_text(text + "\n")
    done = run("--check-config", "shop:make()", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.endswith(f"of shop:make(): {reason}\n"), done.stderr


# ---- what does not boot ----
BROKEN = [("import nowhere_at_all", 3, "No module named 'nowhere_at_all'"), ("def", 3, "SyntaxError"), ("1 / 0", 3, "ZeroDivisionError"),
          ("x = 1", 4, "app"), ("app = 1", 4, "callable")]


@pytest.mark.parametrize("app", ["./shop.py", "web/shop:app"])
def test_a_path_in_place_of_a_module_is_an_error_that_says_how_modules_are_named(write, tmp_path, app):
    write("shop.py", "x")
    write("web/shop.py", "x")
    done = run("-b", "127.0.0.1:0", app, cwd=tmp_path)
    assert done.returncode == 4
    assert "(name a Python application by its module, as in web.shop:app)" in done.stderr


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["in the worker", "in the template"])
@pytest.mark.parametrize("text,code,words", BROKEN)
def test_at_first_boot_the_exit_code_is_gunicorns(tmp_path, text, code, words, preload):
    (tmp_path / "shop.py").write_text(text + "\n")
    done = run("-b", "127.0.0.1:0", *preload, "shop:app", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert f"Reason: {'Worker failed to boot.' if code == 3 else 'App failed to load.'}" in done.stderr
    assert re.search(rf"\[ERROR\] (preload|worker_init) of shop:app: .*{words}", done.stderr)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["in the worker", "in the template"])
@pytest.mark.parametrize("text,code,words", BROKEN)
def test_at_a_reload_the_old_code_serves_on(serve, write, text, code, words, preload):
    path = write("shop.py", "v1")
    server = serve("shop:app", "-w", "2", *preload)
    workers = server.wait_workers(2)
    path.write_text(text + "\n")
    with server.load(clients=2) as load:
        server.send(signal.SIGHUP)
        server.wait_for(rf"\[ERROR\] Reload failed at step '\w+': .*shop:app: .*{words}.*; generation 1 continues to serve")
        load.wait_for_more(20)
    load.assert_clean()
    eventually("the old workers alone", lambda: server.worker_pids() == workers)
    write("shop.py", "the second")
    server.reload()
    assert server.get("/").text == "the second"


# ---- --reload ----
def test_a_changed_module_reloads_and_a_broken_one_when_it_is_fixed(serve, write, tmp_path):
    app = write("shop.py", "first")
    server = serve("shop:app", "--reload", "-w", "2")
    write("shop.py", "the second")
    wait_text(server, "the second")

    def breaks(save, words):
        mark = server.mark()
        save()
        server.wait_for(rf"\[ERROR\] Reload failed at step 'boot'.*{words}", after=mark)
        assert server.get("/").text == "the second"

    importing = "import parts\n" + APP.format(name="app", text="x").replace("'x'", "parts.TEXT")
    breaks(lambda: app.write_text(importing), "No module named 'parts'")
    breaks(lambda: (tmp_path / "parts.py").write_text("TEXT = = 'three'\n"), "SyntaxError")
    breaks(lambda: (tmp_path / "parts.py").write_text("TEXT = 1 / 0\n"), "ZeroDivisionError")
    (tmp_path / "parts.py").write_text("TEXT = 'of three parts'\n")
    wait_text(server, "of three parts")


def test_two_saves_of_one_length_within_a_second_are_both_served(serve, write, tmp_path):
    """Python would use the first one's bytecode for the second."""
    path = write("shop.py", "first one")
    server = serve("shop:app", "--reload", env={"PYTHONDONTWRITEBYTECODE": ""})
    for number, text in enumerate(("second", "thirds")):
        ready = tmp_path / "ready.py"
        ready.write_text(APP.format(name="app", text=text))
        os.utime(ready, ns=(1_700_000_000_000_000_000 + number,) * 2)
        os.replace(ready, path)
        wait_text(server, text)
    server.stop()
    assert not list(tmp_path.glob("__pycache__/shop.*"))


def test_with_preload_a_changed_module_reloads_as_well(serve, write):
    write("shop.py", "first")
    server = serve("shop:app", "--reload", "--preload")
    write("shop.py", "the second")
    wait_text(server, "the second")


def test_a_module_that_is_imported_by_a_request_is_watched_from_then_on(serve, write, tmp_path):
    write("shop.py", "x").write_text(
        APP.format(name="app", text="x").replace("'x'", "__import__('late').TEXT"))
    late = tmp_path / "lib/late.py"
    late.parent.mkdir()
    late.write_text("TEXT = 'late'\n")
    server = serve("shop:app", "--reload", "--pythonpath", "lib", "-w", "1")
    folders = proc.inotify_watches(server.pid)
    assert server.get("/").text == "late"
    eventually("lib is watched", lambda: proc.inotify_watches(server.pid) > folders)  # reported after the answer
    late.write_text("TEXT = 'later still'\n")
    wait_text(server, "later still")


def test_a_module_with_the_name_of_the_plugin(serve, tmp_path):
    """As in "gunicorn wsgi"."""
    (tmp_path / "wsgi.py").write_text("def application(environ, start_response):\n"
                                      "    start_response('200 OK', [])\n    return [b'the module']\n")
    assert serve("wsgi").get("/").body == b"the module"
