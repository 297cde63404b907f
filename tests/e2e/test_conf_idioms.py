"""What public gunicorn.conf.py files do with settings: each idiom serves with its meaning, or one message says what is
missing. test_conf_idioms_hooks.py has hooks and logging."""
import getpass
import multiprocessing
import os
import re
import socket
import stat
import time

import pytest

import proc
import wire
from clock import eventually, scaled
from conf_idioms import ask, project  # noqa: F401
from server import WSGI, run

pytestmark = pytest.mark.skipif(not WSGI.exists(),
                                reason="the WSGI plugin was not built: it needs python3-dev")


# ---- workers, threads, classes ----
def test_twice_the_processors_and_one(project):
    server = project.start("import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n")
    assert len(server.workers()) == multiprocessing.cpu_count() * 2 + 1


def test_numbers_from_the_environment_with_defaults(project):
    server = project.start(
        "import os\n"
        "workers = int(os.environ.get('GUNICORN_PROCESSES', '1'))\n"
        "threads = int(os.environ.get('GUNICORN_THREADS', '4'))\n"
        "timeout = int(os.getenv('GUNICORN_TIMEOUT', 120))\n"
        "max_requests = int(os.getenv('MAX_REQUESTS') or 0)\n", env={"GUNICORN_PROCESSES": "2"})
    assert len(server.workers()) == 2
    assert ask(server, "environ['wsgi.multithread']") is True
    assert "Using worker: native, 4 handler threads" in server.log()


def test_a_loop_over_the_environment_that_sets_names(project):
    # All values are strings then.
    server = project.start(
        "import os\n"
        "bind = '127.0.0.1:0'\n"
        "for k, v in os.environ.items():\n"
        "    if k.startswith('GUNICORN_'):\n"
        "        locals()[k.split('_', 1)[1].lower()] = v\n",
        env={"GUNICORN_WORKERS": "2", "GUNICORN_THREADS": "3", "GUNICORN_PRELOAD_APP": "true",
             "GUNICORN_ACCESSLOG": "-", "GUNICORN_KEEPALIVE": "7"}, bind=None)
    assert len(server.workers()) == 2 and "3 handler threads" in server.log()
    assert ask(server, "imported_by != os.getpid()") is True
    eventually("an access line", lambda: '"GET /' in server.stdout())


@pytest.mark.parametrize("line", ["globals().update(SETTINGS)", "locals().update(**SETTINGS)", "vars().update(SETTINGS)",
                                  "import sys\nfor k, v in SETTINGS.items():\n    setattr(sys.modules[__name__], k, v)"])
def test_a_dictionary_that_becomes_settings(project, line):
    server = project.start(f"SETTINGS = dict(workers=2, proc_name='from-a-dict')\n{line}\n")
    assert len(server.workers()) == 2
    assert any("[from-a-dict]" in title for title in server.processes().values())


def test_settings_of_another_module_of_the_project(project):
    project.write("deploy/__init__.py", "")
    project.write("deploy/base.py", "workers = 3\nthreads = 2\nproc_name = 'base'\n")
    server = project.start("from deploy.base import *\nfrom deploy import base\nthreads = base.threads + 1\n")
    assert len(server.workers()) == 3 and "3 handler threads" in server.log()
    assert any("[base]" in title for title in server.processes().values())


def test_a_computed_configuration_that_prints_itself(project):
    # As the configuration files of container images do: everything is computed, and shown as JSON at the end.
    server = project.start(
        "import json\nimport multiprocessing\nimport os\n"
        "per_core = float(os.getenv('WORKERS_PER_CORE', '1'))\n"
        "max_workers = int(os.getenv('MAX_WORKERS') or 0)\n"
        "wanted = max(int(per_core * multiprocessing.cpu_count()), 2)\n"
        "workers = min(wanted, max_workers) if max_workers else wanted\n"
        "host, port, use_bind = os.getenv('HOST', '0.0.0.0'), os.getenv('SOME_PORT', '80'), os.getenv('BIND')\n"
        "bind = use_bind or f'{host}:{port}'\n"
        "loglevel = os.getenv('LOG_LEVEL', 'info')\n"
        "errorlog = os.getenv('ERROR_LOG', '-') or None\n"
        "accesslog = os.getenv('ACCESS_LOG', '-') or None\n"
        "worker_tmp_dir = '/dev/shm'\n"
        "print(json.dumps({'workers': workers, 'bind': bind, 'host': host}))\n",
        env={"HOST": "127.0.0.1", "SOME_PORT": "0", "MAX_WORKERS": "2", "LOG_LEVEL": "debug"}, bind=None)
    assert len(server.workers()) == 2
    assert '{"workers": 2, "bind": "127.0.0.1:0", "host": "127.0.0.1"}' in server.stdout()
    assert ask(server, "__import__('logging').getLogger('gunicorn.error').isEnabledFor(10)") is True


@pytest.mark.parametrize("conf, threads", [
    ("worker_class = 'sync'\n", 1), ("worker_class = 'gthread'\nthreads = 4\n", 4),
    ("worker_class = 'gunicorn.workers.gthread.ThreadWorker'\nthreads = 2 * 2\n", 4), ("threads = 3\n", 3)])
def test_worker_classes_of_threads(project, conf, threads):
    server = project.start(conf)
    plural = "" if threads == 1 else "s"
    assert f"Using worker: native, {threads} handler thread{plural}\n" in server.log()
    assert "[WARNING]" not in server.log()


def test_worker_classes_of_greenlets_are_served_by_threads_and_one_line_says_so(project):
    server = project.start("worker_class = 'gevent'\nworker_connections = 1000\n")
    assert "64 handler threads" in server.log()
    assert len(re.findall(r"\[WARNING\].*worker_class 'gevent'", server.log())) == 1


@pytest.mark.parametrize("name", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker",
                                  "aiohttp.GunicornWebWorker"])
def test_worker_classes_for_asgi_are_refused_by_name(project, name):
    project.conf(f"worker_class = '{name}'\n")
    done = run("show:app", cwd=project.folder)
    assert done.returncode == 1
    assert "gunicorn.conf.py:1: worker_class" in done.stderr and name in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_limited_life_with_a_random_part(project):
    server = project.start("from random import randint\nmax_requests = 5\nmax_requests_jitter = randint(1, 3)\nworkers = 1\n")
    pids = set()
    for _ in range(12):
        pids.add(ask(server, "os.getpid()"))
        time.sleep(0.05)
    eventually("a second worker", lambda: pids.add(ask(server, "os.getpid()")) or len(pids) > 1)
    assert "Autorestarting worker after current request." in server.log()


def test_preloading_imports_the_application_once(project):
    server = project.start("preload_app = True\nworkers = 2\n")
    seen = set()
    eventually("both workers", lambda: seen.add(ask(server, "(imported_by, os.getpid())")) or len(seen) == 2)
    importers, workers = {pair[0] for pair in seen}, {pair[1] for pair in seen}
    assert len(importers) == 1 and not importers & workers


# ---- where it listens ----
def test_a_list_of_addresses_with_an_f_string_and_a_unix_socket(project):
    path = project.folder / "app.sock"
    server = project.start("import os\nport = os.getenv('APP_PORT', '0')\nBASE = os.path.dirname(os.path.abspath(__file__))\n"
                           "bind = [f'127.0.0.1:{port}', f'unix:{BASE}/app.sock']\n", bind=None)
    assert ask(server, "environ['SERVER_PORT']") == str(server.port)
    assert wire.fetch(str(path), "/?1").text == "1"


@pytest.mark.parametrize("umask, mode", [("0o007", 0o770), ("0", 0o777), ("0o077", 0o700)])
def test_a_unix_socket_for_the_proxys_group(project, umask, mode):
    server = project.start(f"import pathlib\nbind = f'unix:{{pathlib.Path(__file__).parent}}/run.sock'\numask = {umask}\n",
                           bind=None)
    assert stat.S_IMODE(os.stat(server.address).st_mode) == mode
    assert ask(server, "environ['REMOTE_ADDR']") == ""


def test_a_port_from_a_format_string(project):
    server = project.start("import os\nbind = '127.0.0.1:%s' % os.environ.get('APP_PORT', 8000)\nbacklog = 64\n", bind=None,
                           env={"APP_PORT": "0"})
    assert ask(server, "1") == 1


# ---- logs ----
def test_both_logs_on_the_standard_streams(project):
    server = project.start("accesslog = '-'\nerrorlog = '-'\n")
    assert ask(server, "1") == 1
    eventually("an access line", lambda: re.search(r'^127\.0\.0\.1 - - \[.+\] "GET /\?1 HTTP/1\.1" 200 1 "-" "-"$',
                                                   server.stdout(), re.MULTILINE))
    assert "Listening at" in server.log()


def test_an_access_log_format_in_several_pieces(project):
    server = project.start("accesslog = '-'\n"
                           "access_log_format = (\n"
                           "    'ip=%({x-forwarded-for}i)s method=%(m)s path=%(U)s query=%(q)s '\n"
                           "    'status=%(s)s agent=\"%(a)s\" pid=%(p)s took=%(D)s s=%(L)s type=%({content-type}o)s'\n"
                           ")\n")
    pid = ask(server, "os.getpid()", headers=[("X-Forwarded-For", "198.51.100.7"), ("User-Agent", "me")])
    line = r'ip=198\.51\.100\.7 method=GET path=/ query=os\S+ status=200 agent="me" pid=<?%d>? took=\d+ s=0\.\d{6} type=text/plain'
    eventually("the line", lambda: re.search(line % pid, server.stdout()))


@pytest.mark.parametrize("value, shown", [("DEBUG", True), ("debug", True), ("Info", False)])
def test_the_log_level_of_the_environment(project, value, shown):
    server = project.start("import os\nloglevel = os.environ.get('LOG_LEVEL', 'info')\n", env={"LOG_LEVEL": value})
    assert ask(server, "__import__('logging').getLogger('gunicorn.error').debug('in detail')") is None
    assert ("[DEBUG] in detail" in server.log()) == shown


def test_log_files_in_a_directory_that_the_file_makes(project):
    server = project.start("import os\nfrom pathlib import Path\n"
                           "LOGS = Path(__file__).resolve().parent / 'logs'\nLOGS.mkdir(exist_ok=True)\n"
                           "errorlog = str(LOGS / 'error.log')\naccesslog = LOGS / 'access.log'\n", wait=False)
    server.log_path = project.folder / "logs" / "error.log"
    server._wait_ready(20)
    assert ask(server, "1") == 1
    eventually("an access line", lambda: "GET /?1" in project.read("logs/access.log"))


def test_what_the_application_prints_goes_to_the_error_log(project):
    server = project.start("capture_output = True\nerrorlog = 'error.log'\n", wait=False)
    server.log_path = project.folder / "error.log"
    server._wait_ready(20)
    assert ask(server, "print('a word from the application', flush=True)") is None
    eventually("the word", lambda: "a word from the application\n" in server.log())


def test_no_access_log(project):
    server = project.start("accesslog = None\nerrorlog = '-'\nloglevel = 'warning'\n", wait=False)
    eventually("no line but the process", lambda: len(proc.session_members(server.pid)) > 2)
    assert server.stop() == 0
    assert server.log() == "" and server.stdout() == ""


# ---- proxies ----
def test_all_proxies_are_trusted_and_name_their_own_header(project):
    server = project.start("forwarded_allow_ips = '*'\nsecure_scheme_headers = {'X-Forwarded-Proto': 'https', 'X-SCHEME': 'tls'}\n")
    assert ask(server, "environ['wsgi.url_scheme']", headers=[("X-Scheme", "tls")]) == "https"
    assert ask(server, "environ['wsgi.url_scheme']", headers=[("X-Forwarded-Proto", "https")]) == "https"
    assert ask(server, "environ['wsgi.url_scheme']", headers=[("X-Forwarded-Ssl", "on")]) == "http"


@pytest.mark.parametrize("trusted, scheme", [("", "http"), ("10.0.0.1", "http"), ("10.0.0.1,127.0.0.1", "https")])
def test_trusted_proxies_from_the_environment(project, trusted, scheme):
    conf = "import os\nforwarded_allow_ips = os.environ.get('TRUSTED', '')\n"
    server = project.start(conf, env={"TRUSTED": trusted})
    assert ask(server, "environ['wsgi.url_scheme']", headers=[("X-Forwarded-Proto", "https")]) == scheme


# ---- limits ----
def test_limits_of_a_request(project):
    server = project.start("limit_request_line = 100\nlimit_request_fields = 5\nlimit_request_field_size = 64\n")
    assert ask(server, "1") == 1
    assert server.get("/?" + "1" * 100).status == 414
    assert server.get("/?1", headers=[(f"A{n}", "1") for n in range(5)]).status == 431
    assert server.get("/?1", headers=[("A", "1" * 70)]).status == 431


def test_times(project):
    server = project.start("timeout = 1\ngraceful_timeout = 1\nkeepalive = 1\nworkers = 2\n")
    with server.connect() as kept:
        assert kept.ask("/?1").status == 200
        began = time.monotonic()
        assert kept.sock.recv(1) == b""  # keepalive
        assert 0.8 < time.monotonic() - began < scaled(4)
    assert server.get("/?__import__('time').sleep(5)").status == 504


# ---- the process ----
def test_the_environment_of_the_application_as_a_list(project):
    server = project.start("SETTINGS = 'prod'\nraw_env = [f'DJANGO_SETTINGS_MODULE=web.{SETTINGS}', 'EMPTY=', 'A=b=c']\n")
    assert ask(server, "[os.environ[n] for n in ('DJANGO_SETTINGS_MODULE', 'EMPTY', 'A')]") == ["web.prod", "", "b=c"]


def test_the_environment_of_the_application_as_one_string(project):
    server = project.start("raw_env = 'ONE=1'\n")
    assert ask(server, "os.environ['ONE']") == "1"


def test_a_file_of_variables_that_the_configuration_reads(project):
    # As load_dotenv() does, and django's manage.py.
    project.write(".env", "DATABASE_URL='postgres://db/shop'\n# nothing\nTWO=a=b\n\n")
    server = project.start(
        "import os\n"
        "for line in open('.env').read().splitlines():\n"
        "    if line and not line.startswith('#'):\n"
        "        name, _, value = line.partition('=')\n"
        "        os.environ.setdefault(name, value.strip(\"'\"))\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'web.settings')\n"
        "os.environ['LINES'] = 'one\\ntwo \\u00e4'\n"
        "os.environ.pop('SECRET_OF_THE_SHELL', None)\n"
        "raw_env = ['TWO=2']\n", env={"SECRET_OF_THE_SHELL": "1", "DATABASE_URL": "of the shell"})
    names = ["DATABASE_URL", "TWO", "DJANGO_SETTINGS_MODULE", "LINES", "SECRET_OF_THE_SHELL"]
    assert ask(server, f"[os.environ.get(name) for name in {names}]") == [
        "of the shell", "2", "web.settings", "one\ntwo \u00e4", None]
    project.write(".env", "FRESH=1\n")
    server.reload()
    assert ask(server, "[os.environ.get(n) for n in ('FRESH', 'TWO')]") == ["1", "2"]


def test_directories_that_the_configuration_puts_into_the_path_of_python(project):
    for name in ("front", "end", "both/front", "both/end"):
        project.write(f"{name}/in_{name.replace('/', '_')}.py", "")
    project.write("end/json.py", "raise ImportError('not the json of Python')\n")
    project.write("end/ordinary.py", "WHERE = 'end'\n")
    project.write("front/ordinary.py", "WHERE = 'front'\n")
    project.write("show.py", "import json, ordinary, in_front, in_end\n" + project.read("show.py"))
    server = project.start("import os, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
                           "sys.path.insert(0, os.path.join(HERE, 'front'))\nsys.path.append('end')\n")
    assert ask(server, "ordinary.WHERE") == "front"
    assert ask(server, "[sys.path[0], sys.path[-1]]") == [str(project.folder / "front"), "end"]


def test_directories_as_paths(project):
    project.write("src/web/__init__.py", "")
    project.write("src/web/wsgi.py", "from show import app as application\nfrom helper import WORD\n")
    project.write("src/show.py", project.read("show.py"))
    project.write("lib/helper.py", "WORD = 'from lib'\n")
    server = project.start("from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent\n"
                           "chdir = BASE_DIR / 'src'\npythonpath = str(BASE_DIR / 'lib')\n"
                           "pidfile = str(BASE_DIR / 'web.pid')\nwsgi_app = 'web.wsgi:application'\n", app=None)
    assert ask(server, "os.getcwd()") == str(project.folder / "src")
    assert ask(server, "sys.modules['helper'].WORD") == "from lib"
    assert int(project.read("web.pid")) == server.pid


def test_user_and_group_by_name(project):
    if os.geteuid() == 0:
        os.chmod(project.folder, 0o755)
        for parent in project.folder.parents[:3]:
            os.chmod(parent, 0o755)
        user, expected = "nobody", [65534]
    else:
        user, expected = getpass.getuser(), [os.geteuid()]
    server = project.start(f"user = {user!r}\n")
    assert [ask(server, "os.getuid()")] == expected


def test_a_name_for_the_processes(project):
    server = project.start("import socket\nproc_name = 'web-' + socket.gethostname()\n")
    assert f"[web-{socket.gethostname()}]" in proc.title(server.pid)


def test_a_directory_in_memory_for_the_heartbeat_changes_nothing(project):
    server = project.start("worker_tmp_dir = '/dev/shm'\ntmp_upload_dir = None\n")
    assert ask(server, "1") == 1 and "[WARNING]" not in server.log()


@pytest.mark.parametrize("value, follows", [("1", True), ("", False)])
def test_reload_where_debugging_is_on(project, value, follows):
    server = project.start("import os\nDEBUG = bool(os.environ.get('DEBUG'))\nreload = DEBUG\n", env={"DEBUG": value})
    project.write("show.py", project.read("show.py") + "fresh = True\n")
    if follows:
        eventually("the new code", lambda: ask(server, "'fresh' in globals()"))
    else:
        time.sleep(0.5)
        assert ask(server, "'fresh' in globals()") is False


def test_certificates_are_refused_with_the_way_out(project):
    project.conf("certfile = '/etc/ssl/web.pem'\nkeyfile = '/etc/ssl/web.key'\n")
    done = run("show:app", cwd=project.folder)
    assert done.returncode == 1
    assert "gunicorn.conf.py:1: 'certfile' is a setting of Gunicorn that this version of narwhal does not have yet: use a " \
           "proxy in front of it for TLS" in done.stderr


def test_names_of_other_programs_and_earlier_versions_change_nothing(project):
    server = project.start("debug = True\ncommand = '/srv/venv/bin/gunicorn'\nx_forwarded_for_header = 'X-FORWARDED-FOR'\n"
                           "django_settings = 'web.settings'\nport = 8000\nname = 'web'\n")
    assert ask(server, "1") == 1
