"""USR2: the program is upgraded without a failed request, or the old one takes back."""
import os
import signal
import time

import pytest

import proc
from clock import eventually
from load import Load
from upgrading import ECHO, Upgrading, program, replace
from wire import fetch


@pytest.fixture
def upgrading(serve):
    """Starts a server on TCP and on a Unix socket, from a program that may be replaced."""
    started = []

    def start(*args, app=ECHO, name="program", **named):
        folder = named.pop("folder")
        named.setdefault("binary", program(folder, name))
        made = Upgrading(serve(app, "-w", "2", "-b", f"unix:{folder}/a.sock", *args, **named))
        started.append(made)
        return made
    try:
        yield start
    finally:
        for each in started:
            each.stop_all()


# ---- a program that works ----

def test_another_file_at_the_same_path_takes_over_under_load(upgrading, tmp_path):
    upgrade = upgrading("-p", tmp_path / "pid", folder=tmp_path)
    server = upgrade.server
    with upgrade.loads():
        replace(server.binary)
        new = upgrade.usr2()
        assert "(deleted)" in os.readlink(f"/proc/{server.pid}/exe")
        assert os.readlink(f"/proc/{new}/exe") == str(server.binary)
        assert (tmp_path / "pid").read_text() == f"{server.pid}\n"
        assert (tmp_path / "pid.2").read_text() == f"{new}\n"
        assert proc.title(new) == "narwhal: master.2 [echo]"
        upgrade.finish(new)
    eventually("the pid file", lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() == f"{new}\n")
    assert not (tmp_path / "pid.2").exists()
    assert proc.title(new) == "narwhal: master [echo]"
    assert fetch(str(tmp_path / "a.sock")).status == 200
    assert "[ERROR]" not in server.log() and "[WARNING]" not in server.log()
    upgrade.stop_all()
    assert not (tmp_path / "a.sock").exists() and not (tmp_path / "pid").exists()


def test_upgrades_follow_each_other(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path)
    with upgrade.loads():
        second = upgrade.usr2()
        upgrade.finish(second)
        os.kill(second, signal.SIGUSR2)
        upgrade.server.wait_for(rf"\(pid:{second}\) to finish")
        third, = set(upgrade.masters()) - {second}
        os.kill(second, signal.SIGTERM)
        eventually("the second gone", lambda: not proc.alive(second))
    assert list(upgrade.masters().values()) == ["narwhal: master [echo]"] and third in upgrade.masters()


def test_a_link_in_the_path_is_followed_again(upgrading, tmp_path):
    first, second = program(tmp_path, "1.0"), program(tmp_path, "2.0")
    (tmp_path / "current").symlink_to("1.0")
    upgrade = upgrading(folder=tmp_path, binary="current/narwhal")
    (tmp_path / "next").symlink_to("2.0")
    (tmp_path / "next").rename(tmp_path / "current")
    new = upgrade.usr2()
    # Copies of one file by hard links: the folders tell them apart.
    assert os.readlink(f"/proc/{upgrade.server.pid}/exe") in (str(first), str(second))
    assert os.readlink(f"/proc/{new}/exe") == str(second)


def test_term_to_the_new_master_goes_back(upgrading, tmp_path):
    upgrade = upgrading("-p", tmp_path / "pid", folder=tmp_path)
    with upgrade.loads():
        new = upgrade.usr2()
        upgrade.back(new)
    assert (tmp_path / "pid").read_text() == f"{upgrade.server.pid}\n" and not (tmp_path / "pid.2").exists()
    assert (tmp_path / "a.sock").exists()
    assert upgrade.usr2(count=2) != new  # it can be tried again
    assert "[ERROR]" not in upgrade.server.log()


def test_quit_to_the_new_master_goes_back_at_once(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path)
    upgrade.back(upgrade.usr2(), signal.SIGQUIT)
    with upgrade.loads():
        pass


def test_winch_keeps_the_old_master_in_reserve_and_hup_brings_it_back(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path)
    server = upgrade.server
    with upgrade.loads() as loads:
        new = upgrade.usr2()
        server.send(signal.SIGWINCH)
        eventually("no worker of the old master", lambda: not [
            pid for pid in proc.children(server.pid) if "worker" in proc.title(pid)])
        for load in loads:
            load.wait_for_more(20)
        server.send(signal.SIGHUP)
        server.wait_for("Generation 2 is ready")
        upgrade.back(new)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_that_winch_has_retired_return_when_the_new_master_ends(upgrading, tmp_path, number):
    upgrade = upgrading(folder=tmp_path)
    server = upgrade.server
    with upgrade.loads():
        new = upgrade.usr2()
        server.send(signal.SIGWINCH)
        eventually("no worker of the old master", lambda: not [
            pid for pid in proc.children(server.pid) if "worker" in proc.title(pid)])
        if number == signal.SIGTERM:
            os.kill(new, number)
            server.wait_for("The workers that WINCH has retired are started again")
    if number == signal.SIGKILL:  # its workers finish only what they have
        os.kill(new, number)
        upgrade.failed(rf"the new master \(pid:{new}\) was sent SIGKILL.*")
        server.wait_for("The workers that WINCH has retired are started again")
    assert fetch(server.address).status == 200


def test_hup_reloads_either_master(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path)
    with upgrade.loads():
        new = upgrade.usr2()
        for pid in (upgrade.server.pid, new):
            os.kill(pid, signal.SIGHUP)
            upgrade.server.wait_for(rf"\[{pid}\] \[INFO\] Generation 2 is ready")
        upgrade.finish(new)


def test_usr2_during_an_upgrade_is_ignored_by_both(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path)
    new = upgrade.usr2()
    upgrade.server.send(signal.SIGUSR2)
    upgrade.server.wait_for(r"\[WARNING\] USR2 signal ignored\. Child exists\.")
    os.kill(new, signal.SIGUSR2)
    upgrade.server.wait_for(rf"\[{new}\] \[WARNING\] USR2 signal ignored\. Parent exists\.")
    assert len(upgrade.masters()) == 2


def test_usr2_during_a_reload_waits_for_it(upgrading, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\n" + APP)
    upgrade = upgrading(app="slow:app", folder=tmp_path)
    upgrade.server.send(signal.SIGHUP)
    upgrade.server.wait_for("Hang up: Master")
    upgrade.usr2()
    log = upgrade.server.log()
    assert log.index("Upgrade: it begins when") < log.index("Generation 2 is ready") < log.index("is started as a new master")


# ---- a program that does not get ready ----

BROKEN = {
    "not executable": (("x", 0o644), r"execute .*/narwhal: Permission denied; the new master .* exited with code 127"),
    "not a program": (("", 0o755), r"execute .*/narwhal: Exec format error; the new master .* exited with code 127"),
    "exits": (("#!/bin/sh\nexit 1\n", 0o755), r"the new master \(pid:\d+\) exited with code 1"),
    "ends well": (("#!/bin/sh\nexit 0\n", 0o755), r"the new master \(pid:\d+\) exited with code 0"),
    "crashes": (("#!/bin/sh\nkill -SEGV $$\n", 0o755), r"the new master \(pid:\d+\) was sent SIGSEGV.*"),
    "hangs": (("#!/bin/sh\nsleep 77 &\ntrap '' TERM\nsleep 78\n", 0o755),
              r"the new master \(pid:\d+\) does not get ready \(boot_timeout is 1 s\)")}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_old_master_takes_back_from_a_broken_program(upgrading, tmp_path, kind):
    (text, mode), reason = BROKEN[kind]
    upgrade = upgrading("--boot-timeout", "1", "-p", tmp_path / "pid", folder=tmp_path)
    server = upgrade.server
    workers = server.worker_pids()
    with upgrade.loads():
        replace(server.binary, text, mode)
        server.send(signal.SIGUSR2)
        upgrade.failed(reason)
    assert server.worker_pids() == workers
    eventually("what it has started gone", lambda: set(server.processes()) == {*workers, server.template()}, 15)
    assert (tmp_path / "pid").read_text() == f"{server.pid}\n" and not (tmp_path / "pid.2").exists()
    replace(server.binary)
    upgrade.finish(upgrade.usr2())


def test_settings_that_are_refused_are_the_reason(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path, config="threads: 1\n")
    server = upgrade.server
    with upgrade.loads():
        server.config_path.write_text("thread: 1\n")
        server.send(signal.SIGUSR2)
        upgrade.failed(r".*narwhal\.yaml:1.*thread.*; the new master \(pid:\d+\) exited with code 1")
        server.config_path.write_text("threads: 1\nbind: 127.0.0.1:1\nuser: no-such-user\n")
        server.send(signal.SIGUSR2)
        upgrade.failed(r".*no-such-user.*; the new master \(pid:\d+\) exited with code 1")


APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"v1"]
"""


def test_an_application_that_cannot_be_imported_is_the_reason(upgrading, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    upgrade = upgrading(app="shop:app", folder=tmp_path)
    with upgrade.loads():
        (tmp_path / "shop.py").write_text("import nothing_of_this_name\n")
        upgrade.server.send(signal.SIGUSR2)
        upgrade.failed(r".*nothing_of_this_name.*; the new master \(pid:\d+\) exited with code \d")
        (tmp_path / "shop.py").write_text("import os, time\nopen('begun', 'w').close()\ntime.sleep(60)\n" + APP)
        upgrade.server.send(signal.SIGUSR2)
        eventually("the import begun", (tmp_path / "begun").exists)
        new, = set(upgrade.masters()) - {upgrade.server.pid}
        os.kill(new, signal.SIGTERM)
        upgrade.failed(r"it was stopped by a signal; the new master \(pid:\d+\) exited with code 0")


def test_a_new_master_that_is_stopped_is_killed(upgrading, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    upgrade = upgrading("--boot-timeout", "1", app="shop:app", folder=tmp_path)
    with upgrade.loads():
        (tmp_path / "shop.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)\n" + APP)
        upgrade.server.send(signal.SIGUSR2)
        eventually("the import begun", (tmp_path / "begun").exists)
        new, = set(upgrade.masters()) - {upgrade.server.pid}
        os.kill(new, signal.SIGSTOP)
        upgrade.failed(r"the new master \(pid:\d+\) does not get ready \(boot_timeout is 1 s\)")
        eventually("the stopped one gone", lambda: not proc.alive(new))
        eventually("its processes gone", lambda: len(upgrade.server.processes()) == 3, 15)


# ---- the order of deaths ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_new_master_goes_on_when_the_old_one_ends_before_it_is_ready(upgrading, tmp_path, number):
    (tmp_path / "shop.py").write_text("import os, time\nopen('begun', 'w').close()\n"
                                      "while not os.path.exists('go'):\n    time.sleep(0.02)\n" + APP)
    (tmp_path / "go").touch()
    upgrade = upgrading("-p", tmp_path / "pid", app="shop:app", folder=tmp_path)
    server = upgrade.server
    (tmp_path / "go").unlink()
    (tmp_path / "begun").unlink()
    server.send(signal.SIGUSR2)
    eventually("the import begun", (tmp_path / "begun").exists)
    new, = set(upgrade.masters()) - {server.pid}
    loads = [Load(address, clients=2, keep_alive=False) for address in server.addresses]
    if number == signal.SIGTERM:
        for load in loads:
            load.start()
    assert server.stop(number) == (0 if number == signal.SIGTERM else -number)
    server.wait_for(rf"\[{new}\] \[INFO\] Master has been promoted\.")
    (tmp_path / "go").touch()
    server.wait_for(rf"\[{new}\] \[INFO\] Generation 1 is ready")
    for load in loads if number == signal.SIGTERM else ():
        load.wait_for_more(10)
        load.stop().assert_clean()
    assert (tmp_path / "pid").read_text() == f"{new}\n" and not (tmp_path / "pid.2").exists()
    assert fetch(str(tmp_path / "a.sock")).status == 200
    upgrade.stop_all()
    assert not (tmp_path / "a.sock").exists()


def test_a_killed_old_master_leaves_everything_to_the_new_one(upgrading, tmp_path):
    upgrade = upgrading("-p", tmp_path / "pid", folder=tmp_path)
    new = upgrade.usr2()
    assert upgrade.server.stop(signal.SIGKILL) == -signal.SIGKILL
    upgrade.server.wait_for(rf"\[{new}\] \[INFO\] Master has been promoted\.")
    eventually("the pid file", lambda: (tmp_path / "pid").read_text() == f"{new}\n")
    assert fetch(upgrade.server.address).status == 200
    upgrade.stop_all()
    assert not (tmp_path / "a.sock").exists() and not (tmp_path / "pid").exists()


def test_a_killed_new_master_is_reported_and_the_old_one_goes_on(upgrading, tmp_path):
    upgrade = upgrading(folder=tmp_path)
    new = upgrade.usr2()
    os.kill(new, signal.SIGKILL)
    upgrade.failed(rf"the new master \(pid:{new}\) was sent SIGKILL.*")
    eventually("its processes gone", lambda: len(upgrade.server.processes()) == 3, 15)
    with upgrade.loads():
        assert upgrade.usr2(count=2) != new


def test_both_may_be_ended_at_once_by_ctrl_c(upgrading, tmp_path):
    upgrade = upgrading("-p", tmp_path / "pid", folder=tmp_path)
    upgrade.usr2()
    os.killpg(os.getpgid(upgrade.server.pid), signal.SIGINT)
    assert upgrade.server.wait_exit() == 0
    eventually("all gone", lambda: not proc.session_members(upgrade.server.pid))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("pid", "a.sock"))) == []


# ---- addresses ----

def test_a_socket_that_the_new_settings_do_not_name_is_gone_with_the_old_master(serve, tmp_path):
    config = f"app: {ECHO}\nworkers: 1\nbind: ['127.0.0.1:0', 'unix:{tmp_path}/a.sock']\n"
    server = serve(config=config, bind=None)
    upgrade = Upgrading(server)
    server.config_path.write_text(config.replace("a.sock", "b.sock"))
    with Load(server.address, keep_alive=False) as load:
        new = upgrade.usr2()
        assert fetch(str(tmp_path / "a.sock")).status == fetch(str(tmp_path / "b.sock")).status == 200
        upgrade.finish(new)
        eventually("the file gone", lambda: not (tmp_path / "a.sock").exists())
        load.wait_for_more(10)
    load.assert_clean()
    assert fetch(str(tmp_path / "b.sock")).status == 200
    upgrade.stop_all()
    assert not (tmp_path / "b.sock").exists()


def test_the_other_master_keeps_a_socket_file_that_a_reload_drops(serve, tmp_path):
    config = f"app: {ECHO}\nworkers: 1\nbind: ['127.0.0.1:0', 'unix:{tmp_path}/a.sock']\n"
    server = serve(config=config, bind=None)
    upgrade = Upgrading(server)
    new = upgrade.usr2()
    server.config_path.write_text(config.replace(f", 'unix:{tmp_path}/a.sock'", ""))
    os.kill(new, signal.SIGHUP)
    server.wait_for(rf"\[{new}\] \[INFO\] Generation 2 is ready")
    time.sleep(0.5)
    assert fetch(str(tmp_path / "a.sock")).status == 200
    upgrade.finish(new)
    eventually("the file gone", lambda: not (tmp_path / "a.sock").exists())
    upgrade.stop_all()


def test_an_address_that_cannot_be_bound_is_the_reason(serve, tmp_path):
    config = f"app: {ECHO}\nworkers: 1\nbind: 127.0.0.1:0\n"
    server = serve(config=config, bind=None)
    upgrade = Upgrading(server)
    server.config_path.write_text(config.replace("127.0.0.1:0", "192.0.2.1:80"))
    server.send(signal.SIGUSR2)
    upgrade.failed(r"Can't connect to \('192\.0\.2\.1', 80\).*; the new master .* exited with code 1")
    assert fetch(server.address).status == 200
