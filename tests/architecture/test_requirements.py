"""tests/http/requirements.md: no row is open, and every test that it names is there."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "http" / "requirements.md"
HEADING = ["§", "level", "asked", "narwhal", "shown by"]
LEVELS = {"M", "S", "R", "-"}


def tables(text):
    """[(heading cells, [row cells])] of a Markdown text."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append((rows[0], rows[2:]))
    return found


def names_of_tests():
    """Every pytest function, doctest case and table of wire bytes."""
    names = set()
    for path in (ROOT / "tests").glob("**/test_*.py"):
        names |= set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE))
    for path in (ROOT / "tests" / "unit").glob("*_test.cpp"):
        for literals in re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', path.read_text()):
            names.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)))
    for path in (ROOT / "tests" / "wire").glob("*.hpp"):
        names |= set(re.findall(r"^constexpr Row (\w+)\[\]", path.read_text(), re.MULTILINE))
    return names


def problems_of(text, names):
    problems = []
    for heading, rows in tables(text):
        for row in rows:
            where = " ".join(row)[:70]
            if len(row) != len(heading) or not all(row):
                problems.append(f"{where}: a cell is empty, or there is one too many")
            elif heading == HEADING:
                named = re.findall(r"`([^`]+)`", row[-1])
                problems += [f"{where}: level {row[1]}"] if row[1] not in LEVELS else []
                problems += [f"{where}: no test"] if not named else []
                problems += [f"{where}: there is no test {name!r}" for name in named if name not in names]
    return problems


def test_every_requirement_names_tests_that_exist_and_none_is_open():
    text = TABLE.read_text()
    assert problems_of(text, names_of_tests()) == []
    rows = [row for heading, rows in tables(text) if heading == HEADING for row in rows]
    assert len(rows) > 90


def test_every_section_that_binds_a_server_has_a_row():
    text = TABLE.read_text()
    named = " ".join(row[0] for _, rows in tables(text) for row in rows)
    for section in ("2.1 2.2 2.3 3 3.1 3.2 3.2.2 3.2.3 3.2.4 3.3 4 5 5.1 5.2 6 6.1 6.2 6.3 7 7.1 7.1.1 7.1.2 7.1.3 "
                    "7.2 7.4 8 9.2 9.3 9.3.2 9.5 9.6 11.1 11.2 2.4 2.5 4.2.1 4.2.4 5.4 5.5 5.6.1 5.6.7 6.4.1 6.5.1 "
                    "6.6.1 7.8 8.6 9.1 9.3.2 9.3.6 9.3.7 10.1.1 10.2.1 15.2 15.3.6 15.5.9 15.5.14 15.6.6").split():
        assert re.search(r"(?<![\d.])%s(?![\d.]*\d)" % re.escape(section), named), section


@pytest.mark.parametrize("row, problem", [
    ("| 1 | M | a | b | `test_x` |", ""),
    ("| 1 | M | a | b | `gone` |", "there is no test 'gone'"),
    ("| 1 | M | a | b | later |", "no test"),
    ("| 1 | X | a | b | `test_x` |", "level X"),
    ("| 1 | M | a |  | `test_x` |", "a cell is empty"),
    ("| 1 | M | a | b | c | `test_x` |", "one too many"),
])
def test_an_open_row_is_found(row, problem):
    text = "| " + " | ".join(HEADING) + " |\n|---|---|---|---|---|\n" + row + "\n"
    found = problems_of(text, {"test_x"})
    assert problem in found[0] if problem else found == []
