"""The packages of ./dev deb on a Debian that systemd has booted: start, reload, activation, watchdog, upgrade, stop, purge."""
import re
import time

import pytest

from container import PROBE, Container, eventually, install, packages

VERSION = """\
import ctypes, os, subprocess, threading, time
time.sleep({sleep})
def app(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        time.sleep(3)
    if environ['PATH_INFO'] == '/sandbox':
        body = subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout + str(ctypes.CDLL(None).getpid()).encode()
        threading.Thread(target=print).start()
    else:
        body = b'{text}'
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
"""


@pytest.fixture(scope="module")
def debian():
    assert packages(), "./dev deb makes the packages"
    container = Container()
    try:
        install(container)
        container.write("/etc/narwhal/narwhal.yaml", "app: shop:app\nchdir: /srv/shop\nworkers: 2\nthreads: 4\n")
        yield container
    finally:
        container.end()


def deploy(debian, text="one", sleep=0):
    debian.write("/srv/shop/shop.py", VERSION.format(text=text, sleep=sleep))


@pytest.fixture
def serving(debian):
    """It runs with the first version, whatever the test before has left."""
    deploy(debian)
    debian.run("systemctl", "reset-failed")
    debian.must("systemctl", "restart", "narwhal.socket", "narwhal.service")
    return debian


def main_pid(debian, unit="narwhal.service"):
    return int(debian.show("MainPID", unit))


def test_an_installed_package_starts_nothing(debian):
    assert debian.out("systemctl", "is-active", "narwhal.service").strip() == "inactive"
    assert debian.out("systemctl", "is-enabled", "narwhal.socket").strip() == "disabled"
    for page in ("narwhal.1", "narwhalctl.1", "narwhal.yaml.5", "narwhal-static.7", "narwhal-wsgi.7"):
        assert f"/{page}.gz" in debian.out("dpkg", "-L", "narwhal", "narwhal-wsgi"), page


def test_it_is_enabled_and_started_with_its_socket(debian):
    deploy(debian)
    debian.must("systemctl", "enable", "--now", "narwhal.service")
    assert debian.out("systemctl", "is-enabled", "narwhal.socket").strip() == "enabled"
    assert debian.get() == (200, "one")
    assert "Generation 1 is ready" in debian.journal()
    assert "2 of 2 workers serving" in debian.show("StatusText")


def test_the_sandbox_rates_below_two_and_python_works_in_it(serving):
    rating = float(re.search(r"Overall exposure level for \S+: ([\d.]+)",
                             serving.out("systemd-analyze", "security", "--no-pager", "narwhal.service"))[1])
    assert rating < 2.0
    status, body = serving.get("sandbox")
    assert status == 200 and body.startswith("child\n")


def test_a_reload_waits_for_the_new_generation(serving):
    deploy(serving, "two", sleep=2)
    began = time.monotonic()
    serving.must("systemctl", "reload", "narwhal.service")
    assert time.monotonic() - began > 2
    assert serving.get() == (200, "two")


def test_a_reload_of_a_broken_application_fails_with_the_reason_and_the_service_stays_up(serving):
    serving.write("/srv/shop/shop.py", "import not_there\n")
    done = serving.run("systemctl", "reload", "narwhal.service")
    assert done.returncode != 0
    assert serving.out("systemctl", "is-active", "narwhal.service").strip() == "active"
    assert serving.get() == (200, "one")
    reason = r"No module named '?not_there"
    assert re.search(reason, serving.journal()) and re.search(reason, serving.out("systemctl", "status", "narwhal.service"))


def test_a_request_that_waits_before_the_start_is_answered(serving):
    serving.must("systemctl", "stop", "narwhal.service")
    assert serving.get() == (200, "one")
    assert serving.out("systemctl", "is-active", "narwhal.service").strip() == "active"


def test_an_address_comes_back_by_itself_when_its_application_is_repaired(serving):
    serving.must("systemctl", "stop", "narwhal.service")
    serving.write("/srv/shop/shop.py", "import not_there\n")
    clients = [serving.start("curl", "-s", "-m", "60", PROBE) for _ in range(20)]
    eventually("some failed starts", lambda: len(re.findall("Failed with result", serving.journal())) >= 8, 60)
    assert serving.out("systemctl", "is-active", "narwhal.socket").strip() == "active"
    deploy(serving, "repaired")
    assert eventually("the service is back", lambda: serving.get(timeout=5) == (200, "repaired"))
    assert [client.communicate(timeout=60)[0] for client in clients] == ["repaired"] * 20, "the waiting clients too"


def test_a_restart_refuses_no_request(serving):
    script = (f"for i in $(seq 300); do curl -s -o /dev/null -m 20 {PROBE} || echo failed; done")
    load = serving.start("sh", "-c", script)
    for _ in range(3):
        time.sleep(0.5)
        serving.must("systemctl", "restart", "narwhal.service")
    assert load.communicate(timeout=120)[0] == ""


def test_a_master_that_does_not_run_is_ended_by_the_watchdog_and_started_again(serving):
    serving.write("/run/systemd/system/narwhal.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    serving.must("systemctl", "daemon-reload")
    serving.must("systemctl", "restart", "narwhal.service")
    before = main_pid(serving)
    time.sleep(5)
    assert main_pid(serving) == before, "it feeds the watchdog"
    serving.must("kill", "-STOP", before)
    eventually("another master", lambda: main_pid(serving) not in (0, before), 40)
    assert serving.get() == (200, "one")
    assert "Watchdog timeout" in serving.journal()
    serving.must("rm", "-r", "/run/systemd/system/narwhal.service.d")
    serving.must("systemctl", "daemon-reload")


def test_usr2_makes_another_process_the_main_one(serving):
    before = main_pid(serving)
    serving.must("kill", "-USR2", before)
    eventually("another main process", lambda: main_pid(serving) not in (0, before), 60)
    assert serving.get() == (200, "one")
    serving.must("kill", "-TERM", before)
    eventually("the former master has ended", lambda: serving.run("kill", "-0", before).returncode != 0)
    assert serving.get() == (200, "one")
    assert serving.out("systemctl", "is-active", "narwhal.service").strip() == "active"


def test_a_killed_master_leaves_no_copies(serving):
    for _ in range(3):
        before = main_pid(serving)
        serving.must("kill", "-KILL", before)
        eventually("another master", lambda: main_pid(serving) not in (0, before), 30)
        eventually("it serves", lambda: serving.get() == (200, "one"))
    folders = serving.must("nsenter", "-t", main_pid(serving), "-m", "ls", "/tmp").split()
    assert len([name for name in folders if name.startswith("narwhal-")]) == 1


def test_logs_are_files_in_the_directory_of_the_unit(serving):
    settings = serving.out("cat", "/etc/narwhal/narwhal.yaml")
    serving.write("/etc/narwhal/narwhal.yaml", settings + "accesslog: /var/log/narwhal/access.log\n")
    try:
        serving.must("systemctl", "restart", "narwhal.service")
        serving.get("in-the-log")
        eventually("the line", lambda: "GET /in-the-log" in serving.out("cat", "/var/log/narwhal/access.log"))
        serving.must("cp", "/usr/share/doc/narwhal/examples/logrotate/narwhal", "/etc/logrotate.d/narwhal")
        serving.must("logrotate", "--force", "/etc/logrotate.d/narwhal")
        serving.get("after-it")
        eventually("the line in a new file", lambda: "GET /after-it" in serving.out("cat", "/var/log/narwhal/access.log"))
        assert "GET /in-the-log" in serving.must("cat", "/var/log/narwhal/access.log.1")
    finally:
        serving.run("rm", "-f", "/etc/logrotate.d/narwhal")
        serving.write("/etc/narwhal/narwhal.yaml", settings)


@pytest.mark.parametrize("line, means", [
    ("accesslog: /var/log/access.log", "LogsDirectory="), ("pidfile: /run/narwhal.pid", "remove the setting 'pidfile'"),
    ("user: www-data", "write User= and Group= into the unit (systemctl edit ")], ids=["accesslog", "pidfile", "user"])
def test_what_the_unit_does_not_allow_is_said_with_what_does(serving, line, means):
    settings = serving.out("cat", "/etc/narwhal/narwhal.yaml")
    serving.must("systemctl", "stop", "narwhal.service")
    serving.write("/etc/narwhal/narwhal.yaml", settings + line + "\n")
    try:
        assert serving.run("systemctl", "start", "narwhal.service").returncode != 0
        assert means in serving.journal()
    finally:
        serving.write("/etc/narwhal/narwhal.yaml", settings)


def test_it_stops_within_its_time_and_finishes_its_requests(serving):
    request = serving.start("curl", "-s", "-m", "20", PROBE + "slow")
    time.sleep(1)
    began = time.monotonic()
    serving.must("systemctl", "stop", "narwhal.socket", "narwhal.service")
    assert 1 < time.monotonic() - began < 20
    assert request.communicate(timeout=20)[0] == "one"
    assert serving.show("Result") == "success" and "Shutting down: Master" in serving.journal()


def test_several_servers_beside_each_other(serving):
    for name in ("first", "second"):
        serving.write(f"/etc/narwhal/{name}.yaml", "app: shop:app\nchdir: /srv/shop\n")
        serving.must("systemctl", "start", f"narwhal@{name}.socket")
        answer = serving.must("curl", "-s", "-m", "20", "--unix-socket", f"/run/narwhal-{name}.sock", PROBE)
        assert answer == "one"
    deploy(serving, "two")
    serving.must("systemctl", "reload", "narwhal@first.service")
    assert serving.must("curl", "-s", "--unix-socket", "/run/narwhal-first.sock", PROBE) == "two"
    assert serving.must("curl", "-s", "--unix-socket", "/run/narwhal-second.sock", PROBE) == "one"
    serving.must("systemctl", "stop", "narwhal@first.socket", "narwhal@first.service", "narwhal@second.socket", "narwhal@second.service")


def test_another_version_of_the_package_restarts_what_runs_and_nothing_else(serving):
    serving.write("/etc/narwhal/first.yaml", "app: shop:app\nchdir: /srv/shop\n")
    serving.must("systemctl", "start", "narwhal@first.socket")
    page = ("curl", "-s", "-m", "20", "--unix-socket", "/run/narwhal-first.sock", PROBE)
    serving.must(*page)
    before = (main_pid(serving), main_pid(serving, "narwhal@first.service"))
    assert 0 not in before
    install(serving)
    eventually("both are started again", lambda: not {0, *before} & {main_pid(serving), main_pid(serving, "narwhal@first.service")})
    assert serving.get()[0] == 200 and serving.run(*page).returncode == 0
    assert serving.show("ActiveState", "narwhal@second.service") == "inactive"
    serving.must("systemctl", "stop", "narwhal@first.socket", "narwhal@first.service")


def test_a_new_master_that_is_killed_leaves_the_old_one_as_the_service(serving):
    before = main_pid(serving)
    serving.must("narwhalctl", "--socket", "/run/narwhal/control.sock", "upgrade")
    new = eventually("another main process", lambda: main_pid(serving) not in (0, before) and main_pid(serving))
    serving.must("kill", "-KILL", new)
    eventually("the old one again", lambda: main_pid(serving) == before)
    deploy(serving, "two")
    serving.must("systemctl", "reload", "narwhal.service")
    assert serving.get() == (200, "two") and serving.show("ActiveState") == "active"
    assert main_pid(serving) == before


def test_an_upgrade_by_narwhalctl(serving):
    before = main_pid(serving)
    said = serving.must("narwhalctl", "--socket", "/run/narwhal/control.sock", "upgrade", "--finish")
    assert f"the former one (pid {before}) has ended" in said
    eventually("another main process", lambda: main_pid(serving) not in (0, before))
    assert serving.get()[0] == 200 and serving.show("ActiveState") == "active"
    serving.must("systemctl", "reload", "narwhal.service")


def test_the_flask_site_of_the_examples(serving):
    serving.must("cp", "-r", "/examples/flask", "/srv/flask")
    serving.must("python3", "-m", "venv", "--without-pip", "--system-site-packages", "/srv/flask/venv")
    serving.must("sh", "-c", "cp /usr/share/doc/narwhal/examples/systemd/flask.* /etc/systemd/system/ && systemctl daemon-reload")
    serving.must("systemctl", "enable", "--now", "flask.service")
    page = ("curl", "-s", "-m", "20", "--unix-socket", "/run/flask.sock", PROBE)
    assert "Hello, world!" in serving.must(*page)
    serving.must("sed", "-i", 's/"world"/"everybody"/', "/srv/flask/app.py")
    serving.must("systemctl", "reload", "flask.service")
    assert "Hello, everybody!" in serving.must(*page)
    serving.must("sh", "-c", "echo 'def :' >> /srv/flask/app.py")
    assert serving.run("systemctl", "reload", "flask.service").returncode != 0
    assert "Hello, everybody!" in serving.must(*page)
    serving.must("systemctl", "disable", "--now", "flask.socket", "flask.service")
    serving.must("rm", "-r", "/etc/systemd/system/flask.service", "/etc/systemd/system/flask.socket", "/srv/flask")


def test_a_purge_leaves_nothing(serving):
    serving.must("rm", "-f", "/etc/narwhal/first.yaml", "/etc/narwhal/second.yaml")  # the administrator's own
    serving.must("dpkg", "--purge", "narwhal-wsgi", "narwhal-dev", "narwhal")
    assert serving.out("systemctl", "is-active", "narwhal.service").strip() != "active"
    found = serving.out("find", "/", "-xdev", "-name", "*narwhal*", "-not", "-path", "/proc/*", "-not", "-path", "/packages/*").split()
    assert found == []
