"""Python applications for minutes: no error, and memory that stays."""
import pytest

import ledger_clients
import proc
from server import ROOT, SANITIZED


def test_flask_and_sqlalchemy_on_4_threads_serve_8_clients_in_steady_memory(serve, tmp_path, seconds):
    pytest.importorskip("flask", reason="the package python3-flask is not installed")
    pytest.importorskip("sqlalchemy", reason="the package python3-sqlalchemy is not installed")
    server = serve("ledger:app", "--chdir", ROOT / "tests" / "wsgi" / "apps", "-w", "1", "--threads", "4",
                   env={"TRIAL_FOLDER": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"})
    worker, = server.wait_workers(1)
    # What is made once is made by now: every thread's connection, caches of statements and templates, malloc's arenas.
    before_visits, wrong = ledger_clients.run(server.address, max(seconds / 4, 5), seed=1)
    assert not wrong, wrong[:5]
    before = proc.status_field(worker, "RssAnon")
    visits, wrong = ledger_clients.run(server.address, seconds, seed=2)
    after = proc.status_field(worker, "RssAnon")
    print(f"{before_visits} visits of a few requests each, {before} KiB; then {visits} in {seconds:g} s, {after} KiB")
    assert not wrong, wrong[:5]
    assert visits > seconds * 10
    assert server.worker_pids() == [worker]
    assert "Traceback" not in server.log()
    assert SANITIZED or after <= before + 2048
