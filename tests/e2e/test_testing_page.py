"""narwhal-testing(7): its tests are compiled as the page says, and pass."""
import re
import shutil
import subprocess

import pytest

from manual_commands import literal_blocks
from server import BUILD, ROOT, SANITIZED

PAGE = "narwhal-testing.7"
PROGRAM = BUILD / "tools" / "narwhal-plugin"
pytestmark = pytest.mark.skipif(SANITIZED, reason="the library with the test harness needs the sanitizer's own")

SHOP = """
#include <narwhal/app.hpp>

narwhal::Response shop(const narwhal::Request& request, const std::string& currency) {
  if (request.path() == "/price/7") return narwhal::Response::text("12 " + currency);
  return narwhal::Response::stream([](narwhal::Writer& writer) {
    while (!writer.gone()) writer.write("data: 1\\n\\n");
  });
}

NARWHAL_PLUGIN([currency = boot.get<std::string>("currency")](const narwhal::Request& request) { return shop(request, currency); },
               .name = "shop", .options = {{"currency", "string", "EUR"}})
"""


def source(holding):
    (block,) = [block for block in literal_blocks(PAGE) if holding in block and "#include" in block]
    return block


def build_line(program):
    (block,) = [block for block in literal_blocks(PAGE) if block.startswith(program)]
    return block.replace("\\\n", " ")


def flags(*words):
    return subprocess.run([PROGRAM, "flags", *words], check=True, capture_output=True, text=True).stdout.strip()


def run(command, folder):
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cpp_folder(tmp_path_factory):
    """With the test and the plugin, built. Compiling takes most of the time of these tests."""
    if not shutil.which("g++"):
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "shop.cpp").write_text(SHOP)
    (folder / "shop_test.cpp").write_text(source("doctest"))
    run(f"g++ {flags('--cpp')} -O0 -shared -o shop.so shop.cpp", folder)
    run(re.sub(r"\$\(.*?\)", flags("--cpp"), build_line("g++")).replace("-o shop_test", "-O0 -o shop_test"), folder)
    return folder


def test_the_test_in_cpp_passes(cpp_folder):
    assert "2 passed" in run("./shop_test", cpp_folder)


@pytest.mark.skipif(not shutil.which("cc"), reason="no compiler")
def test_the_test_in_c_passes(tmp_path):
    shutil.copyfile(ROOT / "examples" / "hello_c.c", tmp_path / "shop.c")
    (tmp_path / "shop_test.c").write_text(source("assert.h"))
    run(re.sub(r"\$\(.*?\)", f"{flags('--c')} {flags('--c', '--test')}", build_line("cc")), tmp_path)
    assert run("./shop_test", tmp_path) == ""
