"""--reload: a file that the running code was made from has changed, and the new code serves, after exactly one reload."""
import os
import re
import signal

import pytest

import proc
from clock import eventually
from plugin_files import deploy, truncated, versioned
from server import run, test_plugin

MODIFIED = r"\[INFO\] Reloading: {} modified$"


@pytest.fixture
def app(tmp_path):
    """A file that a plugin is made from and names."""
    path = tmp_path / "app.txt"
    path.write_text("one")
    return path


@pytest.fixture
def watching(serve, app):
    def start(*args):
        return serve(*args, config=f"reload: true\napp: {test_plugin('watches')}\noptions: {{file: {app}}}\n")
    return start


def in_place(path, text):
    path.write_text(text)


def by_rename(path, text):
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


def with_a_copy_kept(path, text):
    os.rename(path, f"{path}~")
    path.write_text(text)


def wait_text(server, text):
    eventually(f"answer {text!r}\n{server.tail()}", lambda: server.get("/").text == text)


@pytest.mark.parametrize("save", [in_place, by_rename, with_a_copy_kept])
@pytest.mark.parametrize("args", [("-w", 2), ("--preload",), ("--reload-engine", "poll")], ids=str)
def test_a_file_that_the_plugin_named_reloads_however_it_is_saved(watching, app, save, args):
    server = watching(*args)
    server.wait_for(r"\[WARNING\] Reloader is on\. Use in development only!$")
    assert server.get("/").text == "one" and server.get("/watch").text == "0 0"
    for text in ("second", "third one"):
        mark = server.mark()
        save(app, text)
        wait_text(server, text)
        server.wait_for(MODIFIED.format(re.escape(str(app))), after=mark)
    # A file that is written in place is empty for a moment, and may be loaded then too.
    eventually("one generation", lambda: server.generations() == [3] if save is by_rename else len(server.generations()) == 1)


def test_code_that_does_not_boot_leaves_the_old_code_and_is_tried_again_when_fixed(watching, app):
    server = watching("-w", "2")
    workers = server.wait_workers(2)
    for save in (in_place, by_rename):
        mark = server.mark()
        save(app, "broken")
        server.wait_for(r"\[ERROR\] Reload failed at step 'boot'.*the file is broken; generation \d+ continues to serve", after=mark)
        assert server.get("/").text == "one"
        eventually("the old workers alone", lambda: server.worker_pids() == workers)
        in_place(app, "fixed")
        wait_text(server, "fixed")
        fixed = server.wait_workers(2, without=workers)
        in_place(app, "one")
        wait_text(server, "one")
        workers = server.wait_workers(2, without=fixed)  # leaving workers may still answer


def test_a_burst_of_changes_is_one_reload(watching, app):
    server = watching()
    for number in range(20):
        app.write_text(f"version {number}" * 10)
    app.write_text("the last")
    wait_text(server, "the last")
    server.send(signal.SIGHUP)  # a later event than any that may still arrive
    server.wait_for(r"Hang up: Master", count=2)
    assert len(re.findall("Reloading:", server.log())) == 1, server.log()


def test_what_was_not_named_does_not_reload(watching, app):
    server = watching()
    app.with_name("other.txt").write_text("x")
    os.chmod(app, 0o600)
    app.read_text()
    os.rename(app, f"{app}.away")
    os.rename(f"{app}.away", app)
    app.write_text("two")  # this one counts, so an earlier one would have counted by now
    wait_text(server, "two")
    eventually("one generation", lambda: server.generations() == [2])


def test_without_the_setting_nothing_is_watched(serve, app):
    server = serve(config=f"app: {test_plugin('watches')}\noptions: {{file: {app}}}\n")
    assert server.get("/watch").text == "0 -4"  # NARWHAL_STATE: no more is wanted
    assert "Reloader" not in server.log()
    assert proc.inotify_watches(server.pid) == 0


def test_the_setting_comes_and_goes_with_the_config_file_which_is_watched_itself(serve, app):
    server = serve(config=f"app: {test_plugin('watches')}\noptions: {{file: {app}}}\n")
    off = server.config_path.read_text()
    server.config_path.write_text(off + "reload: true\n")
    server.reload()
    server.wait_for(r"Reloader is on\.")
    app.write_text("second")
    wait_text(server, "second")
    mark = server.mark()
    server.config_path.write_text("reload: [\n")
    server.wait_for(r"\[ERROR\] Reload failed at step 'config'", after=mark)
    server.config_path.write_text(off)
    server.wait_for(r"Generation \d+ is ready", after=mark)
    eventually("the new worker", lambda: server.get("/watch").text == "0 -4")
    assert proc.inotify_watches(server.pid) == 0


def test_a_plugin_that_is_built_again_reloads(serve, tmp_path):
    so = versioned(tmp_path / "app.so", "v1")
    server = serve(so, "-w", "2", "--reload")
    for build, version in ((deploy, "v2"), (versioned, "v3")):
        build(so, version)
        wait_text(server, version)
    mark = server.mark()
    truncated(so)
    server.wait_for(r"Reload failed at step 'stage'", after=mark)
    assert server.get("/").text == "v3"
    versioned(so, "v4")
    wait_text(server, "v4")


def test_extra_files_and_patterns_reload_and_what_comes_to_fit_them(serve, tmp_path):
    for name in ("settings.ini", "templates/a.html", "data/x.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    server = serve(test_plugin("answers"), "--reload", "--reload-extra-file", "settings.ini", "--reload-extra-file",
                   tmp_path / "templates/**/*.html", "--reload-extra-file", "data")
    (tmp_path / "templates/deep").mkdir()
    for name in ("settings.ini", "templates/a.html", "templates/b.html", "data/x.csv", "data/y.csv"):
        mark, before = server.mark(), server.generations()
        (tmp_path / name).write_text("22")
        server.wait_for(MODIFIED.format(re.escape(str(tmp_path / name))), after=mark)
        eventually("the next generation", lambda: server.generations() == [before[0] + 1])


def test_a_stop_ends_the_watch(watching, app):
    server = watching()
    server.get("/")
    server.send(signal.SIGTERM)
    app.write_text("too late")
    assert server.wait_exit() == 0
    assert "Reloading" not in server.log()


def test_an_unknown_engine_is_refused_by_name():
    done = run("--reload-engine", "watchman", "--check-config", test_plugin("answers"))
    assert done.returncode == 2 and "'watchman' is not a reload engine: use auto, poll or inotify" in done.stderr
