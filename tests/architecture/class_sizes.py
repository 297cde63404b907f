"""How many methods each class declares: constructors, destructors and operators included, deleted ones not.

    methods_of("struct A { A(); int size() const { return 1; } int (*hook)(int); };") -> {"A": 2}

It reads the source as text: a class body is cut into members, and a member is a method if its name is followed by a
list of parameters.
"""
import re

from source_rules import tree

METHODS_MAX = 40
FOLDERS = ("core", "protocol", "worker", "server", "plugins")

CLASS = re.compile(r"(?<!enum )\b(?:class|struct)\s+(\w[\w:]*)(?:\s*<[^;{}]*>)?(?:\s+final)?\s*(?::(?!:)[^;{}()]*)?\{")
# What may hide a bracket.
RAW_STRING = r'\bL?R"(?P<end>\w*)\(.*?\)(?P=end)"'
STRING = r'"(?:\\.|[^"\\\n])*"'
CHARACTER = r"(?<!\w)'(?:\\.|[^'\\\n])+'"
COMMENT = r"//[^\n]*|/\*.*?\*/"
DIRECTIVE = r"^[ \t]*#(?:\\\n|[^\n])*"
BLANK = re.compile("|".join((RAW_STRING, STRING, CHARACTER, COMMENT, DIRECTIVE)), re.MULTILINE | re.DOTALL)
OPERATOR = re.compile(r"\boperator\s*(?:\(\s*\)|\[\s*\]|[^\w\s(]+|\s[\w:<>*&\s]+(?=\())")

TYPE = re.compile(r"(?:class|struct|union|enum|namespace)\b")
NO_METHOD = re.compile(r"(?:using|typedef|friend|static_assert|extern)\b")
WITH_PARENTHESES = re.compile(r"\b(?:alignas|decltype|explicit|noexcept|requires)\s*(?=\()")


def closing(text, start):
    """Where the bracket that opens at `start` is closed. A < that is never closed is a comparison: `start` itself."""
    opens, closes = text[start], {"(": ")", "{": "}", "<": ">", "[": "]"}[text[start]]
    depth = round_depth = 0
    for at in range(start, len(text)):
        if opens == "<":
            round_depth += (text[at] == "(") - (text[at] == ")")
            if round_depth < 0 or text[at] in ";{":
                return start
            if round_depth > 0:
                continue
        depth += (text[at] == opens) - (text[at] == closes)
        if depth == 0:
            return at
    return start if opens == "<" else len(text)


def without(text, opens):
    """The text without its brackets of this kind and what they hold."""
    start = text.find(opens)
    while start >= 0:
        end = closing(text, start)
        if end == start:
            start = text.find(opens, start + 1)
            continue
        text = text[:start] + " " + text[end + 1:]
        start = text.find(opens, start)
    return text


def outside(text):
    """The text without what its brackets hold, braces aside."""
    return without(without(without(text, "["), "<"), "(")


def declaration_of(member):
    """The member without what comes before its type."""
    member = re.sub(r"^\s*(?:(?:public|private|protected)\s*:\s*)+", "", member).strip()
    while member.startswith(("template", "[[")):
        start = min(at for at in (member.find("<"), member.find("[")) if at >= 0)
        member = member[closing(member, start) + 1:].strip()
    return re.sub(r"^(?:class|struct|union)\s+(?=[\w:]+[\s*&]+\w+\s*\()", "", member)  # struct stat* opened();


def members_of(body):
    """The members of a class, each as text without the contents of its braces."""
    member, at = "", 0
    while at < len(body):
        if body[at] == "(":
            end = closing(body, at)
            member += body[at] + without(body[at + 1:end], "{") + ")"
            at = end
        elif body[at] == "{":
            at = closing(body, at)
            member += "{}"
            # Braces of a type or of an initialiser: the member continues. Braces of a body end it.
            continues = TYPE.match(declaration_of(member)) or "=" in outside(member) or re.match(r"\s*[,;{]", body[at + 1:])
            if not continues:
                yield member
                member = ""
        elif body[at] == ";":
            yield member
            member = ""
        else:
            member += body[at]
        at += 1


def is_method(member):
    member = declaration_of(member)
    if NO_METHOD.match(member) or TYPE.match(member) or re.search(r"=\s*delete\s*$", member):
        return False
    member = without(without(member, "["), "<")
    while match := WITH_PARENTHESES.search(member):
        member = member[:match.start()] + member[closing(member, match.end()) + 1:]
    start = member.find("(")
    if start < 0 or re.search(r"[={]", member[:start]):  # a value, perhaps with a call in its initialiser
        return False
    end = closing(member, start)
    pointer = re.match(r"\(\s*(?:\w+::)*[*&]", member[start:]) and member[end + 1:].lstrip().startswith("(")
    return not pointer or "(" in member[start + 1:end]  # a method may return a pointer to a function


def methods_of(text):
    """{"Outer": 3, "Inner": 2}. A class counts without those that are nested in it."""
    text = OPERATOR.sub(" operator_ ", BLANK.sub(lambda match: '""' if match[0][0] in "LR\"" else " ", text))
    found = {}
    for match in CLASS.finditer(text):
        body = text[match.end():closing(text, match.end() - 1)]
        found[match[1]] = max(found.get(match[1], 0), sum(is_method(member) for member in members_of(body)))
    return found


def check_classes(root):
    problems = []
    for file in tree(root, (".hpp", ".cpp", ".h")):
        if file.split("/")[0] not in FOLDERS:
            continue
        for name, count in methods_of((root / file).read_text()).items():
            if count > METHODS_MAX:
                problems.append(f"{file}: {name} has {count} methods, more than {METHODS_MAX}: which is its second task?")
    return problems
