"""What code under test says, in a file beside it: begin it with SAY, and read it with the fixture `said`."""
import pytest

# say(...) adds a line.
SAY = """\
import os
def say(*what):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "said"), "a") as file:
        print(*what, file=file)
"""


@pytest.fixture
def said(tmp_path):
    """The lines so far."""
    def read():
        path = tmp_path / "said"
        return path.read_text().splitlines() if path.exists() else []
    return read
