"""The tests that the examples bring along: each example has one, and valgrind finds nothing in it."""
import os
import re
import shutil
import subprocess

import pytest

from clock import scaled
from server import BUILD, ROOT, SANITIZED, example

TESTS = sorted(path.stem.removesuffix("_test") for path in (ROOT / "examples" / "tests").glob("*_test.c*"))


def test_each_example_has_a_test():
    examples = {path.stem for path in (ROOT / "examples").iterdir() if path.suffix in (".cpp", ".c")}
    examples |= {path.parent.name for path in (ROOT / "examples").glob("*/plugin.cpp")}
    assert examples == set(TESTS)


# A password is hashed for a tenth of a second, which valgrind makes half a minute.
LEFT_OUT = {"hbnb": ["--test-case-exclude=*every kind of record*"]}
# valgrind does not know what libjpeg-turbo's vector code reads beside a row, and never uses.
ENVIRONMENT = {**os.environ, "JSIMD_FORCENONE": "1"}


@pytest.mark.skipif(SANITIZED, reason="valgrind needs an ordinary build")
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="not installed: valgrind")
@pytest.mark.parametrize("name", TESTS)
def test_valgrind_finds_nothing_in_an_example(name):
    binaries = [path for path in (BUILD / "tests").glob(f"*example_{name}") if path.is_file()]
    if not binaries and not example(name).exists():
        pytest.skip("the example is not built: a library is missing")
    binary, = binaries
    # What an example or the harness keeps for ever is still reachable; only what nobody can free any more is lost.
    done = subprocess.run(
        ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
         "--show-leak-kinds=definite,indirect", "--fair-sched=yes", binary, *LEFT_OUT.get(name, [])],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=scaled(110), check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert not re.search("^==", done.stderr, re.MULTILINE), done.stderr
