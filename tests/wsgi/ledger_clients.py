"""Clients of apps/ledger.py: each makes random transfers, checks the accounts after each, and remembers what was wrong."""
import json
import random
import time

from load import in_parallel
from wire import Wire

SUM = 10 * 1000


def visit(wire, dice):
    """One transfer between two accounts, then the accounts; what was wrong, or None."""
    source, target = dice.sample(range(1, 11), 2)
    asked = json.dumps({"from": source, "to": target, "amount": dice.randint(1, 400)}).encode()
    done = wire.ask("/transfer", method="POST", headers=[("Content-Type", "application/json")], body=asked)
    if done.status not in (200, 409):
        return f"a transfer answered {done.status}: {done.body[:200]!r}"
    listed = wire.ask("/accounts")
    if listed.status != 200:
        return f"the accounts answered {listed.status}: {listed.body[:200]!r}"
    if (found := sum(account["balance"] for account in json.loads(listed.body))) != SUM:
        return f"the accounts hold {found}"
    if dice.random() < 0.05 and (status := wire.ask("/forget", method="POST").status) != 204:
        return f"forgetting answered {status}"
    one = wire.ask(f"/accounts/{source}")
    return None if one.status == 200 else f"an account answered {one.status}"


def run(address, seconds, clients=8, seed=1):
    """(visits, what was wrong) of `clients` in `seconds`, each on one kept connection."""
    def client(number):
        dice, end, visits, wrong = random.Random(seed * 1000 + number), time.monotonic() + seconds, 0, []
        with Wire(address, timeout=40) as wire:
            while time.monotonic() < end:
                if problem := visit(wire, dice):
                    wrong.append(problem)
                visits += 1
        return visits, wrong

    results = in_parallel(clients, client)
    failed = [repr(result) for result in results if isinstance(result, Exception)]
    return (sum(result[0] for result in results if not isinstance(result, Exception)),
            failed + [problem for result in results if not isinstance(result, Exception) for problem in result[1]])
