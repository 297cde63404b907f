"""Trials of minutes: python3 -m pytest tests/soak, alone on the machine. NARWHAL_SOAK_SECONDS stretches each (60).
NARWHAL_SOAK_TABLE names a file for the table of the trials of chaos."""
import os

import pytest

import chaos
from fixtures import _binary_exists, _bounded, serve  # noqa: F401


@pytest.fixture
def seconds():
    return float(os.environ.get("NARWHAL_SOAK_SECONDS", "60"))


@pytest.fixture
def start(serve, tmp_path):
    """A server with a control socket; `server.admin` asks it."""
    def run(*args, **named):
        return chaos.with_admin(serve(*args, "--control-socket", tmp_path / "control.sock", **named), tmp_path / "control.sock")
    return run


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.soak)


def pytest_terminal_summary(terminalreporter):
    if not chaos.ROWS:
        return
    terminalreporter.section("chaos")
    terminalreporter.write_line(chaos.table())
    if path := os.environ.get("NARWHAL_SOAK_TABLE"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(chaos.table() + "\n")
