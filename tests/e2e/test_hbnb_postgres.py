"""examples/hbnb on PostgreSQL: the same answers as on SQLite, several servers on one database, and its restarts."""
import json
import subprocess

import pytest

import hbnb_talk
from clock import eventually
from hbnb_writers import FIRST
from postgres_cluster import cluster, needs_postgres, postgres  # noqa: F401
from server import example
from test_hbnb import api, flags


def knows_postgres():
    if not example("hbnb").exists():
        return False
    return "libpq" in subprocess.run(["ldd", example("hbnb")], capture_output=True, text=True).stdout


pytestmark = [needs_postgres, pytest.mark.skipif(not knows_postgres(), reason="this build's hbnb has no PostgreSQL: libpq-dev")]


def test_the_answers_are_those_of_sqlite(serve, cluster, tmp_path):  # noqa: F811
    talks = []
    for database in (tmp_path / "hbnb.db", cluster.url):
        with serve(*flags(database)).connect() as wire:
            talks.append(hbnb_talk.whole(hbnb_talk.Talk(wire)))
    for on_sqlite, on_postgres in zip(*talks):
        assert on_sqlite == on_postgres
    assert len(talks[0]) == len(talks[1]) > 90


def test_several_servers_start_on_an_empty_database_and_share_it(serve, cluster):  # noqa: F811
    servers = [serve(*flags(cluster.url, workers=3), wait=False) for _ in range(2)]
    for server in servers:
        server._wait_ready(30)
    api(servers[0], "/states", "POST", {"name": "Utah"})
    for server in servers:
        assert api(server, "/stats") == {**FIRST, "states": 6}
        assert "ERROR" not in server.log()


def test_while_the_database_is_gone_requests_get_503_and_later_they_are_served(serve, cluster):  # noqa: F811
    server = serve(*flags(cluster.url))
    for _ in range(20):  # so that several threads have a connection
        api(server, "/stats")
    made = api(server, "/states", "POST", {"name": "kept"})["id"]
    cluster.stop()
    for path in ("/api/v1/stats", "/hbnb"):
        answer = server.get(path)
        assert answer.status == 503 and answer.header("Retry-After") == "1", answer
    assert json.loads(server.get("/api/v1/states").body) == {"error": "The database does not answer"}
    assert api(server, "/status") == {"status": "OK"}
    server.wait_for("PostgreSQL, at the option 'database': connection to server on socket")
    cluster.start()

    def kept():
        answer = server.get(f"/api/v1/states/{made}")  # of the two workers each tries the database again in its own time
        return answer.status == 200 and json.loads(answer.body)["name"] == "kept"

    eventually("served again", kept, 10)


def test_a_restart_between_two_requests_costs_none_of_them(serve, cluster):  # noqa: F811
    server = serve(example("hbnb"), "-w", 1, "--threads", 1, "--option", f"database={cluster.url}")
    for number in range(3):
        assert api(server, "/states", "POST", {"name": str(number)})["name"] == str(number)
        cluster.stop()
        cluster.start()
    assert api(server, "/stats")["states"] == FIRST["states"] + 3


def test_a_database_that_is_not_there_stops_the_start(serve, cluster):  # noqa: F811
    cluster.stop()
    server = serve(*flags(cluster.url), wait=False)
    server.wait_for("PostgreSQL, at the option 'database': ")
    assert server.wait_exit() == 3
