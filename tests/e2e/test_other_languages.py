"""examples/words.rs and examples/words.d: the same plugin in Rust and in D. Skipped where their compilers are not installed."""
import re
import shutil
import subprocess

import pytest

from load import in_parallel
from server import BUILD, example, run

COMPILERS = {"rust": ["rustc"], "d": ["gdc", "ldc2"]}


@pytest.fixture(params=COMPILERS)
def plugin(request):
    compilers, file = COMPILERS[request.param], example(f"words_{request.param}")
    if not file.exists():
        assert not any(map(shutil.which, compilers)), f"{file} was not built: configure again"
        pytest.skip(f"not installed: {' or '.join(compilers)}")
    return file


@pytest.mark.parametrize("threads", ["1", "4"])
def test_words_are_counted(serve, plugin, threads):
    server = serve(plugin, "-w", "1", "--threads", threads)
    assert server.get("/", headers=[("User-Agent", "test")]).text == "Hello, test!\n"
    assert server.get("/words/none").status == 404
    with server.connect() as wire:
        assert wire.ask("/words", method="POST", body=b"one two\n two ").text == "3 words\n"
        assert wire.ask("/words/two").text == "2\n"
        assert wire.ask("/words").status == 405 and wire.ask("/words").header("Allow") == "POST"
        assert wire.ask("/none").status == 404
        assert wire.ask("/words", method="POST", body=b"").text == "0 words\n"


def test_the_handler_threads_share_the_counts(serve, plugin):
    server = serve(plugin, "-w", "1", "--threads", "4")

    def client(number):
        with server.connect(timeout=20) as wire:
            return [wire.ask("/words", method="POST", body=f"all of{number}".encode()).text for _ in range(100)]
    for texts in in_parallel(8, client):
        assert texts == ["2 words\n"] * 100
    assert server.get("/words/all").text == "800\n" and server.get("/words/of3").text == "100\n"


def test_the_option_is_checked(serve, plugin):
    done = run("--check-config", plugin, "--option", "most=many")
    assert done.returncode == 1 and "most: 'many' is not of type int" in done.stderr
    done = run("--check-config", plugin, "--option", "most=-1")
    assert done.returncode == 1 and re.search(r"worker_init of \S+: most: ", done.stderr)
    server = serve(plugin, "-w", "1", "--option", "most=2")
    assert server.get("/words", method="POST", body=b"one two one").text == "3 words\n"
    assert server.get("/words", method="POST", body=b"three").status == 507
    assert server.get("/words", method="POST", body=b"x" * 101).status == 413


def test_the_tool_reads_it(plugin):
    done = subprocess.run([BUILD / "tools" / "narwhal-plugin", "check", plugin], capture_output=True, text=True, check=True)
    assert "words 1.0, built for ABI 1.0\nhooks: worker_init, handle, worker_exit\n" in done.stdout
    assert 'option: most (int), default "1000": different words that are kept\n' in done.stdout


def test_a_new_version_is_loaded_by_a_reload(serve, plugin):
    server = serve(plugin, "-w", "2")
    server.reload()
    assert server.get("/words", method="POST", body=b"one").text == "1 words\n"


def test_a_panic_stays_inside(serve, plugin):
    if "rust" not in plugin.name:
        pytest.skip("there is nothing that could be thrown: the compiler checks it")
    server = serve(plugin, "-w", "1")
    worker, = server.worker_pids()
    for _ in range(3):
        assert server.get("/panic").status == 500
    server.wait_for("asked for")
    assert server.get("/").status == 200 and server.worker_pids() == [worker]
