"""Trials of minutes: python3 -m pytest tests/soak, alone on the machine. NARWHAL_SOAK_SECONDS stretches each (60)."""
import os

import pytest

from fixtures import _binary_exists, _bounded, serve  # noqa: F401


@pytest.fixture
def seconds():
    return float(os.environ.get("NARWHAL_SOAK_SECONDS", "60"))


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.soak)
