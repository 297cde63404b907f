"""Flask with SQLAlchemy on SQLite under threads: for seconds, as tests/soak does for minutes."""
import pytest

import ledger_clients

pytest.importorskip("flask", reason="the package python3-flask is not installed")
pytest.importorskip("sqlalchemy", reason="the package python3-sqlalchemy is not installed")


@pytest.fixture(scope="module")
def ledger(both):
    return both("ledger:app", "--threads", 4)


def test_accounts_and_transfers(ledger):
    kind = ("Content-Type", "application/json")
    ledger.same("/accounts")
    for body in (b'{"from": 1, "to": 2, "amount": 300}', b'{"from": 2, "to": 3, "amount": 5000}', b"{broken"):
        ledger.same("/transfer", method="POST", headers=[kind], body=body)
    for target in ("/accounts", "/accounts/2", "/accounts/99", "/sum"):
        ledger.same(target)


def test_8_clients_on_4_threads_lose_no_money(ledger):
    visits, wrong = ledger_clients.run(ledger.narwhal.address, 2)
    assert not wrong, wrong[:5]
    assert visits > 20
    said = ledger.narwhal.get("/sum")
    assert said.status == 200 and f'"sum":{ledger_clients.SUM}' in said.text
