"""narwhal-tutorial(7) on a Debian that has only what the page asks for: each of its commands and files, typed as they are."""
import os
import signal
import time

import pytest

from container import TUTORIAL, Container, eventually, install
from manual_commands import commands, files

MINUTES_MAX = 5


@pytest.fixture(scope="module")
def author():
    container = Container()
    try:
        install(container)
        container.must("useradd", "--create-home", "author")
        yield Author(container)
    finally:
        container.end()


class Author:
    """An ordinary user with a shell for each terminal."""

    def __init__(self, debian):
        self.debian = debian

    def words(self, command, folder):
        return ("runuser", "-u", "author", "--", "env", "-i", "HOME=/home/author", "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
                "bash", "-c", f"cd {folder} && {command}")

    def types(self, command, folder="~/shop"):
        return self.debian.must(*self.words(command, folder), timeout=300)

    def begins(self, command, folder="~/shop"):
        return self.debian.start(*self.words(command, folder))

    def saves(self, name, text, folder="/home/author/shop"):
        self.debian.write(f"{folder}/{name}", text)
        self.debian.must("chown", "author", f"{folder}/{name}")


def test_a_tested_running_reloading_plugin_in_five_minutes(author):
    make, go_in, first_test, test, run, set_price, show_price, check, start, build, reload, stop = commands(TUTORIAL)
    written = files(TUTORIAL)
    prices = show_price.removesuffix("/milk")
    begun = time.monotonic()

    author.types(make, "~")
    assert go_in == "cd shop" and "passed" in author.types(first_test)
    for name in ("shop.cpp", "shop_test.cpp", "narwhal.yaml"):
        author.saves(name, written[name])
    assert "2 passed" in author.types(test)

    server = author.begins(run)
    eventually("it serves", lambda: author.debian.run("bash", "-c", show_price).returncode == 0, 120)
    assert "HTTP/1.1 201" in author.types(set_price)
    assert author.types(show_price) == '{"in":"SEK","price":12}'
    author.saves("shop.cpp", written["shop.cpp"].replace("no such thing", "no such price"))
    eventually("the saved change is served", lambda: "no such price" in author.types(f"{prices}/tea"), 120)
    os.killpg(server.pid, signal.SIGINT)  # Ctrl-C
    server.wait(60)

    assert author.types(check).endswith("a worker boots with it\n")
    author.types(start)
    assert "no such price" in author.types(f"{prices}/tea")
    author.saves("shop.cpp", written["shop.cpp"])
    author.types(build)
    assert "no such price" in author.types(f"{prices}/tea"), "before the reload nothing changes"
    author.types(reload)
    eventually("the new plugin answers", lambda: "no such thing" in author.types(f"{prices}/tea"), 60)
    author.types(stop)
    eventually("it has ended", lambda: "narwhal.pid" not in author.types("ls"), 60)

    minutes = (time.monotonic() - begun) / 60
    print(f"the tutorial took {minutes:.1f} minutes")
    assert minutes < MINUTES_MAX
