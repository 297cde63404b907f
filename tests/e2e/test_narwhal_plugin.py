"""narwhal-plugin: from `new` to a plugin that is served, as an author uses it, with the real compiler and make."""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import urllib.request

import pytest

from clock import SCALE, eventually
from server import BUILD, ROOT, SANITIZED, example, test_plugin

PROGRAM = BUILD / "tools" / "narwhal-plugin"
# Compiling takes most of the time of these tests.
ENVIRON = {**os.environ, "NARWHAL_PLUGIN": str(PROGRAM), "CFLAGS": "-O0", "CXXFLAGS": "-O0", "RUSTFLAGS": "-g"}
NEEDED = [tool for tool in ("make", "c++", "cc") if shutil.which(tool) is None]


def plugin(*words, cwd=None, **more):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, env=ENVIRON, text=True, capture_output=True, timeout=120 * SCALE, **more)


@pytest.fixture(scope="module", params=["--cpp", "--c", "--rust"])
def project(request, tmp_path_factory):
    if NEEDED:
        pytest.skip(f"not installed: {NEEDED}")
    if SANITIZED and request.param != "--cpp":
        pytest.skip("the library with the test harness needs the sanitizer's own")
    if request.param == "--rust" and shutil.which("rustc") is None:
        pytest.skip("not installed: rustc")
    folder = tmp_path_factory.mktemp("new") / "shop"
    made = plugin("new", folder, request.param)
    assert made.returncode == 0 and f"cd {folder} && narwhal-plugin run" in made.stdout, made
    built = plugin("build", cwd=folder)
    assert built.returncode == 0, built.stderr
    assert not re.search(r"warning|error", built.stderr), built.stderr
    return folder


def source_of(folder):
    (source,) = [*folder.glob("shop.c*"), *folder.glob("shop.rs")]
    return source


# ---- a project ----
def test_a_new_project_passes_its_own_tests(project):
    done = plugin("test", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_a_test_that_fails_fails(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "shop")
    source = source_of(folder)
    source.write_text(source.read_text().replace(", world", ", moon", 1))
    done = plugin("test", cwd=folder)
    assert done.returncode != 0 and "failed" in done.stdout + done.stderr, done


def test_a_new_project_boots_and_says_what_it_is(project):
    done = plugin("-C", project, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "build/shop.so: shop 0.1, built for ABI 1.0"
    assert 'option: greeting (string), default "Hello": the first word of every answer' in done.stdout
    assert done.stdout.splitlines()[-1] == "a worker boots with it"
    assert plugin("check", "build/shop.so", "-o", "greeting=Hej", cwd=project).returncode == 0
    wrong = plugin("check", "-o", "greetings=Hej", cwd=project)
    assert wrong.returncode == 1 and "unknown option 'greetings'" in wrong.stderr, wrong
    assert wrong.stdout.splitlines()[-1] == "no worker boots with it"


def test_one_request_without_a_server(project):
    done = plugin("call", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello, world!\n", "")
    done = plugin("call", "-i", "-o", "greeting=Hej", "/", cwd=project)
    assert done.returncode == 0 and done.stdout.startswith("HTTP/1.1 200\n") and done.stdout.endswith("\n\nHej, world!\n"), done
    assert re.search(r"^Content-Length: 12$", done.stdout, re.M)
    missing = plugin("call", "GET /none", cwd=project)
    assert missing.returncode == 0 and "narwhal-plugin: 404" in missing.stderr, missing


def test_the_call_that_the_page_shows(project):
    (line,) = re.findall(r"^narwhal-plugin (call .*)$", (ROOT / "man" / "narwhal-plugin.1").read_text(), re.MULTILINE)
    done = plugin(*shlex.split(line), cwd=project)
    if not (project / "shop.cpp").exists():
        assert done.stdout.startswith("HTTP/1.1 404\n"), "the other templates have no such path: the page shows the one in C++"
        return
    assert done.returncode == 0 and done.stdout.startswith("HTTP/1.1 200\n") and done.stdout.endswith("\n\nHej, me!\n"), done


class Run:
    """`narwhal-plugin run` with what it has written so far."""
    def __init__(self, folder, *words):
        self.process = subprocess.Popen([PROGRAM, "run", "-b", "127.0.0.1:0", *words], cwd=folder, env=ENVIRON, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.text = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.text += line

    def wait_for(self, pattern):
        eventually(f"{pattern} in {self.text}", lambda: re.search(pattern, self.text), timeout=60)
        return re.search(pattern, self.text)

    def get(self):
        port = self.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)")[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10 * SCALE) as answer:
            return answer.read().decode()

    def end(self, signo=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signo)
        self.process.wait(timeout=20 * SCALE)
        self.reader.join(timeout=20 * SCALE)
        return self.process.returncode


def test_what_is_saved_is_built_and_served_and_what_does_not_build_is_not(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "shop")
    source = source_of(folder)
    good = source.read_text()
    run = Run(folder)
    try:
        run.wait_for("Listening at")
        eventually("it serves", lambda: run.get() == "Hello, world!\n", timeout=30)
        source.write_text(good.replace("world", "moon"))
        eventually("what was saved is served", lambda: run.get() == "Hello, moon!\n", timeout=60)
        source.write_text(good + "\nthis is not C;\n")
        run.wait_for("the build failed; the server goes on with the last one")
        assert run.get() == "Hello, moon!\n"
        source.write_text(good.replace("world", "sun"))
        eventually("what was repaired is served", lambda: run.get() == "Hello, sun!\n", timeout=60)
    finally:
        code = run.end()
    assert code == 0, run.text


SLOW_COMPILER = """\
#!/bin/sh
"$@" || exit
case " $* " in *" -c "*) ;; *) exit ;; esac
touch compiled
while [ -e hold ]; do sleep 0.05; done
for each; do [ "$last" != -o ] || touch "$each"; last=$each; done
"""


def test_what_is_saved_during_a_build_is_built_and_served_too(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "shop")
    source = source_of(folder)
    if source.suffix != ".cpp":
        pytest.skip("how the changes come to make does not depend on the language")
    compiler = tmp_path / "c++"
    compiler.write_text(SLOW_COMPILER)
    compiler.chmod(0o755)
    makefile = folder / "Makefile"
    makefile.write_text(makefile.read_text().replace("$(CXX) ", f"{compiler} $(CXX) "))
    good = source.read_text()
    run = Run(folder)
    try:
        eventually("it serves", lambda: run.get() == "Hello, world!\n", timeout=60)
        (folder / "compiled").unlink(missing_ok=True)
        (folder / "hold").touch()
        source.write_text(good.replace("world", "moon"))
        eventually("it is compiled", (folder / "compiled").exists, timeout=60)
        source.write_text(good.replace("world", "sun"))
        os.utime(source, (0, 1_000_000_000))  # older than what the build makes, whatever the clock's steps
        (folder / "hold").unlink()
        eventually("the last save is served", lambda: run.get() == "Hello, sun!\n", timeout=60)
    finally:
        code = run.end()
    assert code == 0, run.text


def test_run_ends_with_its_server(project):
    run = Run(project)
    server = int(run.wait_for(r"\[(\d+)\] \[INFO\] Listening at")[1])
    os.kill(server, signal.SIGTERM)
    run.process.wait(timeout=20 * SCALE)
    assert run.end() == 0
    refused = plugin("run", "--workers", "none", cwd=project)
    assert refused.returncode == 2 and "--workers: 'none' is not a whole number" in refused.stderr, refused


# ---- any plugin ----
def test_check_names_what_is_missing_before_anything_runs(tmp_path):
    done = plugin("check", test_plugin("undefined_symbol"))
    assert done.returncode == 1 and "missing: the function or variable " in done.stdout, done
    library = BUILD / "tests" / "plugins" / "needs_lib" / "needs_lib.so"
    alone = shutil.copy(library, tmp_path)
    done = plugin("check", alone)
    assert done.returncode == 1 and "missing: the library " in done.stdout, done


@pytest.mark.parametrize("name, reason", [
    ("init_fails", "init fails on purpose"), ("constructor_crashes", "the process was sent SIGABRT"),
    ("ready_check_fails", "the self-check fails on purpose")])
def test_check_says_why_no_worker_boots(name, reason):
    done = plugin("check", test_plugin(name))
    assert done.returncode == 1 and "no worker boots with it" in done.stdout, done
    assert reason in done.stderr, done.stderr


def test_inspect_in_json():
    facts = json.loads(plugin("inspect", "--json", example("notes")).stdout)
    assert facts["name"] == "notes" and facts["abi"] == "1.0" and "handle" in facts["hooks"], facts
    assert facts["options"][0]["key"] == "folder" and facts["options"][0]["required"] is False


def test_a_call_reports_crashes_breaches_and_a_deadline():
    crashed = plugin("call", test_plugin("crashes"), "/null")
    assert crashed.returncode == 1 and "SIGSEGV" in crashed.stderr and "gdb --args narwhal --debug" in crashed.stderr, crashed
    late = plugin("call", "-t", "1", test_plugin("crashes"), "/hang")
    assert late.returncode == 1 and "no answer within 1 s" in late.stderr, late
    none = plugin("call", test_plugin("constructor_hangs").parent / "none.so", "/")
    assert none.returncode == 1 and "none.so" in none.stderr


def test_a_body_comes_from_a_file_or_standard_input(tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"from a file")
    echo = example("echo")
    assert "from a file" in plugin("call", echo, "POST /", "-d", f"@{body}").stdout
    assert "from a pipe" in plugin("call", echo, "POST /", "-d", "@-", input="from a pipe").stdout
    assert "as it is" in plugin("call", echo, "POST /", "-d", "as it is").stdout
    missing = plugin("call", echo, "POST /", "-d", f"@{tmp_path}/none")
    assert missing.returncode == 1 and "none: No such file or directory" in missing.stderr


# ---- wrong usage ----
@pytest.mark.parametrize("words", [[], ["nonsense"], ["new"], ["new", "a", "--c", "--cpp"], ["call", "-t", "0"], ["inspect", "a.so", "b.so"]])
def test_wrong_usage(words):
    done = plugin(*words)
    assert done.returncode == 64 and done.stderr + done.stdout, done


def test_outside_of_a_project(tmp_path):
    for words in (["build"], ["test"], ["run"]):
        done = plugin(*words, cwd=tmp_path)
        assert done.returncode == 1 and "there is no Makefile in" in done.stderr, done
    for words in (["check"], ["inspect"], ["call"]):
        done = plugin(*words, cwd=tmp_path)
        assert done.returncode == 1 and "name the plugin's file" in done.stderr, done
    assert "go to /none: No such file" in plugin("-C", "/none", "build").stderr
