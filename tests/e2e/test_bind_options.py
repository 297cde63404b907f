"""The options of an address: mode, owner and group of a Unix socket's file, and the backlog."""
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from clock import eventually
from nginx_front import NGINX, main_conf, needs_nginx
from plugin_files import deploy, not_elf, versioned
from server import BINARY, example, run
from upgrading import Upgrading
from wire import fetch

ECHO = example("echo")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def has_user(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


WWW = has_user("www-data")


def facts(path):
    found = os.stat(path)
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def mode(path):
    return facts(path)[0]


@pytest.fixture
def open_folder():
    """One that every user may enter; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.parametrize("source", ["file", "environment", "flags", "conf.py"])
def test_two_sockets_differ(serve, tmp_path, source):
    binds = [f"unix:{tmp_path}/a.sock?mode=0600", f"unix:{tmp_path}/b.sock?mode=0666&backlog=7", f"unix:{tmp_path}/c.sock"]
    args, named = ["-m", "0117"], {}
    if source == "file":
        named["config"] = "bind:\n" + "".join(f"  - {bind}\n" for bind in binds)
    elif source == "environment":
        named["env"] = {"NARWHAL_CMD_ARGS": " ".join(f"-b '{bind}'" for bind in binds)}
    elif source == "flags":
        args += [word for bind in binds for word in ("-b", bind)]
    else:
        (tmp_path / "gunicorn.conf.py").write_text(f"bind = {binds!r}\n")
    server = serve(ECHO, *args, bind=None, **named)
    assert server.addresses == [str(tmp_path / name) for name in ("a.sock", "b.sock", "c.sock")]
    assert [mode(address) for address in server.addresses] == [0o600, 0o666, 0o660]
    assert all(fetch(address).status == 200 for address in server.addresses)
    shown = run("--print-config", *server.args, env=named.get("env"), cwd=tmp_path).stdout
    assert f'  - "{binds[1]}"\n' in shown


def listen_queue(port):
    """The backlog of a listening socket as ss shows it."""
    text = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return int(text.split()[2])


@pytest.mark.skipif(not shutil.which("ss"), reason="ss (iproute2) is not installed")
def test_a_backlog_of_its_own(serve):
    server = serve(ECHO, "-b", "127.0.0.1:0?backlog=9", "--backlog", "17", config="backlog: 18\n")
    assert [listen_queue(address[1]) for address in server.addresses] == [17, 9]


# ---- who may connect ----

def connects_as(user, path):
    """Whether a process of this user can connect to a Unix socket."""
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    return subprocess.run(["/usr/bin/python3", "-c", code], user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[],
                          stderr=subprocess.DEVNULL).returncode == 0


@as_root
@pytest.mark.skipif(not WWW, reason="there is no user www-data")
def test_only_users_of_its_group_can_connect(serve, open_folder):
    mine, theirs = open_folder / "mine.sock", open_folder / "theirs.sock"
    serve(ECHO, "-b", f"unix:{theirs}?mode=0660&owner=root&group=www-data", "-u", "nobody",
          bind=f"unix:{mine}?mode=0600")
    nobody = pwd.getpwnam("nobody")
    assert facts(mine) == (0o600, nobody.pw_uid, nobody.pw_gid)
    assert facts(theirs) == (0o660, 0, WWW.pw_gid)
    assert connects_as("www-data", theirs) and not connects_as("www-data", mine)
    assert connects_as("nobody", mine) and not connects_as("nobody", theirs)


@as_root
@needs_nginx
@pytest.mark.skipif(not WWW, reason="there is no user www-data")
def test_an_nginx_of_www_data_reaches_the_socket_that_is_open_to_it(serve, open_folder):
    serve(ECHO, "-b", f"unix:{open_folder}/closed.sock?mode=0600",
          bind=f"unix:{open_folder}/open.sock?mode=0660&group=www-data")
    conf = open_folder / "nginx.conf"
    conf.write_text(main_conf(open_folder, main="user www-data; worker_processes 1;", http=f"""
        server {{
            listen unix:{open_folder}/front.sock;
            location /open {{ proxy_pass http://unix:{open_folder}/open.sock; }}
            location /closed {{ proxy_pass http://unix:{open_folder}/closed.sock; }}
        }}"""))
    nginx = subprocess.Popen([NGINX, "-p", str(open_folder), "-c", str(conf), "-e", str(open_folder / "error.log")],
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        front = str(open_folder / "front.sock")
        eventually("nginx listens", lambda: os.path.exists(front))
        assert fetch(front, "/open").status == 200
        assert fetch(front, "/closed").status == 502
        assert "(13: Permission denied)" in (open_folder / "error.log").read_text()
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait(20)


# ---- reloads and upgrades ----

def listening_at(path):
    """The kernel's numbers of the sockets that listen at a path."""
    with open("/proc/net/unix", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return [row[6] for row in rows if row[-1] == str(path) and row[3] == "00010000"]


def test_a_reload_changes_the_options_and_keeps_the_socket(serve, tmp_path):
    path = tmp_path / "a.sock"
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, "-w", "2", bind=None, config=f"bind: unix:{path}?mode=0600\n")
    inode, sockets = path.stat().st_ino, listening_at(path)
    assert mode(path) == 0o600
    with server.load(clients=2, keep_alive=False) as load:
        load.wait_for_more(20)
        server.config_path.write_text(f"bind: unix:{path}?mode=0666\n")
        server.reload()
        assert mode(path) == 0o666
        # A reload that fails leaves the old ones, whatever step it fails at.
        changed = f"'unix:{path}?mode=0640'"
        for binds, reason in ((f"{changed}, 'unix:{tmp_path}/b.sock?owner=no-such-user'", "no-such-user"),
                              (f"{changed}, 'unix:/no/such/folder/x'", "No such file"),
                              (f"'unix:{path}?mode=9'", "not an octal number"), (changed, "stage")):
            if reason == "stage":
                not_elf(app)
            mark = server.mark()
            server.config_path.write_text(f"bind: [{binds}]\n")
            server.send(signal.SIGHUP)
            server.wait_for(rf"\[ERROR\] Reload failed at step .*{reason}", after=mark)
            assert mode(path) == 0o666
        deploy(app, "v2")
        server.config_path.write_text(f"bind: unix:{path}\numask: 0\n")
        server.reload()
        assert mode(path) == 0o777
        load.wait_for_more(20)
    load.assert_clean(40)
    assert path.stat().st_ino == inode and listening_at(path) == sockets and len(sockets) == 1


@as_root
def test_a_reload_changes_the_owner(serve, open_folder):
    path = open_folder / "a.sock"
    server = serve(ECHO, bind=None, config=f"bind: unix:{path}?mode=0600\n")
    server.config_path.write_text(f"bind: unix:{path}?mode=0660&owner=nobody&group=2\n")
    server.reload()
    assert facts(path) == (0o660, pwd.getpwnam("nobody").pw_uid, 2)
    server.config_path.write_text(f"bind: unix:{path}?mode=0660\n")
    server.reload()
    assert facts(path) == (0o660, 0, 0)


@as_root
def test_a_reload_without_the_right_fails_and_changes_nothing(serve, open_folder):
    def become_www_data():
        os.setgroups([])
        os.setgid(WWW.pw_gid)
        os.setuid(WWW.pw_uid)
    if not WWW:
        pytest.skip("there is no user www-data")
    config = open_folder / "narwhal.yaml"
    os.chown(open_folder, WWW.pw_uid, -1)
    path = open_folder / "a.sock"
    config.write_text(f"bind: unix:{path}?mode=0600\n")
    server = serve("-c", config, ECHO, bind=None, preexec=become_www_data, wait=False)
    eventually("the server, or why not", lambda: "is ready" in server.log() or server.process.poll())
    if server.process.poll():
        server.expected_exit = (server.process.returncode,)
        pytest.skip("www-data may not read the build folder")
    for option, reason in (("owner=root", "owner 0: .* start narwhal as root, or remove the option 'owner'"),
                           ("group=root", "group 0: .* start narwhal as root, or remove the option 'group'")):
        mark = server.mark()
        config.write_text(f"bind: unix:{path}?mode=0660&{option}\n")
        server.send(signal.SIGHUP)
        server.wait_for(rf"\[ERROR\] Reload failed at step 'bind': bind unix:{path}: {reason}", after=mark)
        assert facts(path) == (0o600, WWW.pw_uid, WWW.pw_gid)
    config.write_text(f"bind: unix:{path}?mode=0660&owner=www-data\n")
    server.send(signal.SIGHUP)
    server.wait_for("Generation . is ready .*retiring generation 1")
    assert facts(path) == (0o660, WWW.pw_uid, WWW.pw_gid)


def test_an_upgrade_keeps_the_options_and_applies_new_ones(serve, tmp_path):
    first, second = tmp_path / "a?.sock", tmp_path / "b.sock"
    config = "bind: ['unix:{}?mode=0600', 'unix:{}?mode={}']\n"
    server = serve(ECHO, "-w", "2", bind=None, config=config.format(first, second, "0600"))
    upgrade = Upgrading(server)
    try:
        inodes = first.stat().st_ino, second.stat().st_ino
        first.chmod(0o604)  # by hand: its option is the same after the upgrade
        server.config_path.write_text(config.format(first, second, "0666"))
        with upgrade.loads():
            new = upgrade.usr2()
            assert (mode(first), mode(second)) == (0o604, 0o666)
            upgrade.finish(new)
        assert (first.stat().st_ino, second.stat().st_ino) == inodes
    finally:
        upgrade.stop_all()
    assert not first.exists() and not second.exists()


# ---- mistakes ----

def test_mistakes_name_the_place_and_the_way_out(tmp_path):
    config = tmp_path / "narwhal.yaml"

    def refused(bind, code=1):
        config.write_text(f"bind:\n  - {bind}\n")
        done = run("--check-config", "-c", config, ECHO)
        assert done.returncode == code, done.stderr
        return done.stderr
    place = re.escape(str(config)) + r":2:5: bind: "
    assert re.search(place + r"'unix:/x\?ower=web': unknown option 'ower' after '\?': did you mean 'owner'\?",
                     refused("unix:/x?ower=web"))
    assert re.search(place + r"'unix:/x\?mode=0888': mode=0888: '0888' is not an octal number, as in mode=0660",
                     refused("unix:/x?mode=0888"))
    assert re.search(place + r"'127.0.0.1:1\?mode=0600': mode: only the file of a Unix socket has one",
                     refused("127.0.0.1:1?mode=0600"))
    assert re.search(place + r"'http://127.0.0.1:1\?allow_from=::1': allow_from: it is for fastcgi://, scgi:// and uwsgi://",
                     refused("http://127.0.0.1:1?allow_from=::1"))
    assert re.search(r"bind unix:/x: owner: user no-such-user: not found on this system: create it",
                     refused("unix:/x?owner=no-such-user"))
    done = run("-b", "unix:/x?ower=web", ECHO)
    assert done.returncode == 2 and "--bind: 'unix:/x?ower=web': unknown option 'ower'" in done.stderr, done.stderr


@as_root
def test_a_server_without_the_right_says_so(open_folder):
    path = open_folder / "run" / "a.sock"
    path.parent.mkdir()
    os.chown(path.parent, WWW.pw_uid if WWW else 65534, -1)
    done = subprocess.run([BINARY, "-b", f"unix:{path}?owner=root", ECHO], capture_output=True, text=True,
                          user=WWW.pw_uid if WWW else 65534, group=65534, extra_groups=[], timeout=30)
    assert done.returncode == 1
    assert re.search(r"bind unix:.*a\.sock: owner 0: this process runs as user \d+ and may not give files to other users "
                     r"\(CAP_CHOWN\): start narwhal as root, or remove the option 'owner'", done.stderr), done.stderr
    assert not path.exists()
