"""conf/container as shipped: what the Dockerfiles install and promise, what is sent to their build, and the health check. The
images themselves are not built here. test_read_only_root.py runs narwhal as such a container does."""
import fnmatch
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clock import scaled
from server import ROOT, clean_environment, example, run

FOLDER = ROOT / "conf/container"
FILES = ["Dockerfile", "Dockerfile.debian"]
README = (FOLDER / "README.md").read_text()
HEALTH = FOLDER / "health.py"
each_file = pytest.mark.parametrize("name", FILES)


# ---- the Dockerfiles ----

def stages(name):
    """The stages of a Dockerfile, each a list of (instruction, its text on one line)."""
    text = re.sub(r"^#.*\n", "", (FOLDER / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    found = []
    for word, rest in re.findall(r"^([A-Z]+) +(.*)$", text, re.MULTILINE):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, re.sub(r" +", " ", rest)))
    return found


def values(stage, word):
    return [rest for instruction, rest in stage if instruction == word]


def only(stage, word):
    (value,) = values(stage, word)
    return value


def installed_packages(stage):
    (words,) = re.findall(r"apt-get -q install -y --no-install-recommends ([^&]*) &&", only(stage, "RUN"))
    return words.split()


def default_seconds(setting):
    return float(re.search(rf"^\s*{setting}\s*[:=]\s*(\d+)", run("--print-config", example("hello")).stdout, re.MULTILINE)[1])


def health_command(name):
    return json.loads(only(stages(name)[-1], "HEALTHCHECK").split("CMD ")[1])


@each_file
def test_both_stages_are_of_the_debian_whose_libraries_the_server_uses(name):
    bases = [only(stage, "FROM") for stage in stages(name)]
    assert len(bases) == 2 and bases[0] == bases[1] + " AS build"
    assert re.fullmatch(r"docker\.io/library/(python:\$\{PYTHON\}-slim-bookworm|debian:bookworm-slim)", bases[1])


def test_the_python_of_the_image_is_one_that_narwhal_supports():
    default = re.search(r"^ARG PYTHON=3\.(\d+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)[1]
    least, below = re.search(r'requires-python = ">= 3\.(\d+), < 3\.(\d+)"', (ROOT / "pyproject.toml").read_text()).groups()
    assert int(least) <= int(default) < int(below)
    assert f"3.{least} to 3.{int(below) - 1}" in (FOLDER / "Dockerfile").read_text()


@each_file
def test_the_image_has_the_packages_that_the_readme_names_for_running(name):
    (named,) = re.findall(r"`apt install (libuv1 [^`]*)`", (ROOT / "README.md").read_text())
    python = ["python3"] if name == "Dockerfile.debian" else []
    assert installed_packages(stages(name)[-1]) == [*python, *named.split()]


@each_file
def test_what_it_is_built_with_is_installed_and_run_by_dev(name):
    dev = (ROOT / "dev").read_text()
    commands = [words.split() for text in values(stages(name)[0], "RUN") for words in re.findall(r"\./dev ([^&]*)", text)]
    assert commands[0][0] == "install-deps" and len(commands) == 2
    for kind in commands[0][1:]:
        assert re.search(rf"^    {kind}\) echo ", dev, re.MULTILINE), f"packages_for in ./dev does not know {kind}"
    assert re.search(rf"^cmd_{commands[1][0]}\(\)", dev, re.MULTILINE)
    # Docker keeps the packages' layer until ./dev changes: nothing else has been copied before.
    assert values(stages(name)[0], "COPY") == ["dev ./", ". ./"]


@each_file
def test_it_runs_as_a_user_with_a_fixed_number_other_than_roots(name):
    last = stages(name)[-1]
    number, group = only(last, "USER").split(":")
    assert number == group == re.search(r"useradd --uid (\d+) ", only(last, "RUN"))[1] and int(number) > 0
    assert [word for word, _ in last].index("USER") > max(i for i, (word, _) in enumerate(last) if word in ("RUN", "COPY"))


@each_file
def test_its_process_1_is_narwhal_without_a_shell(name):
    last = stages(name)[-1]
    assert json.loads(only(last, "ENTRYPOINT")) == ["narwhal"] and values(last, "CMD") == []
    assert only(last, "STOPSIGNAL") == "SIGTERM" and only(last, "WORKDIR") == "/app"


@each_file
def test_it_listens_where_the_image_says(name):
    last = stages(name)[-1]
    environment = dict(word.split("=") for word in only(last, "ENV").split())
    assert only(last, "EXPOSE") == environment["PORT"]
    shown = run("--print-config", example("hello"), env=environment).stdout
    assert re.search(rf'^bind: .*PORT\n  - "0\.0\.0\.0:{environment["PORT"]}"$', shown, re.MULTILINE)


def test_the_two_images_differ_in_nothing_else():
    first, second = ([line for line in stages(name)[-1] if line[0] not in ("FROM", "RUN")] for name in FILES)
    assert first == second and len(first) >= 9


@each_file
def test_the_health_check_waits_as_long_as_a_start_and_its_answer_may_take(name):
    text = only(stages(name)[-1], "HEALTHCHECK")
    assert float(re.search(r"--start-period=(\d+)s", text)[1]) >= default_seconds("boot_timeout")
    assert float(re.search(r"--timeout=(\d+)s", text)[1]) > float(re.search(r"timeout=(\d+)", HEALTH.read_text())[1])
    (command,) = health_command(name)
    assert f"conf/container/health.py /usr/local/bin/{command}" in values(stages(name)[-1], "COPY")
    assert os.access(HEALTH, os.X_OK)


def test_no_stop_that_the_readme_shows_is_shorter_than_the_servers():
    seconds = re.findall(r"--stop-timeout (\d+)|stop_grace_period: (\d+)s|terminationGracePeriodSeconds: (\d+)", README)
    assert len(seconds) >= 2
    assert all(float("".join(found)) > default_seconds("graceful_timeout") + 5 for found in seconds)


@pytest.mark.parametrize("path", [*sorted(FOLDER.iterdir()), ROOT / ".dockerignore"], ids=lambda path: path.name)
def test_no_folder_of_the_machine_that_wrote_it_is_in_it(path):
    assert re.findall(r"/(?:root|home|work|Users)/", path.read_text()) == []


# ---- what is sent to the build ----

def is_sent(path):
    """Whether .dockerignore lets a path through. Its last pattern that matches the path or a folder above it decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        above = ["/".join(path.split("/")[:count + 1]) for count in range(path.count("/") + 1)]
        # A pattern begins at the root unless it begins with **/, and its * stays in one folder.
        deep = pattern.startswith("**/")
        if any(fnmatch.fnmatchcase(name.split("/")[-1] if deep else name, pattern.removeprefix("**/")) and
               (deep or name.count("/") == pattern.count("/")) for name in above):
            sent = line.startswith("!")
    return sent


@pytest.mark.parametrize("path", [".git/HEAD", "build/test/narwhal", "tests/e2e/wire.py", ".mesonpy-native-file.ini", "shop.so",
                                  "plugins/wsgi/python/__pycache__/x.pyc", "conf/container/Dockerfile", "DESIGN.md"])
def test_docker_does_not_send(path):
    assert not is_sent(path)


def test_docker_sends_all_that_the_build_reads():
    folders = re.findall(r"^ *subdir\('(\w+)'\)", (ROOT / "meson.build").read_text(), re.MULTILINE)
    assert len(folders) > 6
    needed = [f"{name}/meson.build" for name in folders if name != "tests"]
    needed += ["dev", "meson.build", "meson_options.txt", "pyproject.toml", "README.md", "LICENSE", "meson/embed_python.py",
               "include/narwhal/plugin.h", "man/narwhal.1", "conf/container/health.py", "build.py", "core/build/x.cpp"]
    assert [path for path in needed if not is_sent(path)] == []


# ---- the health check ----

def health(port, *path):
    """(exit status, message, seconds) of the image's health check, run by Debian's Python with the image's variable."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-I", HEALTH, *path], capture_output=True, text=True, timeout=scaled(30),
                          env={**clean_environment(), "PORT": str(port)})
    return done.returncode, (done.stdout + done.stderr).strip(), time.monotonic() - began


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/") or 500))
        self.send_header("Location", "https://example.invalid/")  # is not followed
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def answers():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_that_serves_is_healthy(serve):
    server = serve(example("hello"))
    assert health(server.port)[:2] == (0, "")
    port = server.port
    assert server.stop() == 0
    status, message, _ = health(port)
    assert (status, message) == (1, f"port {port}: [Errno 111] Connection refused")


@pytest.mark.parametrize("status", [200, 204, 302, 401, 404])
def test_an_answer_below_500_is_healthy(answers, status):
    assert health(answers, f"/{status}")[:2] == (0, "")


@pytest.mark.parametrize("status", [500, 503])
def test_an_answer_from_500_on_is_not(answers, status):
    assert health(answers, f"/{status}")[:2] == (1, f"port {answers}: /{status} was answered {status}")
    assert health(answers)[0] == 1, "without an argument it asks for /"


def test_a_server_that_hangs_is_unhealthy_before_docker_ends_the_check():
    limit = float(re.search(r"--timeout=(\d+)s", (FOLDER / "Dockerfile").read_text())[1])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        status, message, seconds = health(silent.getsockname()[1])
    assert status == 1 and "timed out" in message and seconds < scaled(limit)


def test_the_application_cannot_change_the_health_check(answers, tmp_path):
    """Its modules may have the names of Python's own."""
    (tmp_path / "http.py").write_text("raise SystemExit(7)\n")
    first = HEALTH.read_text().splitlines()[0]
    assert first == "#!/usr/bin/env -S python3 -I"
    done = subprocess.run([HEALTH, "/200"], cwd=tmp_path, timeout=scaled(30),
                          env={**clean_environment(), "PORT": str(answers), "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
