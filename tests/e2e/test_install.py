"""meson install: all that an operator and an author of plugins need, in the places where it is looked for."""
import os
import re
import shutil
import subprocess

import pytest

from server import BUILD, ROOT, SANITIZED

pytestmark = pytest.mark.skipif(not shutil.which("meson"), reason="meson is not installed")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    # Strips a copy; nothing is built, because other tests run programs of this build.
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", folder], capture_output=True,
                          text=True, timeout=120, env={**os.environ, "PATH": f"/usr/bin:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "usr/local"


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_programs_pages_completions_units_and_examples_are_installed(installed):
    files = files_of(installed)
    programs = {"narwhal", "narwhalctl", "narwhal-plugin"}
    assert {f"bin/{program}" for program in programs} <= files
    pages = {page.name for page in (ROOT / "man").glob("*.[1-8]")}
    assert {f"share/man/man{page[-1]}/{page}" for page in pages} <= files
    for program in programs:
        assert {f"share/bash-completion/completions/{program}", f"share/zsh/vendor-completions/_{program}",
                f"share/fish/vendor_completions.d/{program}.fish"} <= files
    assert "share/doc/narwhal/reference.html" in files
    units = {"narwhal.service", "narwhal.socket", "narwhal@.service", "narwhal@.socket"}
    assert {f"lib/systemd/system/{unit}" for unit in units} <= files
    examples = {path for path in files_of(ROOT / "conf") if path.split("/")[0] not in ("debian", "meson.build")}
    assert {f"share/doc/narwhal/examples/{path}" for path in examples if path.split("/")[-1] not in units} <= files


def test_a_plugin_is_built_with_what_pkg_config_says(installed, tmp_path):
    (place,) = installed.rglob("narwhal.pc")
    assert re.search(r"^plugindir=\$\{prefix\}/lib.*/narwhal/plugins$", place.read_text(), re.MULTILINE)
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={installed}", "--cflags", "narwhal"], capture_output=True,
                           text=True, env={**os.environ, "PKG_CONFIG_PATH": str(place.parent)})
    assert flags.returncode == 0, flags.stderr
    headers = {path for path in files_of(ROOT / "include/narwhal")}
    assert headers == files_of(installed / "include/narwhal")
    (tmp_path / "shop.c").write_text("#include <narwhal/plugin.h>\nconst unsigned major = NARWHAL_ABI_MAJOR;\n")
    subprocess.run(["cc", *flags.stdout.split(), "-shared", "-fPIC", "-o", tmp_path / "shop.so", tmp_path / "shop.c"], check=True)


@pytest.mark.skipif(SANITIZED, reason="the library needs the sanitizer's own")
def test_a_test_of_a_plugin_in_c_is_built_with_what_pkg_config_says_and_runs(installed, tmp_path):
    (place,) = installed.rglob("narwhal-testing.pc")
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={installed}", "--cflags", "--libs", "narwhal-testing"],
                           capture_output=True, text=True, env={**os.environ, "PKG_CONFIG_PATH": str(place.parent)})
    assert flags.returncode == 0, flags.stderr
    sources = [ROOT / "examples/hello_c.c", ROOT / "examples/tests/hello_c_test.c"]
    # narwhal.pc, which this one needs, has the prefix of its own: its headers are named here.
    subprocess.run(["cc", "-std=c11", f"-I{installed}/include", "-o", tmp_path / "test", *sources, *flags.stdout.split()], check=True)
    done = subprocess.run([tmp_path / "test"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
