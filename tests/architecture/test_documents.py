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


def pages_seen_also():
    """page -> the pages of ours that its SEE ALSO names."""
    pages = {f"{page.stem} {page.suffix[1:]}": page.read_text() for page in (ROOT / "man").glob("*.[1-8]")}
    sections = {name: text.partition("\n.Sh SEE ALSO\n")[2].partition("\n.Sh ")[0] for name, text in pages.items()}
    return {name: set(re.findall(r"^\.Xr (\S+ \d)", section, re.MULTILINE)) & set(pages) for name, section in sections.items()}


def test_see_also_goes_both_ways():
    seen = pages_seen_also()
    assert [f"{name} does not name {other}" for other, named in seen.items() for name in sorted(named) if other not in seen[name]] == []
    assert all(seen.values()) and len(seen) > 8


# ---- the map: DESIGN.md ----

DESIGN = (ROOT / "DESIGN.md").read_text()
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name != "build")


def unbroken(text):
    """A text whose code spans are on one line each, and are not blocks of code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`", lambda span: re.sub(r"\s+", " ", span[0]), text)


def spans_of(text):
    return re.findall(r"`([^`]+)`", unbroken(text))


def defines(text, name):
    """Whether a source defines or declares `name`: "Crew::tend()", "decode_head()", or a word that is not a function."""
    if not name.endswith("()"):
        return re.search(rf"\b{re.escape(name)}\b", text) is not None
    *classes, function = name.removesuffix("()").split("::")
    if not classes:
        return re.search(rf"^(?:[\w\[].*\b|def ){function}\(", text, re.MULTILINE) is not None
    if f"{'::'.join(classes)}::{function}(" in text:
        return True
    inside = re.search(rf"^ *(?:class|struct) {classes[-1]}\b", text, re.MULTILINE)
    return inside is not None and re.search(rf"^ +[\w\[].*\b{function}\(", text[inside.start():], re.MULTILINE) is not None


def problems_of(text, root=ROOT, folders=FOLDERS):
    """What a document names and the tree does not have."""
    problems, here = [], ""
    for span in spans_of(text):
        path, _, names = span.partition(": ")
        named = [name for name in names.split(", ") if name]
        if "/" in path and path.split("/")[0] in folders and not re.search(r"[ <]", path):
            if not [found for each in expanded(path) for found in root.glob(each)]:
                problems.append(f"no {path}")
                continue
            here = path
        elif re.fullmatch(r"(?:\w+::)+\w+\(\)", span):
            named = [span]
        else:
            continue
        if named and (root / here).is_file():
            source = (root / here).read_text()
            problems += [f"no {name} in {here}" for name in named if not defines(source, name)]
    return problems


def expanded(path):
    """"core/{a,b}.hpp" -> ["core/a.hpp", "core/b.hpp"]"""
    braces = re.search(r"\{(.*?)\}", path)
    return [path] if not braces else [path[:braces.start()] + word + path[braces.end():] for word in braces[1].split(",")]


def test_the_design_names_only_what_exists():
    assert problems_of(DESIGN) == []
    assert len([span for span in spans_of(DESIGN) if "()" in span]) > 60, "this test reads no names any more"


def test_the_design_is_read_in_ten_minutes():
    assert len(DESIGN.splitlines()) <= 180


def test_every_class_that_the_design_names_exists():
    sources = [(ROOT / file).read_text() for file in source_rules.tree(ROOT, source_rules.SOURCES) if not file.startswith("tests/")]
    defined = {name for text in sources for name in re.findall(r"\b(?:class|struct) (\w+)(?: final)?\s*[:{]", text)}
    named = {span for span in spans_of(DESIGN) if re.fullmatch(r"(?:[A-Z][a-z]+)+", span)}
    assert sorted(named - defined) == []
    assert len(named) > 20


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "DECISIONS.md", "tests/http/requirements.md"])
def test_the_other_documents_name_only_files_that_exist(name):
    assert problems_of((ROOT / name).read_text()) == []


@pytest.mark.parametrize("text, problems", [
    ("`worker/crew.cpp`, `worker/crew.cpp: Crew::tend()`, `worker/`, `core/{a,b}.hpp`", []),
    ("`worker/gone.cpp`", ["no worker/gone.cpp"]),
    ("`worker/crew.cpp: Crew::tend(), Crew::rest()`", ["no Crew::rest() in worker/crew.cpp"]),
    ("`worker/crew.cpp:\nCrew::tend()` and later `Crew::rest()`", ["no Crew::rest() in worker/crew.cpp"]),
    ("`worker/crew.cpp: start()`", []),
    ("`worker/crew.cpp: work()`", ["no work() in worker/crew.cpp"]),
    ("`worker/crew.cpp: Line::read()`, `worker/crew.cpp: Line::write()`", ["no Line::write() in worker/crew.cpp"]),
    ("`text/plain` and `a b: c()`", []),
])
def test_what_is_not_there_is_found(tmp_path, text, problems):
    for folder in ("worker", "core"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        (tmp_path / f"core/{name}.hpp").write_text("")
    (tmp_path / "worker/crew.cpp").write_text(
        "int start(int by) {\n  return work();\n}\nvoid Crew::tend() {\n}\nclass Line {\n  int read();\n};\n")
    assert problems_of(text, tmp_path, ["worker", "core"]) == problems


def table_of_folders():
    """folder -> (what it may include of ours, other headers), as DESIGN.md has it."""
    (block,) = re.findall(r"^\| folder \|.*\n\|[-|]+\n((?:\|.*\n)+)", DESIGN, re.MULTILINE)
    rows = {}
    for line in block.splitlines():
        folder, _, ours, others = [cell.strip() for cell in line.strip("|").split("|")]
        seen = {target.rstrip("/") for span in spans_of(ours) for target in expanded(span)}
        rows[folder.strip("`/")] = (seen, set(re.findall(r"[A-Za-z][\w.-]*(?: \([^)]*\))?", others)))
    return rows


def table_that_is_enforced():
    others = {folder: set() for folder in source_rules.OURS}
    for prefix, places in source_rules.THIRD_PARTY.items():
        for place in places:
            name = prefix.rstrip("/") + (" (one file)" if place.endswith("!") else "")
            place = place.rstrip("!")
            if place not in others:
                folder, _, part = place.partition("/")
                others[folder].add(f"{name} ({part})")
            for folder in others:
                if folder == place or folder.startswith(place + "/"):
                    others[folder].add(name)
    return {folder: (set(ours), others[folder]) for folder, ours in source_rules.OURS.items()}


def test_the_table_of_folders_is_the_one_that_is_enforced():
    assert table_of_folders() == table_that_is_enforced()
    assert source_rules.OURS_BY_FILE == {"server/main.cpp": ["worker", "admin"]}, "DESIGN.md says it in the row of server/"
