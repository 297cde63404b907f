"""The wheels that ./dev wheel has built: their contents, and an environment into which one is installed. NARWHAL_WHEELS
names the Pythons, separated by colons; the wheel of each is in build/wheels."""
import base64
import csv
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest

from fixtures import servers_in
from server import ROOT, clean_environment

pytestmark = pytest.mark.soak  # an installation may take longer than two minutes

# What the server and the plugins need: these libraries, of these packages of Debian 12, and the compiler's.
RUNTIME_LIBRARIES = {
    "libuv.so.1": "libuv1", "libyaml-cpp.so.0.7": "libyaml-cpp0.7", "libspdlog.so.1.10": "libspdlog1.10",
    "libfmt.so.9": "libfmt9", "libnettle.so.8": "libnettle8"}
TOOLCHAIN_LIBRARIES = {"libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2"}


class Environment:
    """A virtual environment of a Python, in a folder of its own."""

    def __init__(self, program, folder):
        self.folder = folder
        self.run(program, "-m", "venv", folder)
        self.wheel = next((ROOT / "build" / "wheels").glob(f"narwhal-*-{self.says('tag')}-*.whl"))

    def run(self, *words):
        return subprocess.run(words, check=True, capture_output=True, text=True, cwd=self.folder.parent,
                              env=clean_environment()).stdout

    def python(self, *words):
        return self.run(self.folder / "bin" / "python", *words)

    def says(self, what):
        text = {"tag": "import sys; print('cp%d%d' % sys.version_info[:2])",
                "version": "import importlib.metadata, narwhal; print(importlib.metadata.version('narwhal'), narwhal.__version__)",
                "include": "import narwhal; print(narwhal.get_include())"}[what]
        return self.python("-c", text).strip()

    def pip(self, *words):
        return self.python("-m", "pip", "-q", "--disable-pip-version-check", *words)

    def files(self):
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")
                if not path.is_dir() and "__pycache__" not in path.parts}


@pytest.fixture(scope="module", params=os.environ["NARWHAL_WHEELS"].split(":"))
def environment(request, tmp_path_factory):
    return Environment(request.param, tmp_path_factory.mktemp("wheel") / "env")


@pytest.fixture(scope="module")
def installed(environment):
    environment.pip("install", "--no-index", environment.wheel)
    return environment


def test_the_record_names_every_file_with_its_digest(environment):
    with zipfile.ZipFile(environment.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
        record = next(name for name in names if name.endswith(".dist-info/RECORD"))
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(wheel.read(record).decode()))}
        assert set(rows) == names
        for name in names - {record}:
            digest = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest()).rstrip(b"=").decode()
            assert rows[name][0] == f"sha256={digest}", name


def test_everything_is_in_it(environment):
    plugin = f"narwhal/_server/plugins/wsgi-{environment.says('tag')}.so"
    with zipfile.ZipFile(environment.wheel) as wheel:
        names = wheel.namelist()
    for wanted in ("narwhal/_server/narwhal", "narwhal/_server/narwhalctl", "narwhal/_server/narwhal-plugin",
                   "narwhal/_server/plugins/libnarwhal-worker.so", plugin, "narwhal/_server/plugins/static.so",
                   "narwhal/py.typed", "narwhal/libnarwhal-testing.a", "narwhal/include/narwhal/plugin.h", "narwhal/include/narwhal/app.hpp"):
        assert wanted in names
    for wanted in ("man/man1/narwhal.1", "man/man1/narwhalctl.1", "man/man5/narwhal.yaml.5", "man/man7/narwhal-wsgi.7",
                   "man/man7/narwhal-migration.7", "man/man7/narwhal-plugin.7", "man/man7/narwhal-static.7", "man/man7/narwhal-testing.7",
                   "man/man1/narwhal-plugin.1", "man/man3/narwhal_plugin.h.3", "doc/narwhal/reference.html",
                   *(f"bash-completion/completions/{program}" for program in ("narwhal", "narwhalctl", "narwhal-plugin"))):
        assert any(name.endswith(".data/data/share/" + wanted) for name in names), wanted
    # The harness for tests of plugins is among the headers, and a library.
    others = [name for name in names if "narwhal/testing" not in name and "narwhal-testing" not in name]
    assert not [name for name in others if name.endswith((".cpp", ".a", ".pyc")) or "test" in name]


def test_it_needs_only_the_libraries_that_the_readme_names(environment, tmp_path):
    with zipfile.ZipFile(environment.wheel) as wheel:
        wheel.extractall(tmp_path)
    programs = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(programs) == 6  # narwhal, narwhalctl, narwhal-plugin, the two plugins and the library of workers
    needed = set()
    for path in programs:
        dynamic = subprocess.run(["readelf", "-d", path], check=True, capture_output=True, text=True).stdout
        needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
        assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
        assert str(ROOT).encode() not in path.read_bytes()
    assert needed - TOOLCHAIN_LIBRARIES == set(RUNTIME_LIBRARIES)
    readme = (ROOT / "README.md").read_text()
    assert "apt install " + " ".join(RUNTIME_LIBRARIES.values()) in readme.replace("\n", " ")


@pytest.mark.parametrize("words", [("narwhal",), ("python", "-m", "narwhal")])
def test_what_is_installed_serves_and_reloads(installed, serve, tmp_path, words):
    app = tmp_path / "shop.py"
    app.write_text("import sys\ndef app(environ, start_response):\n    start_response('200 OK', [])\n"
                   "    return [sys.prefix.encode()]\n")
    server = serve(*words[1:], "-b", "127.0.0.1:0", "-w", "2", "shop:app", bind=None, binary=installed.folder / "bin" / words[0])
    assert server.get("/").text == str(installed.folder)
    app.write_text("broken(\n")
    server.send(signal.SIGHUP)
    server.wait_for("SyntaxError")
    assert server.get("/").text == str(installed.folder)
    app.write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'new']\n")
    server.reload()
    assert server.get("/").text == "new"


@pytest.fixture(scope="module", params=[(), ("--preload",), ("--threads", "4")], ids=["", "preload", "threads"])
def cases(request, installed, tmp_path_factory):
    """The application of cases in that Python, without and with preload."""
    with servers_in(tmp_path_factory.mktemp("cases")) as start:
        yield start("-b", "127.0.0.1:0", "--chdir", Path(__file__).parent, *request.param, "cases:app", bind=None,
                    binary=installed.folder / "bin" / "narwhal")


@pytest.mark.parametrize("case", ["fork", "spawn", "forkserver", "threads", "asyncio", "subprocess", "modules", "numpy"])
def test_what_applications_do(cases, case):
    for _ in range(2):
        answer = cases.get(f"/{case}")
        if answer.text == "no numpy":
            pytest.skip("this Python has no NumPy")
        assert (answer.status, answer.text) == (200, "ok"), cases.tail()


def test_pep_3333(cases):
    assert cases.get("/written").text == "written, returned"
    again = cases.get("/again")
    assert (again.status, again.reason, again.text) == (500, "Its own", "own")
    sent = b"line 1\nline 2\nline 3\nrest"
    assert cases.get("/read", method="POST", body=sent).body == sent
    assert cases.get("/file").body == (Path(__file__).parent / "cases.py").read_bytes()
    assert cases.get("/closing").text == "part by part" and cases.get("/closed").text == "1"
    assert cases.get("/file", method="HEAD").body == b""


def test_its_version_is_the_packages(installed):
    version = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text())[1]
    assert installed.says("version") == f"{version} {version}"
    assert installed.run(installed.folder / "bin" / "narwhal", "--version").startswith(f"narwhal (version {version})\n")


def test_a_plugin_can_be_built_from_its_headers_and_served(installed, serve, tmp_path):
    subprocess.run(["g++", "-std=c++20", "-fPIC", "-shared", "-fvisibility=hidden", "-I" + installed.says("include"),
                    "-o", tmp_path / "hello.so", ROOT / "examples" / "hello.cpp"], check=True)
    server = serve("-b", "127.0.0.1:0", "./hello.so", bind=None, binary=installed.folder / "bin" / "narwhal")
    assert server.get("/").status == 200


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("language", ["--cpp", "--c"])
def test_a_new_plugin_is_tested_and_checked(installed, tmp_path, language):
    def plugin(folder, *words):
        done = subprocess.run([installed.folder / "bin" / "narwhal-plugin", "-C", folder, *words], capture_output=True, text=True,
                              env={**clean_environment(), "CFLAGS": "-O0", "CXXFLAGS": "-O0"}, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    plugin(tmp_path, "new", "shop", language)
    assert "passed" in plugin(tmp_path / "shop", "test")
    plugin(tmp_path / "shop", "build")
    assert plugin(tmp_path / "shop", "check").endswith("a worker boots with it\n")


def test_an_application_without_a_plugin_for_its_python_is_refused(installed, tmp_path):
    fake = tmp_path / "other" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text("#!/bin/sh\necho 3.4\n")
    fake.chmod(0o755)
    done = subprocess.run([installed.folder / "bin" / "narwhal", "--venv", tmp_path / "other", "a:b"], capture_output=True,
                          text=True, env=clean_environment(), timeout=60)
    assert done.returncode == 1 and f"{fake} is Python 3.4, and applications run in 3.9 to 3.13" in done.stderr


def test_no_file_is_left_of_it(environment):
    """pip itself leaves the empty folders of share/."""
    other = Environment(environment.folder / "bin" / "python", environment.folder.parent / "other")
    before = other.files()
    other.pip("install", "--no-index", environment.wheel)
    assert {"bin/narwhal", "share/man/man1/narwhal.1"} <= other.files() - before
    other.python("-m", "narwhal", "--version")
    other.pip("uninstall", "-y", "narwhal")
    assert other.files() == before
