"""meson/embed_files.py: files become C++ constants of the same bytes, with a digest that changes with them."""
import subprocess

import embed_files
import pytest

HEADER = """#include <span>
#include <string_view>
namespace one { struct Asset { std::string_view name, bytes, digest; };
std::span<const Asset> assets() noexcept; std::string_view assets_digest() noexcept; }
"""
MAIN = """#include "files.cpp"
#include <cstdio>
int main() {
  for (const auto& asset : one::assets()) {
    std::printf("%.*s %.*s\\n", int(asset.name.size()), asset.name.data(), int(asset.digest.size()), asset.digest.data());
    std::fwrite(asset.bytes.data(), 1, asset.bytes.size(), stdout);
  }
  std::puts(one::assets_digest().data());
}
"""


def printed(folder, texts):
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "assets.hpp").write_text(HEADER)
    (folder / "main.cpp").write_text(MAIN)
    embed_files.main(str(folder / "files.cpp"), "one", "assets.hpp", str(folder), *(str(folder / name) for name in texts))
    subprocess.run(["c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-o", folder / "main", folder / "main.cpp"], check=True)
    return subprocess.run([folder / "main"], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()


def test_the_constants_have_the_files_bytes_in_the_order_of_their_names(tmp_path):
    texts = {"b/x.css": 'a { content: "\\"" }\n\n', "a.html": "ä €??/\t\n"}
    lines = printed(tmp_path, texts)
    assert [line.split()[0] for line in (lines[0], lines[2])] == ["a.html", "b/x.css"]
    assert lines[1] == "ä €??/\t" and lines[3:5] == ['a { content: "\\"" }', ""]
    digests = [lines[0].split()[1], lines[2].split()[1], lines[5]]
    assert all(len(digest) == 16 for digest in digests)
    again = printed(tmp_path, {**texts, "b/x.css": "other\n"})
    assert again[0].split()[1] == digests[0] and again[2].split()[1] != digests[1] and again[-1] != digests[2]


@pytest.mark.parametrize("data", [b"no newline", b"a\0b\n"])
def test_a_file_that_is_not_a_text_stops_the_build(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(SystemExit, match="x: not a text that ends with a newline"):
        embed_files.main(str(tmp_path / "out.cpp"), "one", "assets.hpp", str(tmp_path), str(tmp_path / "x"))
    assert not (tmp_path / "out.cpp").exists()
