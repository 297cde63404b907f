"""The documents about the code keep up with it: what they name is there."""
import re
from pathlib import Path

import pytest

import source_rules

ROOT = Path(__file__).resolve().parents[2]
CITATION = re.compile(r"DECISIONS\.md((?:,? (?:and )?D\d+)+)")


def decision_numbers():
    return [int(number) for number in re.findall(r"^- \*\*D(\d+)\*\* \(\d{4}-\d\d-\d\d", (ROOT / "DECISIONS.md").read_text(), re.MULTILINE)]


def test_every_decision_has_a_number_of_its_own_and_none_is_missing():
    entries = re.findall(r"^- ", (ROOT / "DECISIONS.md").read_text(), re.MULTILINE)
    numbers = decision_numbers()
    assert len(entries) == len(numbers), "an entry without a number or a date"
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_every_decision_that_is_cited_exists():
    known = set(decision_numbers())
    cited = []
    for file in source_rules.tree(ROOT, (*source_rules.HAND_WRITTEN, ".md", ".build")):
        for words in CITATION.findall((ROOT / file).read_text(encoding="utf-8", errors="replace")):
            cited += [(file, int(number)) for number in re.findall(r"D(\d+)", words)]
    assert [f"{file}: D{number}" for file, number in cited if number not in known] == []
    assert ("tests/http/requirements.md", 64) in cited, "this test reads no citation any more"


@pytest.mark.parametrize("page", sorted((ROOT / "man").glob("*.[1-8]")), ids=lambda page: page.name)
def test_no_manual_page_quotes_a_list_as_one(page):
    """Ql quotes all that follows on its line: ".Ql a , b" prints 'a, b' in one pair of quotes. Each word takes a line."""
    lines = enumerate(page.read_text().splitlines(), 1)
    assert [f"{page.name}:{number}" for number, line in lines if re.search(r"\b[QDS]q\b.* [,;.] \S|\bQl\b.* [,;.] \S", line)] == []
