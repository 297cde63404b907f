"""The README's commands, typed as they are written there: its plugin, its compiler line, its reload."""
import re
import shlex
import shutil
import subprocess

import pytest

from clock import eventually
from server import ROOT, WSGI

README = (ROOT / "README.md").read_text()


def block(language, holding):
    (found,) = [text for kind, text in re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
                if kind == language and holding in text]
    return found


def build(folder, source):
    """Compiles README's plugin with README's command, as a user in the project's folder would."""
    (command,) = [line for line in block("sh", "-o greet.so").splitlines() if line.startswith("g++ ")]
    (folder / "greet.cpp").write_text(source)
    words = [word.replace("greet.", f"{folder}/greet.") for word in shlex.split(command)]
    done = subprocess.run([*words, "-Wall", "-Wextra", "-Werror"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")
def test_the_plugin_of_the_readme_builds_serves_and_reloads(serve, tmp_path):
    source = block("cpp", "NARWHAL_APP")
    assert len(source.strip().splitlines()) <= 10
    build(tmp_path, source)
    server = serve("--workers", 2, "--pid", tmp_path / "narwhal.pid", tmp_path / "greet.so")
    assert server.get("/?name=Ada").body == b"Hello, Ada!\n"
    assert server.get("/").body == b"Hello, stranger!\n"
    assert (tmp_path / "narwhal.pid").read_text().strip() == str(server.pid)

    build(tmp_path, source.replace("Hello, ", "Good day, "))
    server.reload()
    eventually("the new code answers", lambda: server.get("/?name=Ada").body == b"Good day, Ada!\n")


@pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs python3-dev")
def test_gunicorns_command_line_serves_with_narwhals_name(serve, tmp_path):
    line = block("sh", "2-hbnb").strip().splitlines()[0]
    assert f"`{line.replace('narwhal', 'gunicorn', 1)}`" in README
    (tmp_path / "web_dynamic").mkdir()
    (tmp_path / "web_dynamic/2-hbnb.py").write_text((ROOT / "examples/wsgi/hello.py").read_text())
    program, *words = shlex.split(line.replace("-b 0.0.0.0:5003 ", ""))  # no fixed port, no other machine
    server = serve(*words)
    server.wait_workers(3)
    assert program == "narwhal" and server.get("/").text == "Hello, world!\n"


def test_every_file_that_the_readme_names_exists():
    names = set(re.findall(r"`((?:include|examples|man|conf|tests)/[\w./-]*|[A-Z]+(?:\.md)?)`", README))
    assert len(names) > 8
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []
