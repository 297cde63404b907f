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
    assert wrong.returncode == 1 and "unknown option 'greetings': did you mean 'greeting'?" in wrong.stderr, wrong
    assert wrong.stdout.splitlines()[-1] == "no worker boots with it"
    wrong = plugin("call", "build/shop.so", "/", "-o", "Greeting=Hej", cwd=project)
    assert wrong.returncode == 1 and "unknown option 'Greeting': did you mean 'greeting'?" in wrong.stderr, wrong


def test_one_request_without_a_server(project):
    done = plugin("call", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello, world!\n", "")
    done = plugin("call", "-i", "-o", "greeting=Hej", "/", cwd=project)
    assert done.returncode == 0 and done.stdout.startswith("HTTP/1.1 200\n") and done.stdout.endswith("\n\nHej, world!\n"), done
    assert re.search(r"^Content-Length: 12$", done.stdout, re.M)
    missing = plugin("call", "GET /none", cwd=project)
    assert missing.returncode == 0 and "narwhal-plugin: 404" in missing.stderr, missing


def test_a_call_has_the_options_of_narwhal_yaml_as_check_has_them(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "shop")
    settings = folder / "narwhal.yaml"
    settings.write_text("app: build/shop.so\noptions:\n  greeting: \"Hej \\\\ du\"\n")
    done = plugin("call", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hej \\ du, world!\n", "")
    assert plugin("call", "-o", "greeting=Hi", cwd=folder).stdout == "Hi, world!\n"
    settings.write_text("routes:\n  - {prefix: /, app: build/shop.so, options: {greeting: no}}\n")
    assert plugin("call", cwd=folder).stdout == "no, world!\n"
    settings.write_text("app: build/shop.so\nworker: 4\n")
    for command in ("call", "check"):
        wrong = plugin(command, cwd=folder)
        assert wrong.returncode == 1 and "narwhal.yaml:2:1: unknown key 'worker': did you mean 'workers'?\n" in wrong.stderr, wrong
    settings.unlink()
    assert plugin("call", cwd=folder).stdout == "Hello, world!\n"


def test_a_call_runs_the_plugin_once_and_no_other(tmp_path):
    mark = tmp_path / "mark.so"
    shutil.copy(test_plugin("constructor_hangs"), mark)
    (tmp_path / "narwhal.yaml").write_text(f"routes:\n  - {{prefix: /a/b, app: {mark}}}\n  - {{prefix: /, app: {mark}, options: {{say: one}}}}\n")
    done = plugin("call", test_plugin("two_mounts"), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, " one 1", ""), done


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


def test_a_call_reports_crashes_breaches_and_a_deadline(tmp_path):
    crashed = plugin("call", test_plugin("crashes"), "/null")
    assert crashed.returncode == 1 and "crashes.so was sent SIGSEGV. To see it in gdb:\ngdb -ex run " in crashed.stderr, crashed
    late = plugin("call", "-t", "1", test_plugin("crashes"), "/hang", cwd=tmp_path)
    assert late.returncode == 1 and "no answer within 1 s" in late.stderr, late
    assert re.search(r"\naddr2line -Cfipe \S+crashes\.so( 0x[0-9a-f]+)+\n"
                     r"narwhal-plugin: its handler has not returned: the process is ended\n$", late.stderr), late
    none = plugin("call", test_plugin("constructor_hangs").parent / "none.so", "/")
    assert none.returncode == 1 and "none.so" in none.stderr


@pytest.mark.skipif(SANITIZED, reason="a sanitizer reports the crash itself")
def test_the_stack_of_a_crash_and_its_source_are_shown(tmp_path):
    crashed = plugin("call", shutil.copy(test_plugin("crashes"), tmp_path), "/null", cwd=tmp_path)
    stack = r"(\S+\(\S*\+0x[0-9a-f]+\) ?\[0x[0-9a-f]+\]\n)+"
    command = re.search(stack + r"(addr2line -Cfipe \S+crashes\.so( 0x[0-9a-f]+)+)\n", crashed.stderr)
    assert command, crashed.stderr
    if shutil.which("addr2line") is None:
        pytest.skip("not installed: addr2line")
    lines = subprocess.run(shlex.split(command[2]), text=True, capture_output=True, timeout=60 * SCALE).stdout.splitlines()
    assert lines[0].startswith("write_to_null at ") and lines[1].startswith("handle at "), lines


@pytest.mark.skipif(SANITIZED or shutil.which("gdb") is None, reason="needs gdb and an ordinary build")
def test_the_command_for_gdb_repeats_the_call_with_its_options_and_its_body(tmp_path):
    crashing = tmp_path / "it's here.so"
    shutil.copy(test_plugin("crashes"), crashing)
    (tmp_path / "narwhal.yaml").write_text("threads: 2\n")
    crashed = plugin("call", crashing, "POST /null", "-d", "@-", "-H", "X-A: b c", cwd=tmp_path, input="body")
    command = crashed.stderr.splitlines()[-1]
    assert command.startswith("gdb -ex run -ex bt --args ") and command.endswith(" 'POST /null' -d @BODY -H 'X-A: b c'"), crashed.stderr
    (tmp_path / "BODY").write_text("body")
    shown = subprocess.run(["sh", "-c", command.replace("gdb ", "gdb -batch ", 1)], cwd=tmp_path, text=True, capture_output=True,
                           stdin=subprocess.DEVNULL, timeout=120 * SCALE)
    assert re.search(r"^#0 .*write_to_null", shown.stdout, re.M) and re.search(r"^#1 .* handle ", shown.stdout, re.M), shown


def test_a_plugin_that_ends_its_process_is_a_failure():
    by_exit = plugin("call", test_plugin("crashes"), "/exit")
    assert by_exit.returncode == 1 and "plugin 'test' called exit() in handle() for GET /exit: " in by_exit.stderr, by_exit
    at_once = plugin("call", test_plugin("crashes"), "/leave")
    assert at_once.returncode == 1 and "crashes.so exited with code 0 before the call was over" in at_once.stderr, at_once


def test_a_call_in_this_process():
    assert '"body": "here"' in plugin("call", "--debug", example("echo"), "POST /", "-d", "here").stdout
    crashed = plugin("call", "--debug", test_plugin("crashes"), "/null")
    assert crashed.returncode == (-signal.SIGSEGV if not SANITIZED else crashed.returncode) and "gdb" not in crashed.stderr, crashed


def test_a_required_option_that_is_missing():
    for words in (["call"], ["call", "-o", "file_max=1"]):
        done = plugin(*words, example("upload"), cwd="/")
        assert done.returncode == 1, done
        assert f"options of {example('upload')}: 'folder' is missing: where files are kept: a path (set it under 'options' in " \
               "narwhal.yaml, or by -o folder=VALUE)\n" in done.stderr, done.stderr


@pytest.mark.parametrize("command", ["check", "inspect", "call"])
def test_a_file_without_a_table_is_reported_with_the_way_out(command):
    done = plugin(command, test_plugin("no_symbol"))
    assert done.returncode == 1, done
    assert "no_symbol.so: no symbol narwhal_plugin_v1: " in done.stderr and "NARWHAL_EXPORT" in done.stderr and \
           "-fvisibility=hidden" in done.stderr and "NARWHAL_APP" in done.stderr, done.stderr


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


@pytest.mark.parametrize("words, text", [
    (["biuld"], "unknown command 'biuld': did you mean 'build'?"),
    (["-C", "build", "chekc", "a.so"], "unknown command 'chekc': did you mean 'check'?"),
    (["--directory=/", "nonsense"], "unknown command 'nonsense': the commands are new, build, test, run, check, inspect, call, flags")])
def test_an_unknown_command_is_named(words, text):
    done = plugin(*words)
    assert (done.returncode, done.stderr, done.stdout) == (64, f"narwhal-plugin: {text}\n", ""), done


def test_an_unknown_flag_is_named():
    done = plugin("call", "--optoin", "a.so", "/")
    assert done.returncode == 64 and re.fullmatch(r"narwhal-plugin: .*--optoin.* \(see 'narwhal-plugin call --help'\)\n", done.stderr), done


@pytest.mark.parametrize("words, text", [
    (["check", "-o", "db"], "'db' is not an option such as key=value"),
    (["call", "-o", "=x", "/"], "'=x' is not an option such as key=value"),
    (["call", "-H", "Accept", "/"], "'Accept' is not a header field such as 'Name: value'"),
    (["call", "a.so", "GET"], "'GET' is not a request such as 'GET /path' or '/path'")])
def test_a_word_that_is_not_what_its_place_needs(words, text):
    done = plugin(*words)
    assert (done.returncode, done.stderr) == (64, f"narwhal-plugin: {text} (see 'narwhal-plugin {words[0]} --help')\n"), done


def test_method_and_target_may_be_two_words():
    assert '"method": "POST"' in plugin("call", example("echo"), "POST", "/", "-d", "here").stdout


def test_outside_of_a_project(tmp_path):
    for words in (["build"], ["test"], ["run"]):
        done = plugin(*words, cwd=tmp_path)
        assert done.returncode == 1 and "there is no Makefile in" in done.stderr, done
    for words in (["check"], ["inspect"], ["call"]):
        done = plugin(*words, cwd=tmp_path)
        assert done.returncode == 1 and "name the plugin's file" in done.stderr, done
    assert "go to /none: No such file" in plugin("-C", "/none", "build").stderr
