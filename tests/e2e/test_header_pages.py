"""narwhal_plugin.h(3), narwhal_extensions.h(3) and the reference: each has what the headers declare, and nothing else."""
import html
import re
import subprocess

import pytest

from manual_commands import literal_blocks
from server import BUILD, ROOT, SANITIZED

INCLUDE = ROOT / "include" / "narwhal"
PAGES = {"plugin.h": "narwhal_plugin.h.3", "extensions.h": "narwhal_extensions.h.3"}
FILLERS = ("struct_size", "reserved_0", "reserved_1")


def one_line(text):
    return re.sub(r"\s+", " ", text).strip()


def arguments_of(text):
    """"int, void (*run)(void *, int)" -> two arguments."""
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [one_line(part) for part in parts]


# ---- what a header declares ----

def code_of(header):
    return re.sub(r"/\*.*?\*/", " ", (INCLUDE / header).read_text(), flags=re.DOTALL)


def member_of(text):
    """(type, name), or (type, name, arguments) of a pointer to a function."""
    text = one_line(text)
    function = re.fullmatch(r"(.*?) ?\(\*(\w+)\)\((.*)\)", text)
    if function:
        return (one_line(function[1]), function[2], *arguments_of(function[3]))
    return (one_line(re.sub(r"\w+$", "", text)), re.search(r"\w+$", text)[0])


def structs_of(header):
    found = re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", code_of(header), re.DOTALL)
    return {name: [member for member in map(member_of, filter(str.strip, body.split(";"))) if member[1] not in FILLERS]
            for name, body in found}


def types_of(header):
    return set(re.findall(r"^typedef struct (\w+)", code_of(header), re.MULTILINE))


def macros_of(header):
    """name -> value, None for one that is not a number or a string."""
    macros = {}
    for name, text in re.findall(r"^#define (NARWHAL_\w+)(.*)$", code_of(header).replace("\\\n", " "), re.MULTILINE):
        value = re.fullmatch(r"\(?(-?\d+)u?\)?|\"(.*)\"", text.strip())
        macros[name] = (value[1] or value[2]) if value else None
    return {name: value for name, value in macros.items() if not name.endswith("_H")}


# ---- what a page says ----

def page_of(header):
    return re.sub(r"\\\n", "", (ROOT / "man" / PAGES[header]).read_text())


def words_of(line):
    return [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', line)]


def described_structs(header):
    """The members below each .Ss, in their order."""
    structs = {}
    for name, text in re.findall(r"^\.Ss (\w+)\n(.*?)(?=^\.S[sh] )", page_of(header), re.MULTILINE | re.DOTALL):
        structs[name] = []
        for line in re.findall(r"^\.It (Vt .* Va .*|Ft .* Fn .*)$", text, re.MULTILINE):
            _, kind, _, *rest = words_of(line)
            structs[name].append((kind, *rest))
    return structs


@pytest.mark.parametrize("header", PAGES)
def test_the_page_has_each_struct_with_its_members_in_order(header):
    described = described_structs(header)
    for name, members in structs_of(header).items():
        assert described[name] == members, name
    assert set(described) == types_of(header)


@pytest.mark.parametrize("header", PAGES)
def test_the_page_has_each_macro_with_its_value(header):
    listed = re.findall(r"^\.It (?:Dv|Fn) (NARWHAL_\w+)(?: Pq (?:\"(.*)\"|(\S+)))?", page_of(header), re.MULTILINE)
    described = {name: text or number or None for name, text, number in listed}
    assert described == {name: value for name, value in macros_of(header).items()}


def known_words():
    words = {"fork", "NULL", "narwhal_plugin_v1", "narwhal_bytes_of", "CLOCK_MONOTONIC", "instance", "release"}
    for header in PAGES:
        words |= types_of(header) | set(macros_of(header)) | set(FILLERS)
        for members in structs_of(header).values():
            words |= {member[1] for member in members}
    return words


@pytest.mark.parametrize("header", PAGES)
def test_the_page_names_nothing_that_the_headers_do_not_have(header):
    text = re.sub(r"^\.Bd .*?^\.Ed$", "", page_of(header), flags=re.MULTILINE | re.DOTALL)
    named = set()
    for line in re.findall(r"^\.(?:Fn|Va|Dv) (.*)$", text, re.MULTILINE):
        named |= {word for word in words_of(line) if re.fullmatch(r"\w+", word)}
    unknown = named - known_words() - {"Ns"}
    assert {name for name in unknown if not name.startswith("SIG")} == set()
    assert len(named) > 5, "this test reads no names any more"


@pytest.mark.skipif(SANITIZED, reason="the compiler's flags are those of an ordinary build")
@pytest.mark.parametrize("header", PAGES)
def test_the_example_of_the_page_is_a_plugin(header, serve, tmp_path):
    (source,) = [block for block in literal_blocks(PAGES[header]) if "narwhal_plugin_v1" in block]
    (tmp_path / "shop.c").write_text(source)
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{ROOT / 'include'}",
                    "-o", tmp_path / "shop.so", tmp_path / "shop.c"], check=True)
    server = serve(tmp_path / "shop.so", *(["--option", "greeting=Good day, "] if header == "plugin.h" else []))
    answer = server.get("/", method="POST", body=b"Ada")
    assert (answer.status, answer.text) == ((200, "Good day, Ada") if header == "plugin.h" else (204, ""))


# ---- the reference ----

def reference():
    return (BUILD / "reference.html").read_text()


def public_names(path):
    """(class or "", name) of what a header declares for everybody: read line by line, by the layout that clang-format gives."""
    names, inside, hidden, at_private = set(), "", False, False
    for line in re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL).splitlines():
        hidden = hidden and not re.match(r"\}  // namespace( detail|$|.*::detail)", line) or bool(re.match(r"namespace (\S*detail )?\{", line))
        line = line.split("//")[0].rstrip()
        opened = re.match(r"(?:typedef )?(class|struct)(?: \[\[nodiscard\]\])? (\w+)\b(?!<|::)(?!.*;)", line)
        if opened and not hidden:
            inside, at_private = opened[2], opened[1] == "class"
            names.add(("", inside))
        elif line.startswith("}"):
            inside = ""
        at_private = {" public:": False, " private:": True}.get(line, at_private)
        function = re.match((r"  (?! )" if inside else r"(?! )") + r"[\w:<>,*& ]*?[ *&](?:\(\*)?(\w+)\)?\(", line)
        is_other = re.match(r" *(return|friend|static_assert|if|requires|do|while|for|switch|extern|#)\b|.*(= delete|\boperator\b)|[^(]*\w::\w+\(", line)
        if function and not hidden and not (inside and at_private) and not is_other:
            names.add((inside, function[1]))
    return names


def headers():
    return sorted([*INCLUDE.glob("*.h"), *INCLUDE.glob("*.hpp"), INCLUDE / "testing" / "client.hpp", INCLUDE / "testing" / "values.hpp"])


@pytest.mark.parametrize("path", headers(), ids=lambda path: path.name)
def test_each_public_name_is_in_the_reference(path):
    place = html.escape(f"narwhal/{path.relative_to(INCLUDE)}")
    anchors = re.findall(rf'id="{re.escape(place)}:([^"]+)"', reference())
    listed = {("", name) for anchor in anchors for name in anchor.split(":")[0].split(", ")}
    listed |= {(anchor.split(":")[0], name) for anchor in anchors if ":" in anchor for name in anchor.split(":")[1].split(", ")}
    names = public_names(path)
    assert sorted(names - listed) == []
    if path.name in ("plugin.h", "router.hpp", "request.hpp", "testing.h"):
        assert len(names) > 15, "this test reads no names any more"


def test_the_reference_has_the_comments_and_its_links_lead_somewhere():
    page = reference()
    text = one_line(re.sub(r"<[^>]+>", "", page))
    for said in ("Ends a deferred exchange", "the client is gone, or the host has answered in your place",
                 "segments are percent-decoded after the path was split", "Throws HttpError 404 when it is not a number of this type"):
        assert said in text, said
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
    assert "http" not in "".join(re.findall(r'(?:src|href)="([^#][^"]*)"', page)), "it is one file"
