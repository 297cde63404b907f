"""narwhal-tutorial(7): its files and commands, in the order of the page, as a reader types them."""
import os
import re
import shutil

import pytest

import wire
from clock import eventually
from manual_commands import Typed, commands, files, typed
from server import BUILD, SANITIZED, parse_address

PAGE = "narwhal-tutorial.7"
NEEDED = [tool for tool in ("make", "c++", "curl") if shutil.which(tool) is None]
pytestmark = [pytest.mark.skipif(SANITIZED, reason="the compiler's flags are those of an ordinary build"),
              pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {NEEDED}")]
# What it compiles is compiled quickly.
ENVIRON = {"PATH": f"{BUILD / 'tools'}:{os.environ['PATH']}", "CXXFLAGS": "-O0"}


@pytest.mark.timeout(300)  # it compiles a plugin and its test several times
def test_the_tutorial_works_from_its_first_command_to_its_last(tmp_path, monkeypatch):
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    make, go_in, first_test, test, run, set_price, show_price, check, start, build, reload, stop = commands(PAGE)
    assert make == "narwhal-plugin new shop" and go_in == "cd shop"
    typed(make, tmp_path)
    folder = tmp_path / "shop"
    assert "2 passed" in typed(first_test, folder, 300) or "3 passed" in typed(first_test, folder, 300)

    written = files(PAGE)
    assert sorted(written) == ["narwhal.yaml", "shop.cpp", "shop_test.cpp"]
    for name, text in written.items():
        (folder / name).write_text(text)
    assert "2 passed" in typed(test, folder, 300)

    with Typed(run, folder) as served:
        address, _ = served.serving()
        place = "127.0.0.1:%d" % address[1]
        assert "HTTP/1.1 201" in typed(set_price.replace("127.0.0.1:8000", place), folder)
        assert '{"in":"SEK","price":12}' in typed(show_price.replace("127.0.0.1:8000", place), folder)

    assert typed(check, folder).endswith("a worker boots with it\n")
    log = folder / "log"
    typed(f"{start} --log-file {log}", folder)
    eventually("it serves", lambda: re.search(r"Listening at: (.+) \(\d+\)$", log.read_text(), re.M) and "is ready" in log.read_text())
    address = parse_address(re.search(r"Listening at: (.+) \(\d+\)$", log.read_text(), re.M)[1])
    assert wire.fetch(address, "/prices/milk").status == 404
    source = folder / "shop.cpp"
    source.write_text(source.read_text().replace("no such thing", "no such price"))
    typed(build, folder, 300)
    assert "no such thing" in wire.fetch(address, "/prices/milk").text, "before the reload nothing changes"
    typed(reload, folder)
    eventually("the new plugin answers", lambda: "no such price" in wire.fetch(address, "/prices/milk").text, timeout=30)
    typed(stop, folder)
    eventually("it has ended", lambda: not (folder / "narwhal.pid").exists(), timeout=30)
