"""The command line: --version, --help, --check-config, --print-config, and errors that help."""
import os
import re
import shutil
import subprocess
import sys

import pytest

import proc
from clock import eventually
from server import BINARY, SANITIZED, example, run, test_plugin


def test_version():
    done = run("--version")
    assert done.returncode == 0 and not done.stderr
    version = r"\d+\.\d+\.\d+"
    assert re.fullmatch(rf"narwhal \(version {version}\)\nlibuv {version}\nllhttp {version}\n", done.stdout)
    assert run("-v").stdout == done.stdout


def test_help_fits_a_person():
    done = run("--help")
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 120 and len(lines) <= 134
    for flag in ("-b, --bind", "-w, --workers", "--threads", "-t, --timeout", "--graceful-timeout", "--keep-alive",
                 "-c, --config", "--check-config", "--print-config", "--access-logfile", "--log-level", "-p, --pid",
                 "-u, --user", "-g, --group"):
        assert flag in done.stdout, flag
    assert ":ref:" not in done.stdout and "``" not in done.stdout
    assert run("-h").stdout == done.stdout


# ---- --check-config ----
def test_check_config_is_silent_when_all_is_well():
    done = run("--check-config", example("echo"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("plugin", ["no_symbol", "undefined_symbol"])
def test_check_config_loads_the_plugins(plugin):
    done = run("--check-config", test_plugin(plugin))
    assert done.returncode == 1 and plugin in done.stderr, done


def test_check_config_misses_no_missing_file(tmp_path):
    done = run("--check-config", tmp_path / "gone.so")
    assert done.returncode == 1 and "gone.so" in done.stderr


def test_check_config_binds_nothing_and_leaves_nothing(tmp_path):
    path, pid = tmp_path / "s.sock", tmp_path / "pid"
    assert run("--check-config", "-b", f"unix:{path}", "--pid", pid, example("echo")).returncode == 0
    assert not path.exists() and not pid.exists()


# What keeps a worker from serving, and what the check says of it.
UNFIT = {
    "constructor_crashes": r"load \S+: the process was sent SIG(SEGV|ABRT)",
    "constructor_hangs": r"load \S+: not done after 1 s \(boot_timeout\)",
    "thread_in_constructor": r"load \S+: it started a thread while it was loaded",
    "init_crashes": r"worker_init of \S+: the process was sent SIG(SEGV|ABRT)",
    "init_exits": r"worker_init of \S+: the process exited with code \d+",
    "init_hangs": r"worker_init of \S+: not done after 1 s \(boot_timeout\)",
    "init_fails": r"worker_init of \S+: ",
    "init_throws": r"worker_init of \S+: ",
    "ready_check_fails": r"ready_check of \S+: the self-check fails on purpose",
}


@pytest.mark.parametrize("plugin", UNFIT)
def test_check_config_boots_a_worker(plugin):
    done = run("--check-config", "--boot-timeout", "1", test_plugin(plugin))
    assert done.returncode == 1 and re.search(UNFIT[plugin], done.stderr), done.stderr
    assert plugin in done.stderr
    if plugin.endswith("crashes") and not SANITIZED:
        assert re.search(rf"\[CRITICAL\] The check died of SIG(SEGV|ABRT).*\n(.*\n)+.*addr2line -\S+ \S+{plugin}\.so 0x", done.stderr), done.stderr


def test_check_config_accepts_a_thread_of_worker_init():
    assert run("--check-config", test_plugin("thread_in_init")).returncode == 0


def test_check_config_runs_preload_where_the_settings_ask_for_it():
    fails = {"PRELOAD_FAILS": "1"}
    assert run("--check-config", test_plugin("preloads"), env=fails).returncode == 0
    done = run("--check-config", "--preload", test_plugin("preloads"), env=fails)
    assert done.returncode == 1 and re.search(r"preload of \S+: preload fails on purpose", done.stderr), done.stderr
    assert run("--check-config", "--preload", test_plugin("preloads")).returncode == 0


NOWHERE = {"--error-logfile": ("errorlog", "gone/x.log"), "--access-logfile": ("accesslog", "gone/x.log"),
           "--pid": ("pidfile", "gone/x.pid"), "--tmp-upload-dir": ("tmp_upload_dir", "gone"), "--chdir": ("chdir", "gone")}


@pytest.mark.parametrize("flag", NOWHERE)
def test_check_config_finds_paths_that_cannot_be_used(tmp_path, flag):
    setting, path = NOWHERE[flag]
    done = run("--check-config", flag, tmp_path / path, example("echo"))
    assert done.returncode == 1 and setting in done.stderr and str(tmp_path / "gone") in done.stderr, done.stderr
    (tmp_path / "gone").write_text("a file, not a directory")
    done = run("--check-config", flag, tmp_path / path, example("echo"))
    assert done.returncode == 1 and setting in done.stderr and str(tmp_path / "gone") in done.stderr, done.stderr
    (tmp_path / "gone").unlink()
    (tmp_path / "gone").mkdir()
    done = run("--check-config", flag, tmp_path / path, example("echo"))
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((tmp_path / "gone").iterdir()), "--check-config leaves nothing"


def run_as_nobody(*args):
    """As root this process can become nobody, who cannot become anybody."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    work = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", work, str(BINARY), *map(str, args)], capture_output=True, text=True,
                          timeout=30, cwd="/")


@pytest.mark.parametrize("args", [("--user", "root"), ("--group", "root"), ("--user", "1", "--group", "1")])
@pytest.mark.parametrize("mode", [(), ("--check-config",)])
def test_another_user_without_root_is_refused_with_a_message(args, mode):
    done = run_as_nobody(*mode, *args, "-b", "127.0.0.1:0", example("echo"))
    assert done.returncode == 1, done.stderr
    assert "this process runs as 65534 and may not change that" in done.stderr and "as root" in done.stderr
    assert "App failed to load" not in done.stderr


@pytest.mark.parametrize("args, words", [
    (("--log-level", "warn"), "did you mean 'warning'?"), (("--log-level", "crit"), "did you mean 'critical'?"),
    (("--log-level", "warnign"), "did you mean 'warning'?")])
def test_a_word_that_is_cut_off_is_completed_in_the_message(args, words):
    done = run(*args, example("echo"))
    assert done.returncode == 2 and words in done.stderr


def test_the_settings_are_read_by_the_python_of_the_workers(tmp_path):
    """Not by whatever is called python3 on PATH."""
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "gunicorn.conf.py").write_text("workers = 3\n")
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert value_of(print_config(example("echo"), cwd=tmp_path, env={"PATH": path}), "workers")[0] == "3"


# ---- --print-config ----
def print_config(*args, **named):
    done = run("--print-config", *args, **named)
    assert done.returncode == 0, done.stderr
    return done.stdout


def value_of(text, key):
    match = re.search(rf"^{key}: (.*?)\s+# (.*)$", text, re.MULTILINE)
    assert match, f"no {key} in\n{text}"
    return match[1], match[2]


def test_each_value_names_its_origin(tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text("# comment\nthreads: 3\ntimeout: 9\nkeepalive: 8\n")
    text = print_config("-c", config, "--keep-alive", "7", example("echo"),
                        env={"NARWHAL_CMD_ARGS": "--timeout 10", "WEB_CONCURRENCY": "5"})
    assert value_of(text, "threads")[0] == "3" and re.search(r"narwhal\.yaml:2", value_of(text, "threads")[1])
    assert value_of(text, "timeout") == ("10", "NARWHAL_CMD_ARGS")
    assert value_of(text, "keepalive") == ("7", "command line")
    assert value_of(text, "workers") == ("5", "WEB_CONCURRENCY")
    assert value_of(text, "backlog") == ("2048", "default")


def test_workers_auto_is_the_number_of_processors_that_may_be_used(tmp_path):
    allowed = len(os.sched_getaffinity(0))
    number = int(value_of(print_config("-w", "auto", example("echo")), "workers")[0])
    assert 1 <= number <= allowed
    one = min(os.sched_getaffinity(0))
    ran = subprocess.run([BINARY, "--print-config", example("echo")], env={**os.environ, "WEB_CONCURRENCY": "auto"}, text=True,
                         capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, {one}), check=True)
    assert value_of(ran.stdout, "workers") == ("1", "WEB_CONCURRENCY")


def test_what_it_prints_is_a_config_that_means_the_same(tmp_path):
    first = print_config("-w", "3", "--access-logformat", '%(h)s "%(r)s" é', "-b", "127.0.0.1:0", "-b", "[::1]:80",
                         "-e", "A=b c", example("echo"))
    config = tmp_path / "again.yaml"
    config.write_text(first)
    second = print_config("-c", config)
    strip = lambda text: [re.sub(r"\s*# .*$", "", line) for line in text.splitlines()]
    assert strip(second) == strip(first)


def test_port_chooses_the_default_bind():
    assert "0.0.0.0:4321" in print_config(example("echo"), env={"PORT": "4321"})
    assert "0.0.0.0:4321" not in print_config("-b", "127.0.0.1:1", example("echo"), env={"PORT": "4321"})


def test_narwhal_yaml_in_the_start_folder_is_read(tmp_path):
    (tmp_path / "narwhal.yaml").write_text(f"app: {example('echo')}\nworkers: 7\n")
    assert value_of(print_config(cwd=tmp_path), "workers")[0] == "7"


def test_command_line_wins_over_the_file_for_lists_too(tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text("bind: ['127.0.0.1:1', '127.0.0.1:2']\n")
    text = print_config("-c", config, "-b", "127.0.0.1:3", example("echo"))
    assert "127.0.0.1:3" in text and "127.0.0.1:1" not in text


# ---- errors ----
FAULTS = {
    "an unknown key": ("worker: 4\n", 1, 1, "workers"),
    "a mistyped key": ("threads: 2\ngracefull_timeout: 4\n", 2, 1, "graceful_timeout"),
    "a wrong type": ("threads: 2\nworkers: many\n", 2, 10, "many"),
    "a value out of range": ("workers: 0\n", 1, 10, "0"),
    "a negative value": ("timeout: -1\n", 1, 10, "-1"),
    "a list for one value": ("workers: [1, 2]\n", 1, 10, "list"),
    "a bad address": ("bind: ['127.0.0.1:99999']\n", 1, 8, "99999"),
    "a bad level": ("loglevel: loud\n", 1, 11, "loud"),
    "a key twice": ("workers: 1\nworkers: 2\n", 2, 1, "twice"),
    "not a map": ("- a\n", 1, 1, "map"),
    "a broken document": ("bind: ['127.0.0.1:1'\nworkers: 2\n", 2, None, ""),
    "a tab for indentation": ("routes:\n\t- a\n", 2, None, ""),
    "a route without app": ("routes:\n  - prefix: /x\n", 2, 5, "app"),
    "a mistyped route key": ("routes:\n  - prefx: /x\n    app: a.so\n", 2, 5, "prefix"),
    "two routes alike": ("routes:\n  - {prefix: /x, app: a.so}\n  - {prefix: /x/, app: b.so}\n", 3, None, "/x"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_file_is_reported_with_line_and_column(tmp_path, name):
    text, line, column, word = FAULTS[name]
    config = tmp_path / "shop.yaml"
    config.write_text(text)
    done = run("--check-config", "-c", config, example("echo"))
    assert done.returncode == 1 and not done.stdout
    place = rf"shop\.yaml:{line}:{column if column else r'[0-9]+'}\b"
    assert re.search(place, done.stderr), done.stderr
    assert word in done.stderr, done.stderr


def test_all_faults_are_reported_at_once(tmp_path):
    config = tmp_path / "narwhal.yaml"
    config.write_text("workerz: 1\nthreads: no\ntimeout: 1\nbacklogg: 3\n")
    done = run("--check-config", "-c", config, example("echo"))
    assert all(f"narwhal.yaml:{line}:" in done.stderr for line in (1, 2, 4)) and "narwhal.yaml:3:" not in done.stderr


@pytest.mark.parametrize("flag,near", [("--wrokers", "--workers"), ("--graceful-timout", "--graceful-timeout"),
                                       ("--acces-logfile", "--access-logfile")])
def test_a_mistyped_flag_is_reported_with_the_nearest(flag, near):
    done = run(flag, "1", example("echo"))
    assert done.returncode == 2 and re.search(re.escape(flag) + r"\b(?!s)", done.stderr)
    assert re.search(f"did you mean.*{near}", done.stderr)


@pytest.mark.parametrize("args", [["-w", "many"], ["-w", "0"], ["--timeout", "-3"], ["-b", "127.0.0.1:x"],
                                  ["--log-level", "loud"], ["-w"]])
def test_a_bad_flag_value_exits_2(args):
    done = run(example("echo"), *args)
    assert done.returncode == 2 and done.stderr.strip() and not done.stdout, done


def test_a_missing_config_file_is_an_error(tmp_path):
    done = run("-c", tmp_path / "gone.yaml", example("echo"))
    assert done.returncode == 1 and "gone.yaml" in done.stderr


def test_the_name_of_a_plugin_that_is_not_installed_is_reported(tmp_path):
    done = run("--check-config", "no-such-plugin", cwd=tmp_path)
    assert done.returncode == 1 and "no-such-plugin" in done.stderr


def test_the_path_of_a_missing_plugin_is_reported_with_how_to_name_one(tmp_path):
    done = run("--check-config", "./gone.so", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(f"{tmp_path}/gone.so: open: No such file or directory (name a plugin by its path, as in ./shop.so; "
                                "--chdir sets where relative paths start)\n")


def test_a_missing_chdir_is_reported_with_its_setting(serve, tmp_path):
    server = serve(example("echo"), "--chdir", tmp_path / "gone", wait=False)
    assert server.wait_exit() == 1
    server.wait_for(rf"narwhal: change to the directory {tmp_path}/gone \(chdir\): No such file or directory")


# ---- running from any directory ----
def test_relative_paths_count_from_the_start_folder_or_chdir(serve, tmp_path):
    shutil.copy(example("hello"), tmp_path / "mine.so")
    server = serve("mine.so", "-w", "1")  # servers start in tmp_path
    assert server.get("/").text == "Hello, world!\n"
    (tmp_path / "deep").mkdir()
    shutil.copy(example("hello"), tmp_path / "deep" / "other.so")
    assert serve("--chdir", tmp_path / "deep", "./other.so").get("/").text == "Hello, world!\n"


def test_raw_env_reaches_the_plugins(serve):
    """The plugin init_fails boots only if this variable names a file that does not exist."""
    server = serve("-e", "OTHER=a b", "--env", "NARWHAL_TEST_INIT_FAILS_IF=/nonexistent", test_plugin("init_fails"))
    assert server.get("/").text == "ok"
    from_file = serve(test_plugin("init_fails"), config="raw_env: {NARWHAL_TEST_INIT_FAILS_IF: /nonexistent}\n")
    assert from_file.get("/").text == "ok"


def test_what_plugins_print_goes_to_the_log_with_capture_output(serve, tmp_path):
    path, socket_path = tmp_path / "error.log", tmp_path / "s.sock"
    server = serve(example("echo"), "--error-logfile", path, "--capture-output", bind=f"unix:{socket_path}", wait=False)
    eventually("ready", lambda: path.exists() and "is ready" in path.read_text())
    worker, = server.wait_workers(1)
    shown = proc.descriptors(worker)
    assert shown[1] == shown[2] == str(path)


def test_a_directory_is_not_an_application(tmp_path):
    (tmp_path / "site").mkdir()
    done = run("--check-config", "./site", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (f"narwhal: {tmp_path}/site: is a directory (name a plugin in it, as in dir/shop.so; with --chdir, "
                           "a Python application in it: shop:app)\n")
