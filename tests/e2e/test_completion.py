"""Completion in shells: made from the settings when narwhal is built, for narwhal-plugin by hand; the shells really complete
with it."""
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
from server import BUILD, ROOT, run

FILES = {"bash": "narwhal", "zsh": "_narwhal", "fish": "narwhal.fish"}


PLUGIN_FILES = {"bash": "narwhal-plugin.bash", "zsh": "_narwhal-plugin", "fish": "narwhal-plugin.fish"}


def script(shell, program="narwhal"):
    if program == "narwhal-plugin":
        return ROOT / "tools" / "completions" / PLUGIN_FILES[shell]
    return BUILD / "server" / "config" / FILES[shell]


def flags_in(text):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", "\n".join(
        re.split("  +", line.strip())[0] for line in text.splitlines() if re.match(r" +-", line))))


def flags_of_help():
    return flags_in(run("--help").stdout)


def shown_in(shell, flag):
    if shell == "fish":
        return f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
    return flag


def complete(tmp_path, *words, program="narwhal"):
    """What bash offers for the last of the words of a command line."""
    text = f"""
source '{script("bash", program)}'
COMP_WORDS=({program} "$@"); COMP_CWORD=$#
_{program.replace("-", "_")}
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
        assert re.search(rf"(?<![\w-]){re.escape(shown_in(shell, flag))}(?![\w-])", text), flag


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

    def __init__(self, folder, program="narwhal"):
        self.folder = script("zsh", program).parent
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "HOME": str(folder)})

    def __enter__(self):
        self.type(f"fpath=('{self.folder}' $fpath); autoload -Uz compinit; compinit -u -D; echo 'rea''dy'\n", "ready")
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


def fish_offers(folder, line, program="narwhal"):
    done = subprocess.run(["fish", "--no-config", "-c", f"source '{script('fish', program)}'; complete -C '{program} {line}'"],
                          cwd=folder, env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True, timeout=scaled(20))
    assert done.returncode == 0, done.stderr
    return [each.split("\t")[0] for each in done.stdout.splitlines()]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_flags_words_and_files(tmp_path):
    (tmp_path / "shop.so").touch()

    def offers(line):
        return fish_offers(tmp_path, line)
    assert offers("--work") == ["--workers", "--worker-class", "--worker-connections", "--worker-memory-max"]
    assert offers("--log-level w") == ["warning"]
    assert offers("-c sh") == ["shop.so"]
    assert offers("-w ") == []


def test_bash_asks_for_it_by_the_programs_name():
    done = subprocess.run(["bash", "-c", f"source '{script('bash')}'; complete -p narwhal"], capture_output=True,
                          text=True, timeout=20)
    assert done.stdout == "complete -F _narwhal narwhal\n"


@pytest.mark.parametrize("program", ["narwhal", "narwhal-plugin"])
@pytest.mark.parametrize("shell", FILES)
def test_the_shell_reads_it(shell, program):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert subprocess.run([shell, "-n", script(shell, program)], timeout=20).returncode == 0


# ---- narwhal-plugin ----

def plugin_help(*words):
    done = subprocess.run([BUILD / "tools" / "narwhal-plugin", *words, "--help"], capture_output=True, text=True, timeout=scaled(20))
    assert done.returncode == 0, done.stderr
    return done.stdout


def plugin_commands():
    return re.findall(r"^  ([a-z]+) ", plugin_help().partition("Subcommands:")[2], re.MULTILINE)


@pytest.mark.parametrize("shell", FILES)
def test_each_command_and_flag_of_narwhal_plugin_is_in_it(shell):
    text, commands = script(shell, "narwhal-plugin").read_text(), plugin_commands()
    assert "new" in commands and "call" in commands
    for command in commands:
        assert re.search(rf"(?<![\w-]){command}(?![\w-])", text), command
    for flag in set().union(flags_in(plugin_help()), *(flags_in(plugin_help(command)) for command in commands)):
        if flag != "-h":
            assert re.search(rf"(?<![\w-]){re.escape(shown_in(shell, flag))}(?![\w-])", text), flag


def test_bash_offers_each_flag_of_a_command_of_narwhal_plugin(tmp_path):
    for words in [(), *((command,) for command in plugin_commands() if command not in ("build", "test", "run"))]:
        offered = complete(tmp_path, *words, "-", program="narwhal-plugin")
        wanted = {flag for flag in flags_in(plugin_help(*words)) if flag.startswith("--")}
        assert {flag for flag in offered if flag.startswith("--")} == wanted, words


def test_bash_completes_commands_and_plugins_of_narwhal_plugin(tmp_path):
    (tmp_path / "shop.so").touch()
    (tmp_path / "shop.cpp").touch()
    (tmp_path / "new").mkdir()

    def offers(*words):
        return complete(tmp_path, *words, program="narwhal-plugin")
    assert offers("") == plugin_commands()
    assert offers("-C", "new", "c") == ["check", "call"]
    assert offers("-C", "n") == ["new"]
    assert offers("check", "sh") == ["shop.so"]
    assert offers("call", "-d", "sh") == []
    assert sorted(offers("run", "sh")) == ["shop.cpp", "shop.so"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_commands_flags_and_plugins_of_narwhal_plugin(tmp_path):
    (tmp_path / "shop.so").touch()
    with Zsh(tmp_path, "narwhal-plugin") as zsh:
        for typed, completed in [("insp", "inspect"), ("new --ru", "new --rust"), ("check sh", "check shop.so")]:
            zsh.type(f"narwhal-plugin {typed}\t", f"narwhal-plugin {completed} ")
            zsh.type("\x15", "")


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_commands_flags_and_plugins_of_narwhal_plugin(tmp_path):
    (tmp_path / "shop.so").touch()
    assert fish_offers(tmp_path, "insp", "narwhal-plugin") == ["inspect"]
    assert fish_offers(tmp_path, "new --ru", "narwhal-plugin") == ["--rust"]
    assert fish_offers(tmp_path, "check sh", "narwhal-plugin") == ["shop.so"]
