"""Every setting, by narwhal.yaml, by the environment (NARWHAL_CMD_ARGS), by flags, and where it can by a reload: its effect is
seen from outside.

One server carries the settings of a group; the group's generator yields each setting with what was seen of it, which must
be true. Values in braces are filled in by setting_ways.py."""
import grp
import json
import os
import pwd
import re
import signal
import socket
import stat
import time
import venv

import pytest

import proc
from clock import SCALE, eventually
from gateway import Gateway
from load import Background
from plugin_files import versioned
from server import BINARY, WSGI, example, run, test_plugin
from setting_files import APP, LOG_DICTIONARY, LOG_FILE, LOGGER
from setting_ways import FLAGS, NEED_RESTART, WAYS, Site, backlog_of, listening_socket, status, yaml_text
from test_log_process import Receiver
from wire import WireError, fetch, request_bytes

ECHO = example("echo")
GROUPS, RELOADED = [], []
# Not in the table of settings, and not a value that a flag could have.
BY_OTHER_MEANS = {"app": "every group gives its application in all three ways",
                  "routes": "a list of maps: only in the file; tests/e2e/test_routes.py"}


def carries(*, needs=None, also=None, by_reload=True, **settings):
    """A group with its settings; those in `also` are needed there, and seen in another group. Some have no server that could
    be reloaded."""
    def add(see):
        skip = {"root": os.geteuid() != 0, "python": not WSGI.exists(), None: False}[needs]
        marks = pytest.mark.skipif(skip, reason=f"needs {needs}")
        GROUPS.append(pytest.param(see, settings, also or {}, id=see.__name__, marks=marks))
        if by_reload:
            RELOADED.append(GROUPS[-1])
        return see
    return add


def ends(call, *args, **named):
    """True if a request has no answer."""
    try:
        call(*args, **named)
    except (WireError, OSError):
        return True
    return False


# ---- processes, addresses, files ----

@carries(bind=["unix:{folder}/a.sock?mode=0600", "unix:{folder}/b.sock", "127.0.0.1:0"], umask="0117", backlog=17,
         reuse_port=True, workers=3, pidfile="run.pid", proc_name="shop:web", chdir="work", stage_dir="{folder}/stage",
         control_socket="{folder}/c.sock", control_socket_mode="0640", admin_bind=["127.0.0.1:{free}"],
         server_header="shop/1", errorlog="error.log", accesslog="access.log", access_log_format="%(m)s %(s)s seen",
         loglevel="debug")
def processes_and_files(site):
    site.path("stage").mkdir()
    site.path("work").mkdir()
    work = site.path("work")
    server = site.start(ECHO)
    workers = server.wait_workers(3)
    yield "workers", len(workers) == 3
    yield "bind", [str(address) for address in server.addresses[:2]] == [str(site.path(f"{name}.sock")) for name in "ab"]
    yield "umask", stat.S_IMODE(site.path("b.sock").stat().st_mode) == 0o660
    with listening_socket(server.pid, server.addresses[2][1]) as listener:
        yield "backlog", backlog_of(listener) == 17
        yield "reuse_port", listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    yield "pidfile", (work / "run.pid").read_text() == f"{server.pid}\n"
    yield "proc_name", proc.title(server.pid) == "narwhal: master [shop:web]"
    yield "chdir", os.readlink(f"/proc/{workers[0]}/cwd") == str(work)
    yield "stage_dir", any(str(site.path("stage")) in line for line in proc.maps(workers[0]))
    yield "control_socket", fetch(str(site.path("c.sock")), "/status").status == 200
    yield "control_socket_mode", stat.S_IMODE(site.path("c.sock").stat().st_mode) == 0o640
    yield "admin_bind", fetch(("127.0.0.1", site.words["free"]), "/healthz").status == 200
    yield "server_header", server.get("/").header("Server") == "shop/1"
    yield "errorlog", "[INFO]" in (work / "error.log").read_text()
    eventually("an access line", lambda: (work / "access.log").exists() and (work / "access.log").stat().st_size)
    yield "accesslog", (work / "access.log").exists()
    yield "access_log_format", (work / "access.log").read_text() == "GET 200 seen\n"
    wire = server.connect()
    wire.send(request_bytes("/?sleep=0.5&size=5000000"))
    time.sleep(0.2 * SCALE)
    wire.reset()
    yield "loglevel", server.wait_for(r"\[DEBUG\] Closing connection")


@carries(threads=2, queue_size=1, worker_connections=5)
def crowds(site):
    server = site.start(ECHO)
    kept = [server.connect() for _ in range(5)]
    assert all(wire.ask("/").status == 200 for wire in kept)
    for wire in kept[:4]:  # two run, one waits, and for the next there is no place
        wire.send(request_bytes(f"/?sleep={1.5 * SCALE}"))
        time.sleep(0.2 * SCALE)
    yield "queue_size", kept[3].response().status == 503
    yield "threads", [wire.response().status for wire in kept[:3]] == [200] * 3
    with server.connect() as one_more:
        one_more.send(request_bytes("/"))
        waits = one_more.quiet_for(0.5)
        for wire in kept:
            wire.close()
        yield "worker_connections", waits and one_more.response().status == 200


@carries(user="nobody", group="games", initgroups=True, allow_new_privileges=True, needs="root")
def rights(site):
    # The system's own list of groups need not have one that nobody is in.
    lines = open("/etc/group", encoding="utf-8").read() + "narwhals:x:54321:nobody\n"
    site.path("group").write_text(lines)
    program = site.path("narwhal-in-group")
    program.write_text(f"""#!/bin/sh
[ "$INSIDE" ] || INSIDE=1 exec unshare -m "$0" "$@"
mount --bind {site.path("group")} /etc/group || exit 77
exec {BINARY} "$@"
""")
    program.chmod(0o755)
    server = site.start(ECHO, wait=False, binary=program)
    if eventually("a start", lambda: "is ready" in server.log() or server.process.poll()) == 77:
        server.expected_exit = (77,)
        pytest.skip("this container may not mount")
    server._wait_ready(20)
    worker, = server.wait_workers(1)
    facts = status(worker)
    yield "user", facts["Uid"].split() == [str(pwd.getpwnam("nobody").pw_uid)] * 4
    yield "group", facts["Gid"].split() == [str(grp.getgrnam("games").gr_gid)] * 4
    yield "initgroups", "54321" in facts["Groups"].split()
    yield "allow_new_privileges", facts["NoNewPrivs"] == "0"


@carries(keep_capabilities=True, also={"user": "nobody"}, needs="root")
def capabilities(site):
    worker, = site.start(ECHO).wait_workers(1)
    yield "keep_capabilities", int(status(worker)["CapBnd"], 16) != 0


@carries(seccomp="learn", seccomp_file="{folder}/calls")
def system_calls(site):
    server = site.start(ECHO)
    worker, = server.wait_workers(1)
    yield "seccomp", status(worker)["Seccomp"] == "2"
    server.get("/")
    assert server.stop() == 0
    yield "seccomp_file", site.path("calls").exists()


@carries(daemon=True, enable_stdio_inheritance=True, by_reload=False, also={"pidfile": "{folder}/pid"})
def background(site):
    output = site.path("output")
    code = site.run_into(ECHO, output)
    pid = int(site.text("pid"))
    try:
        yield "daemon", code == 0 and proc.alive(pid) and os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
        eventually("the daemon gone", lambda: not proc.alive(pid))
    yield "enable_stdio_inheritance", "Shutting down: Master" in output.read_text()


# ---- time limits ----

def is_dropped_for_its_pace(server):
    """A client that takes the rest of an answer, but slowly. The kernel has it all, and after `keepalive` what is due in
    each write_timeout is min_rate."""
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/?size=200000"))
        for _ in range(25):
            time.sleep(0.2)
            try:
                wire.sock.recv(6000)
            except ConnectionResetError:
                return True
    return False


@carries(header_timeout=1, body_timeout=1, write_timeout=1, keepalive=1, heartbeat_timeout=1, graceful_timeout=1,
         min_rate="1M")
def silences(site):
    """The defaults are 30 s and more, and no wait here is that long."""
    server = site.start(ECHO)
    head, body, idle, reader = (server.connect(receive_buffer=8192) for _ in range(4))
    head.send(b"GET / HTTP/1.1\r\nHost:")
    body.send(request_bytes("/", method="POST", headers=[("Content-Length", "10")]))
    reader.send(request_bytes("/?size=50000000"))
    assert not idle.ask("/").closes
    yield "keepalive", idle.end(10) == "eof"
    yield "header_timeout", head.rest(10).startswith(b"HTTP/1.1 408")
    yield "body_timeout", body.rest(10).startswith(b"HTTP/1.1 408")
    server.wait_for_gone(reader, 10)
    yield "write_timeout", ends(reader.response, timeout=10)
    yield "min_rate", is_dropped_for_its_pace(server)
    worker, = server.wait_workers(1)
    os.kill(worker, signal.SIGSTOP)
    yield "heartbeat_timeout", server.wait_workers(1, timeout=12, without=[worker])
    long = Background(ends, server.get, "/?sleep=60", timeout=60)
    time.sleep(0.5 * SCALE)
    yield "graceful_timeout", server.stop(timeout=12) == 0 and long.result()


@carries(timeout=2, soft_timeout=1)
def slow_requests(site):
    server = site.start(ECHO)
    yield "timeout", server.get("/slow?sleep=20", timeout=12).status == 504
    yield "soft_timeout", server.wait_for(r"\[WARNING\] Slow request .*\(soft_timeout 1 s\)")


@carries(boot_timeout=1, by_reload=False)
def a_boot_that_hangs(site):
    began = time.monotonic()
    done = site.run(test_plugin("init_hangs"))
    yield "boot_timeout", done.returncode == 3 and time.monotonic() - began < 15 * SCALE


# ---- requests ----

@carries(limit_request_line=100, limit_request_fields=5, limit_request_field_size=60, limit_request_body=50_000,
         body_buffer_size=1000, tmp_upload_dir="bodies")
def limits(site):
    site.path("bodies").mkdir()
    server = site.start(ECHO)
    worker, = server.wait_workers(1)
    yield "limit_request_line", server.get("/" + "x" * 100).status == 414
    yield "limit_request_fields", server.get("/", headers=[(f"X-{n}", "1") for n in range(6)]).status == 431
    yield "limit_request_field_size", server.get("/", headers=[("X-Long", "x" * 60)]).status == 431
    yield "limit_request_body", server.get("/", method="POST", body=b"x" * 50_001).status == 413
    stored = Background(server.get, "/?sleep=1", method="POST", body=b"x" * 50_000)

    def file_of_body():
        return [name for name in proc.descriptors(worker).values() if "(deleted)" in name and "bodies/" in name]
    found = eventually("a body in a file", file_of_body)
    yield "tmp_upload_dir", found[0].startswith(str(site.path("bodies")))
    yield "body_buffer_size", stored.result().status == 200


@carries(poison_limit=1, poison_window=3)
def poison(site):
    server = site.start(ECHO)
    server.wait_workers(1)
    assert ends(server.get, "/die?crash=1")
    server.wait_for("Poison breaker: GET /die was running in 1 worker")
    server.wait_workers(1)
    yield "poison_limit", server.get("/die").status == 503
    yield "poison_window", server.wait_for("Poison breaker: GET /die is let through again", timeout=20)


@carries(raw_env=["GREETING=hello there"], pythonpath=["{folder}/lib"], venv="{folder}/venv", preload_app=True,
         capture_output=True, request_buffering=False, sendfile=False, response_buffer_size="64M", worker_class="gevent",
         needs="python")
def python(site):
    site.path("lib").mkdir()
    site.path("lib/mylib.py").write_text("NAME = 'mine'\n")
    site.path("shop.py").write_text(APP)
    venv.create(site.path("venv"), symlinks=True, with_pip=False)
    server = site.start("shop:app")
    worker, = server.wait_workers(1)

    def facts():
        return eval(server.get("/").text)  # what our own application wrote
    yield "raw_env", facts()["greeting"] == "hello there"
    yield "pythonpath", facts()["lib"] == "mine"
    yield "venv", facts()["prefix"] == str(site.path("venv"))
    yield "preload_app", facts()["by"] == server.template() != worker
    yield "capture_output", "printed at the import" in server.log()
    yield "worker_class", proc.thread_count(worker) >= 64
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "10")]))
        yield "request_buffering", wire.response(timeout=10).status == 200
    length = len(server.get("/file").body)
    # Read, the file's position moves; by sendfile(2) it would not. The application notes it after the last byte has been sent.
    yield "sendfile", eventually("the file is closed", lambda: facts()["at"]) == [length]
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/stream"))
        yield "response_buffer_size", eventually("the end of the generator", lambda: facts()["sent"] == 32)


# ---- behind a proxy ----

@carries(forwarded_allow_ips=["10.0.0.1"], secure_scheme_headers=["X-TLS=yes"], client_header="forwarded",
         header_map="refuse", forwarder_headers=["X_USER"], also={"bind": ["127.0.0.1:0", "unix:{folder}/a.sock"]})
def forwarded(site):
    """A peer on a Unix socket is trusted always; one on TCP, with another address than the setting's, is not."""
    server = site.start(ECHO)
    stranger, proxy = server.addresses

    def said(address, *headers):
        answer = fetch(address, "/", headers=headers)
        return json.loads(answer.text) if answer.status == 200 else {"status": answer.status}
    yield "secure_scheme_headers", said(proxy, ("X-TLS", "yes"))["scheme"] == "https"
    yield "forwarded_allow_ips", said(stranger, ("X-TLS", "yes"))["scheme"] == "http"
    both = ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")
    yield "client_header", said(proxy, *both)["client"] == "192.0.2.2"
    yield "header_map", said(stranger, ("X_OTHER", "1")) == {"status": 400}
    yield "forwarder_headers", ["X_USER", "joe"] in said(proxy, ("X_USER", "joe"))["headers"]


@carries(proxy_protocol="v1", proxy_allow_ips=["127.0.0.2"])
def proxy_protocol(site):
    server = site.start(ECHO)
    yield "proxy_allow_ips", server.get("/").status == 200  # from 127.0.0.1, which need not send one
    with server.connect(source="127.0.0.2") as wire:
        wire.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 5000 80\r\n" + request_bytes("/"))
        yield "proxy_protocol", json.loads(wire.response().text)["client"] == "192.0.2.9"


@carries(protocol="scgi", gateway_allow_ips=["127.0.0.2"], uwsgi_allow_ips=["127.0.0.3"],
         also={"bind": ["127.0.0.1:0", "uwsgi://127.0.0.1:0"]})
def wires(site):
    server = site.start(ECHO)
    scgi, uwsgi = server.addresses

    def status(wire, address, source):
        with Gateway(wire, address, source=source) as front:
            return front.ask("/").status
    yield "protocol", status("scgi", scgi, "127.0.0.2") == 200
    yield "gateway_allow_ips", status("scgi", scgi, "127.0.0.3") == 403
    yield "uwsgi_allow_ips", (status("uwsgi", uwsgi, "127.0.0.3"), status("uwsgi", uwsgi, "127.0.0.2")) == (200, 403)


# ---- replaced workers, reloads ----

@carries(max_requests=3, max_worker_memory=1, worker_memory_max="1G")
def recycling(site):
    server = site.start(ECHO)
    worker, = server.wait_workers(1)
    yield "worker_memory_max", ("worker_memory_max has no effect: " in server.log() or
                                "narwhal" in open(f"/proc/{worker}/cgroup", encoding="ascii").read())
    for _ in range(3):
        assert server.get("/").status == 200
    yield "max_requests", server.wait_for(r"has answered 3 requests \(max_requests: 3\)")
    yield "max_worker_memory", server.wait_for(r"uses .* MiB of memory before its first request: max_worker_memory")


@carries(max_requests_jitter=1_000_000_000, max_worker_lifetime=1, also={"max_requests": 1})
def lifetime(site):
    server = site.start(ECHO)
    for _ in range(20):
        assert server.get("/").status == 200
    yield "max_requests_jitter", "max_requests: 1" not in server.log()
    yield "max_worker_lifetime", server.wait_for(r"has served for 1 s \(max_worker_lifetime: 1\)")


@carries(reload=True, reload_engine="poll", reload_extra_files=["{folder}/extra"], canary="1", canary_time=1, probation=1,
         also={"workers": 2})
def reloads(site):
    first = site.generation
    server = site.start(versioned(site.path("app.so"), "v1"))
    server.wait_workers(2)
    yield "reload_engine", not proc.inotify_watches(server.pid)
    site.path("extra").write_text("new")
    yield "reload_extra_files", server.wait_for(r"Reloading: \S+/extra ", timeout=20)
    yield "canary", server.wait_for(rf"canary: 1 of 2 workers run generation {first + 1}; they are compared for 1 s", timeout=20)
    yield "canary_time", server.wait_for(f"Generation {first + 1} is ready", timeout=20)
    versioned(site.path("app.so"), "v2")
    yield "reload", server.wait_for(f"Generation {first + 2} is ready", timeout=20)
    time.sleep(1.2 * SCALE)  # then a crash loop is not the reload's fault
    for _ in range(3):
        victim = server.wait_workers(2, generation=first + 2)[-1]
        os.kill(victim, signal.SIGSEGV)
        server.wait_workers(2, without=[victim])
    yield "probation", "rolling back" not in server.log() and server.generations() == [first + 2]


# ---- logs by another process ----

@carries(syslog=True, syslog_addr="udp://127.0.0.1:{syslog}", syslog_prefix="pre", syslog_facility="local3",
         disable_redirect_access_to_syslog=True, statsd_host="127.0.0.1:{statsd}", statsd_prefix="shop",
         dogstatsd_tags="zone:a", enable_backlog_metric=True, also={"accesslog": "-"})
def syslog_and_statsd(site):
    syslog, statsd = (Receiver(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)) for _ in range(2))
    site.words |= {"syslog": syslog.port, "statsd": statsd.port}
    try:
        server = site.start(ECHO)
        server.get("/seen")
        yield "syslog_addr", syslog.wait_for(f"Generation {site.generation} is ready")
        yield "syslog", syslog.text()
        yield "syslog_prefix", "gunicorn.pre.error: " in syslog.text()
        yield "syslog_facility", "<158>" in syslog.text()  # local3 and info
        yield "statsd_host", statsd.wait_for(r"gunicorn\.requests:1\|c")
        yield "statsd_prefix", statsd.wait_for(r"(?m)^shop\.gunicorn\.requests")
        yield "dogstatsd_tags", statsd.wait_for(r"(?m)^shop\.gunicorn\.requests:1\|c\|@1\.0\|#zone:a$")
        yield "enable_backlog_metric", statsd.wait_for(r"gunicorn\.backlog:0\|h")
        eventually("the access line", lambda: "GET /seen" in server.stdout())
        yield "disable_redirect_access_to_syslog", "/seen" not in syslog.text()
    finally:
        syslog.end()
        statsd.end()


@carries(logger_class="site_logs.Own", needs="python")
def logger_class(site):
    site.path("site_logs.py").write_text(LOGGER)
    site.path("shop.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n")
    server = site.start("shop:app")
    yield "logger_class", server.wait_for(f"own .*Generation {site.generation} is ready")


def configured_log(site):
    server = site.start(ECHO, wait=False)
    yield from eventually("the line in the file", lambda: re.findall(r"own\|Generation \d is ready", site.text("error.out")))
    assert server.stop() == 0


@carries(logconfig="log.ini")
def logging_file(site):
    site.path("log.ini").write_text(LOG_FILE)
    for seen in configured_log(site):
        yield "logconfig", seen


@carries(logconfig_json="log.json")
def logging_json(site):
    site.path("log.json").write_text(json.dumps(LOG_DICTIONARY))
    for seen in configured_log(site):
        yield "logconfig_json", seen


# ---- the table ----

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("see, settings, also", GROUPS)
def test_every_setting_has_its_effect(serve, tmp_path, way, see, settings, also):
    check(see, Site(serve, tmp_path, way, settings, also), settings)


@pytest.mark.parametrize("see, settings, also", RELOADED)
def test_a_reload_applies_every_setting_that_the_manual_does_not_except(serve, tmp_path, see, settings, also):
    check(see, Site(serve, tmp_path, "reload", settings, also), settings)


def test_a_reload_names_the_others_and_applies_none(serve, tmp_path):
    changed = {name: value for group in GROUPS for name, value in group.values[1].items() if name in NEED_RESTART}
    site = Site(serve, tmp_path, "file", changed, {})
    server = serve(ECHO, config="workers: 1\n")
    server.config_path.write_text("workers: 2\n" + yaml_text({name: site.settings()[name] for name in changed}))
    server.reload()
    named = server.wait_for(r"\[WARNING\] Reload: restart narwhal to apply the new value of (.*)")[1]
    assert named.split(", ") == NEED_RESTART
    assert len(server.wait_workers(2)) == 2 and not site.path("c.sock").exists()


def check(see, site, settings):
    seen = []
    for name, effect in see(site):
        assert effect, f"{name}: no effect by {site.way}"
        seen.append(name)
    assert sorted(seen) == sorted(settings)


def test_the_table_is_complete():
    shown = re.findall(r"^(\w+):", run("--print-config", ECHO).stdout, re.MULTILINE)
    carried = [name for group in GROUPS for name in group.values[1]]
    assert len(carried) == len(set(carried)), "a setting is in two groups"
    assert set(shown) == set(carried) | set(BY_OTHER_MEANS), set(shown) ^ (set(carried) | set(BY_OTHER_MEANS))
    assert set(FLAGS) == set(carried)
