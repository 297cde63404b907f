"""conf/hbnb and conf/nginx/hbnb.conf as shipped: the Airbnb clone at the four ports of the classic exercise, behind a real nginx;
only addresses and folders are replaced. Natively, and in Flask by one other line."""
import importlib.util
import json
import re
import shutil
import subprocess

import pytest

import upstart_grammar
import wire
from nginx_front import needs_nginx, nginx  # noqa: F401
from server import BINARY, ROOT, WSGI, example

CONF = ROOT / "conf/hbnb"
PORTS = (5000, 5001, 5002, 5003)
ONEPAGE, NUMBER, API, CLONE = range(4)
needs_flask = pytest.mark.skipif(not WSGI.exists() or importlib.util.find_spec("flask") is None,
                                 reason="needs the WSGI plugin and python3-flask")
pytestmark = pytest.mark.skipif(not example("hbnb").exists(), reason="this build has no hbnb: it needs libsqlite3-dev")
KINDS = ["native", pytest.param("flask", marks=needs_flask)]
# What the exercise asks for: (which of the ports has it, path, status, what is in the answer)
ASKED = [(ONEPAGE, "/airbnb-onepage", 200, "</html>"), (ONEPAGE, "/airbnb-onepage/", 200, "</html>"),
         (NUMBER, "/airbnb-dynamic/number_odd_or_even/89", 200, "odd"),
         (NUMBER, "/airbnb-dynamic/number_odd_or_even/6/", 200, "even"),
         (NUMBER, "/airbnb-dynamic/number_odd_or_even/python", 404, ""), (NUMBER, "/airbnb-dynamic/number_odd_or_even/", 404, ""),
         (API, "/api/v1/status", 200, "OK"), (API, "/api/v1/status/", 200, "OK"), (API, "/api/v1/states", 200, "Arizona"),
         (API, "/api/v1/states/", 200, "Arizona"), (API, "/api/v1/stats", 200, "amenities"), (API, "/api/v1/nop", 404, "Not found"),
         (CLONE, "/", 200, "Arizona"), (CLONE, "/hbnb", 200, "Arizona"), (CLONE, "/hbnb/", 200, "Arizona"),
         (CLONE, "/nop", 404, "")]


@pytest.fixture
def settings(tmp_path):
    """settings("flask"): the text of conf/hbnb/hbnb.yaml, for a copy of /srv/hbnb in the test's folder."""
    srv = tmp_path / "srv"
    srv.mkdir()
    (tmp_path / "lib").mkdir()
    shutil.copy(example("hbnb"), srv / "hbnb.so")
    for name in ("hbnb", "hbnb-flask"):
        shutil.copytree(ROOT / "examples" / name, srv / name)

    def read(kind):
        text = (CONF / "hbnb.yaml").read_text()
        for port in PORTS:
            assert text.count(f"  - 127.0.0.1:{port}\n") == 1
            text = text.replace(f"  - 127.0.0.1:{port}\n", "  - 127.0.0.1:0\n")
        if kind == "flask":
            assert text.count("\napp: /srv/hbnb/hbnb.so\n") == text.count("\n#app: app:app\n") == 1
            text = text.replace("\napp: /srv/hbnb/hbnb.so\n", "\n").replace("\n#app: app:app\n", "\napp: app:app\n")
        return text.replace("/srv/hbnb", str(srv)).replace("/var/lib/hbnb", str(tmp_path / "lib"))
    return read


def behind_nginx(nginx, tmp_path, addresses):  # noqa: F811
    servers = {f"server 127.0.0.1:{port};": "server %s:%d;" % address for port, address in zip(PORTS, addresses)}
    return nginx(tcp=True, name="hbnb.conf", replaced={**servers, "root /srv/hbnb/hbnb;": f"root {tmp_path}/srv/hbnb;"})


def ask_everything(address, which=None):
    """All that is asked for, from nginx or from the port that has it."""
    with wire.Wire(address) as client:
        for place, path, status, text in ASKED:
            if which in (None, place):
                answer = client.ask(path)
                assert (answer.status, text in answer.text) == (status, True), (path, answer)
                assert client.ask(path, method="HEAD").status == status


def new_state(address, name):
    answer = wire.fetch(address, "/api/v1/states", method="POST", headers=[("Content-Type", "application/json")],
                        body=json.dumps({"name": name}).encode())
    assert answer.status == 201, answer


@needs_nginx
@pytest.mark.parametrize("kind", KINDS)
def test_one_server_at_four_ports_behind_nginx(serve, nginx, settings, tmp_path, kind):  # noqa: F811
    server = serve(config=settings(kind), bind=None, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert len(server.addresses) == 4 and (tmp_path / "lib/hbnb.db").exists()
    front = behind_nginx(nginx, tmp_path, server.addresses)
    ask_everything(front)
    for place, address in enumerate(server.addresses):
        ask_everything(address, place)
    new_state(front, "Utah")
    assert "Utah" in wire.fetch(front, "/hbnb").text and "Utah" in wire.fetch(front, "/airbnb-onepage").text
    server.reload()
    ask_everything(front)


@needs_nginx
def test_nginx_sends_static_files_itself_and_without_the_folder_the_clone_does(serve, nginx, settings, tmp_path):  # noqa: F811
    server = serve(config=settings("native"), bind=None)
    front = behind_nginx(nginx, tmp_path, server.addresses)
    style = wire.fetch(front, "/static/hbnb.css")
    assert (style.status, style.body) == (200, (ROOT / "examples/hbnb/static/hbnb.css").read_bytes())
    assert style.header("Cache-Control") == "max-age=3600" and style.header("X-Content-Type-Options") == "nosniff"
    assert wire.fetch(front, "/static/none.css").status == 404
    shutil.move(tmp_path / "srv/hbnb/static", tmp_path / "gone")
    assert wire.fetch(front, "/static/hbnb.css").body == style.body
    shutil.move(tmp_path / "gone", tmp_path / "srv/hbnb/static")
    server.stop()
    assert wire.fetch(front, "/static/hbnb.css").body == style.body
    assert wire.fetch(front, "/").status == 502


@needs_nginx
@pytest.mark.parametrize("kind", KINDS)
def test_four_servers_from_the_same_file_share_a_database_and_stop_one_by_one(serve, nginx, settings, tmp_path,  # noqa: F811
                                                                              kind):
    servers = [serve(config=settings(kind), env={"PYTHONDONTWRITEBYTECODE": "1"}) for _ in PORTS]
    addresses = [address for server in servers for address in server.addresses]
    assert len(addresses) == 4
    front = behind_nginx(nginx, tmp_path, addresses)
    ask_everything(front)
    for place, address in enumerate(addresses):
        ask_everything(address, place)
    new_state(front, "Utah")
    assert "Utah" in wire.fetch(addresses[CLONE], "/").text
    servers[NUMBER].stop()
    assert [wire.fetch(front, path).status for path in ("/airbnb-dynamic/number_odd_or_even/6", "/", "/airbnb-onepage/",
                                                        "/api/v1/status")] == [502, 200, 200, 200]


def test_what_nginx_says_about_its_clients_is_the_same_as_in_narwhal_conf():
    directives = [re.findall(r"^ *(proxy_set_header .*;|proxy_http_version .*;|proxy_read_timeout .*;)$",
                             (ROOT / "conf/nginx" / name).read_text(), re.MULTILINE) for name in ("narwhal.conf", "hbnb.conf")]
    assert directives[0] == directives[1] and len(directives[0]) >= 9


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_units_of_systemd_load_with_these_folders(tmp_path):
    for name in ("narwhal@.service", "narwhal@.socket"):
        text = (ROOT / "conf/systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"/usr/local/bin/narwhal(ctl)?\b", str(BINARY), text))
    for name in ("narwhal@hbnb.service.d", "narwhal@hbnb.socket.d"):
        shutil.copytree(CONF / name, tmp_path / name)
    units = ["narwhal@hbnb.service", "narwhal@hbnb.socket"]
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in units)],
                             capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    ports = re.findall(r"^ListenStream=(.*)$", (CONF / "narwhal@hbnb.socket.d/hbnb.conf").read_text(), re.MULTILINE)
    assert ports == ["", *(f"127.0.0.1:{port}" for port in PORTS)]


def test_the_job_of_upstart_with_the_line_that_the_file_names():
    (command,) = re.findall(r"^#   (exec .*)$", (CONF / "hbnb.yaml").read_text(), re.MULTILINE)
    job = (ROOT / "conf/upstart/narwhal.conf").read_text()
    assert job.rstrip().splitlines()[-1].startswith("exec ")
    job = "\n".join([*job.rstrip().splitlines()[:-1], command]) + "\n"
    assert upstart_grammar.faults_of(job) == []
