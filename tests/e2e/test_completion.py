"""Completion in shells: made from the settings when narwhal is built, and the shells really complete with it."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from clock import scaled
from server import BUILD, run

FILES = {"bash": "narwhal", "zsh": "_narwhal", "fish": "narwhal.fish"}


def script(shell):
    return BUILD / "server" / "config" / FILES[shell]


def flags_of_help():
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", "\n".join(
        re.split("  +", line.strip())[0] for line in run("--help").stdout.splitlines() if re.match(r" +-", line))))


def complete(tmp_path, *words):
    """What bash offers for the last of the words of a command line."""
    text = f"""
source '{script("bash")}'
COMP_WORDS=(narwhal "$@"); COMP_CWORD=$#
_narwhal
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", text, "bash", *words], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("shell", FILES)
def test_each_flag_is_in_it(shell):
    text, flags = script(shell).read_text(), flags_of_help()
    assert {"--workers", "-w", "--no-sendfile", "--check-config", "--debug"} <= flags
    for flag in flags:
        shown = flag
        if shell == "fish":
            shown = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
        assert re.search(rf"(?<![\w-]){re.escape(shown)}(?![\w-])", text), flag


def test_bash_completes_flags_words_and_files(tmp_path):
    (tmp_path / "shop.so").touch()
    (tmp_path / "folder").mkdir()
    assert complete(tmp_path, "--work") == ["--workers", "--worker-class", "--worker-connections", "--worker-memory-max"]
    assert complete(tmp_path, "-w", "2", "--log-level", "w") == ["warning"]
    assert complete(tmp_path, "--log-level", "=", "de") == ["debug"]
    assert complete(tmp_path, "--log-level", "=") == ["debug", "info", "warning", "error", "critical"]
    assert complete(tmp_path, "--chdir", "") == ["folder"]
    assert complete(tmp_path, "-c", "sh") == ["shop.so"]
    assert complete(tmp_path, "--workers", "") == []
    assert complete(tmp_path, "--preload", "s") == ["shop.so"]


class Zsh:
    """An interactive zsh on a terminal; only there it completes."""

    def __init__(self, folder):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "HOME": str(folder)})

    def __enter__(self):
        self.type(f"fpath=('{script('zsh').parent}' $fpath); autoload -Uz compinit; compinit -u -D; echo 'rea''dy'\n", "ready")
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def type(self, keys, expected):
        """Types, and waits until the terminal shows what is expected."""
        os.write(self.terminal, keys.encode())
        shown, end = b"", time.monotonic() + scaled(10)
        while expected.encode() not in shown:
            assert time.monotonic() < end, f"{expected!r} is not in {shown!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 65536)


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_flags_words_and_files(tmp_path):
    (tmp_path / "shop.so").touch()
    with Zsh(tmp_path) as zsh:
        for typed, completed in [("--prel", "--preload"), ("--log-level w", "--log-level warning"), ("-c sh", "-c shop.so")]:
            zsh.type(f"narwhal {typed}\t", f"narwhal {completed} ")
            zsh.type("\x15", "")  # clears the line


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_flags_words_and_files(tmp_path):
    (tmp_path / "shop.so").touch()

    def offers(line):
        done = subprocess.run(["fish", "--no-config", "-c", f"source '{script('fish')}'; complete -C 'narwhal {line}'"],
                              cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=scaled(20))
        assert done.returncode == 0, done.stderr
        return [each.split("\t")[0] for each in done.stdout.splitlines()]
    assert offers("--work") == ["--workers", "--worker-class", "--worker-connections", "--worker-memory-max"]
    assert offers("--log-level w") == ["warning"]
    assert offers("-c sh") == ["shop.so"]
    assert offers("-w ") == []


def test_bash_asks_for_it_by_the_programs_name():
    done = subprocess.run(["bash", "-c", f"source '{script('bash')}'; complete -p narwhal"], capture_output=True,
                          text=True, timeout=20)
    assert done.stdout == "complete -F _narwhal narwhal\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_shell_reads_it(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert subprocess.run([shell, "-n", script(shell)], timeout=20).returncode == 0
