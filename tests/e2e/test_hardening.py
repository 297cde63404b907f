"""What template and workers may do: no new privileges, no capabilities, and the system calls that a list allows."""
import os
import re
import signal

import pytest

from plugin_files import versioned
from server import WSGI, example, run

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_wsgi = pytest.mark.skipif(not WSGI.exists(), reason="the WSGI plugin was not built: it needs python3-dev")
APP = '''
import os, socket, subprocess
def app(environ, start_response):
    what = environ["PATH_INFO"][1:]
    try:
        if what == "swap":
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            text = str((libc.syscall(168, b"/nowhere"), ctypes.get_errno()))
        elif what == "run":
            text = subprocess.run(["id", "-u"], capture_output=True, text=True).stdout
        elif what == "setuid":
            text = subprocess.run([os.environ["SETUID_ID"], "-u"], capture_output=True, text=True).stdout
        elif what == "connect":
            try:
                socket.create_connection(("127.0.0.1", 1), timeout=1)
                text = "connected"
            except ConnectionRefusedError:
                text = "refused"
        else:
            text = "hello"
    except OSError as error:
        text = type(error).__name__
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
'''


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def capabilities(pid):
    found = status(pid)
    return {name: int(found[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


@as_root
@pytest.mark.parametrize("kind", ["native", pytest.param("python", marks=needs_wsgi)])
def test_template_and_workers_of_another_user_have_no_capability_and_get_none(serve, tmp_path, kind):
    (tmp_path / "shop.py").write_text(APP)
    os.chmod(tmp_path, 0o755)
    app = versioned(tmp_path / "app.so", "v1") if kind == "native" else "shop:app"
    env = {}
    if kind == "python":
        if not readable_by_others(tmp_path):
            pytest.skip("the user nobody cannot enter the test's folder")
    server = serve(app, "-w", "2", "--user", "nobody", env=env)
    for pid in [*server.wait_workers(2), server.template()]:
        assert not any(capabilities(pid).values()), capabilities(pid)
        assert status(pid)["NoNewPrivs"] == "1" and status(pid)["Seccomp"] == "0"
    assert status(server.pid)["NoNewPrivs"] == "0"
    server.reload()
    assert server.get("/").status == 200


def readable_by_others(folder):
    for path in (folder, *folder.parents):
        if str(path).startswith("/tmp/pytest") and path.stat().st_uid == os.geteuid():
            os.chmod(path, 0o755)
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))


@as_root
def test_a_master_whose_workers_are_another_users_keeps_what_it_needs(serve, tmp_path):
    path = tmp_path / "s.sock"
    server = serve(example("echo"), "--user", "nobody", "-b", f"unix:{path}", "--pid", tmp_path / "pid")
    kept = {0, 1, 2, 3, 5, 6, 7, 8, 10, 24}  # as core/privileges.cpp names them
    effective = capabilities(server.pid)["Eff"]
    assert {bit for bit in range(64) if effective >> bit & 1} <= kept and effective >> 7 & 1
    before = server.wait_workers(1)
    os.kill(before[0], signal.SIGKILL)
    server.wait_workers(1, without=before)
    server.reload()
    server.send(signal.SIGUSR1)
    assert server.get("/").status == 200


@as_root
@pytest.mark.parametrize("flags, bits", [(["--allow-new-privileges"], "0"), ([], "1")])
def test_setuid_programs_work_only_where_they_are_allowed(serve, tmp_path, flags, bits):
    if not WSGI.exists() or not readable_by_others(tmp_path):
        pytest.skip("needs the WSGI plugin, and a folder that others can read")
    program = tmp_path / "setuid-id"
    program.write_bytes(open("/usr/bin/id", "rb").read())
    program.chmod(0o4755)
    (tmp_path / "shop.py").write_text(APP)
    server = serve("shop:app", "--user", "nobody", "-e", f"SETUID_ID={program}", *flags)
    worker, = server.wait_workers(1)
    assert status(worker)["NoNewPrivs"] == bits
    assert server.get("/setuid").text.strip() == ("0" if flags else "65534")


@as_root
def test_capabilities_are_kept_where_that_is_asked_for(serve):
    server = serve(example("echo"), "--keep-capabilities", "--user", "nobody")
    worker, = server.wait_workers(1)
    assert capabilities(worker)["Bnd"] == capabilities(os.getpid())["Bnd"]
    assert capabilities(worker)["Eff"] == 0


# ---- seccomp ----
@needs_wsgi
def test_a_list_that_was_learned_serves_and_anything_else_fails_and_is_named(serve, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    calls = tmp_path / "calls"
    server = serve("shop:app", "-w", "2", "--pythonpath", tmp_path, "--seccomp", "learn", "--seccomp-file", calls)
    for pid in [*server.wait_workers(2), server.template()]:
        assert status(pid)["Seccomp"] == "2" and status(pid)["NoNewPrivs"] == "1"
    server.wait_for(r"\[WARNING\] seccomp: learning")
    assert server.get("/connect").text == "refused"
    assert server.get("/run").text.strip() == str(os.geteuid())
    assert server.get("/swap").text == "(-1, 2)"
    assert server.stop() == 0
    learned = [line for line in calls.read_text().splitlines() if not line.startswith("#")]
    assert {"socket", "connect", "execve", "swapoff"} <= set(learned) and len(learned) == len(set(learned))
    calls.write_text("\n".join(name for name in learned if name != "swapoff") + "  # by a test\n")
    enforced = serve("shop:app", "-w", "2", "--pythonpath", tmp_path, "--seccomp", "enforce", "--seccomp-file", calls)
    for pid in [*enforced.wait_workers(2), enforced.template()]:
        assert status(pid)["Seccomp"] == "2"
    assert enforced.get("/connect").text == "refused"
    assert enforced.get("/run").text.strip() == str(os.geteuid())
    for _ in range(10):
        assert enforced.get("/swap").text == "(-1, 1)"
    line = rf"\[ERROR\] seccomp: the system call swapoff is not in {calls} and fails with EPERM"
    enforced.wait_for(line)
    assert len(re.findall(line, enforced.log())) <= 2, "once for each worker"
    with open(calls, "a", encoding="ascii") as file:
        file.write("swapoff\n")
    enforced.reload()
    assert enforced.get("/swap").text == "(-1, 2)"


def test_a_native_plugin_serves_reloads_and_crashes_with_an_empty_list(serve, tmp_path):
    calls = tmp_path / "calls"
    calls.write_text("# nothing but what narwhal needs\n")
    server = serve(example("echo"), "-w", "2", "--threads", "2", "--seccomp", "enforce", "--seccomp-file", calls,
                   "--access-logfile", tmp_path / "access.log")
    before = server.wait_workers(2)
    with server.load(clients=4) as load:
        load.wait_for_more(500)
        server.reload()
        load.wait_for_more(100)
    load.assert_clean(500)
    server.get("/", method="POST", body=b"x" * 300_000)
    worker = server.wait_workers(2, without=before)[0]
    os.kill(worker, signal.SIGSEGV)
    server.wait_for(r"died of SIGSEGV")
    server.wait_workers(2, without=[worker])
    server.send(signal.SIGUSR1)
    assert server.get("/").status == 200
    assert "seccomp: the system call" not in server.log()


@pytest.mark.parametrize("flags, text, fault", [
    (["--seccomp", "enforce"], None, "seccomp_file: name the file with the list of system calls"),
    (["--seccomp", "enforce", "--seccomp-file", "calls"], None, "seccomp_file: open .*calls: No such file or directory"),
    (["--seccomp", "enforce", "--seccomp-file", "calls"], "read\nreed\n", "seccomp_file: .*calls:2: 'reed' is not a"),
    (["--seccomp", "enforce", "--seccomp-file", "/etc"], None, "seccomp_file: /etc: is not a regular file"),
    (["--seccomp", "enforce", "--seccomp-file", "/dev/zero"], None, "seccomp_file: /dev/zero: is not a regular file"),
    (["--seccomp", "learn", "--seccomp-file", "no/calls"], None, "seccomp_file: open .*no/calls: No such file"),
    (["--seccomp", "learn", "--seccomp-file", "calls", "--allow-new-privileges"], None, "allow_new_privileges"),
])
def test_a_list_that_cannot_be_used_is_a_fault_of_the_settings(tmp_path, flags, text, fault):
    if text is not None:
        (tmp_path / "calls").write_text(text)
    for more in ([], ["--check-config"]):
        done = run(*flags, *more, "-b", "127.0.0.1:0", example("echo"), cwd=tmp_path)
        assert done.returncode == 1 and re.search(fault, done.stderr), done.stderr


# ---- warnings ----
@as_root
def test_root_without_a_user_is_warned_of(serve, tmp_path):
    done = run("--check-config", example("echo"), cwd=tmp_path)
    warning = "the workers run as root, and so does the application: name another user"
    assert done.returncode == 0 and warning in done.whole_stderr
    done = run("--check-config", "--user", "nobody", versioned(tmp_path / "app.so", "v1"), cwd=tmp_path)
    assert "the workers run as root" not in done.whole_stderr
    server = serve(example("echo"))
    server.send(signal.SIGHUP)
    server.wait_for("Generation 2 is ready")
    assert server.whole_log().count(f"[WARNING] {warning}") == 1


@pytest.mark.parametrize("what, mode", [("the plugin", 0o666), ("the folder of the plugin", 0o777),
                                        ("the settings", 0o646), ("the folder of the settings", 0o757),
                                        ("stage_dir", 0o777)])
def test_what_every_user_can_write_is_warned_of(serve, tmp_path, what, mode):
    folders = {name: tmp_path / name for name in ("plugin", "settings", "stage")}
    for folder in folders.values():
        folder.mkdir(mode=0o755)
    app = versioned(folders["plugin"] / "app.so", "v1")
    settings = folders["settings"] / "narwhal.yaml"
    settings.write_text(f"stage_dir: {folders['stage']}\n")
    paths = {"the plugin": app, "the folder of the plugin": folders["plugin"], "the settings": settings,
             "the folder of the settings": folders["settings"], "stage_dir": folders["stage"]}
    for path in (*paths.values(), app, settings):
        path.chmod(path.stat().st_mode & ~0o022)
    done = run("--check-config", "-c", settings, app)
    assert done.returncode == 0 and "can write to it" not in done.stderr
    paths[what].chmod(mode)
    done = run("--check-config", "-c", settings, app)
    warning = f"{what} {paths[what]}: every user can write to it, and so decide what the server runs: chmod go-w"
    assert done.returncode == 0 and warning in done.stderr
    if what != "stage_dir":
        server = serve("-c", settings, app)
        server.wait_for(re.escape(f"[WARNING] {warning}"))
