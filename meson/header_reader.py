"""What the headers for plugins declare, with the comments; for header_reference.py.

The comments are ordinary ones. The first of a header is about all of it. One directly above a declaration, or after it on
its line, is its own. The code is laid out by clang-format, and uses only as much of C++ as these headers do.
"""
import re
from dataclasses import dataclass, field


@dataclass
class Entry:
    """A declaration with its comment; `inner` are the members of a class. A heading has a comment alone."""
    name: str = ""
    code: list[str] = field(default_factory=list)
    comment: list[str] = field(default_factory=list)
    inner: list["Entry"] = field(default_factory=list)


TOKEN = re.compile(r'''//[^\n]*|/\*.*?\*/|R"\(.*?\)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|.''',
                   re.DOTALL)  # a quote after a digit separates digits


class Reader:
    """Tokens of a header: comments, strings, characters. A comment ends no declaration."""
    def __init__(self, text):
        self.tokens = [match[0] for match in TOKEN.finditer(text)]
        self.at = 0

    def more(self):
        return self.at < len(self.tokens)

    def peek(self):
        return self.tokens[self.at] if self.more() else ""

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def skip_group(self):
        """From an opening bracket to the end of the one that closes it."""
        depth = 0
        while self.more():
            token = self.take()
            depth += (token in "({[") - (token in ")}]")
            if depth == 0:
                return

    def skip_space(self):
        while self.more() and (self.peek().isspace() or is_comment(self.peek())):
            self.take()

    def ahead(self, count):
        return "".join(self.tokens[self.at:self.at + count])

    def comment_of_line(self):
        """A comment after a declaration, on the same line."""
        at = self.at
        while at < len(self.tokens) and self.tokens[at] in (" ", "\t"):
            at += 1
        if at < len(self.tokens) and is_comment(self.tokens[at]):
            self.at = at + 1
            return [line.strip() for line in comment_lines(self.tokens[at])]
        return []


def is_comment(token):
    return token.startswith(("//", "/*"))


def comment_lines(token):
    """Without its marks; the indentation within it stays."""
    if token.startswith("//"):
        return [re.sub(r"^ ", "", token[2:])]
    lines = token[2:-2].split("\n")
    return [re.sub(r"^ ", "", re.sub(r"^\s*\*", "", line) if number else line).rstrip() for number, line in enumerate(lines)]


def define(reader):
    """A line of the preprocessor, with those that continue it; its name and text if it defines a macro of ours."""
    text = ""
    while reader.more():
        token = reader.take()
        if token == "\n" and not text.endswith("\\"):
            break
        text += token
    match = re.match(r"#define (NARWHAL_\w+)(\([^)]*\))?(.*)", text, re.DOTALL)
    if match is None or match[1].endswith("_H") or match[1].startswith("NARWHAL_TESTING"):
        return None
    body = re.sub(r"/\*.*?\*/", "", match[3], flags=re.DOTALL).replace("\\\n", " ").strip()
    comments = [[line.strip() for line in comment_lines(found)] for found in re.findall(r"/\*.*?\*/", match[3], re.DOTALL)]
    value = " " + body if re.fullmatch(r"\(?-?[\w\"./]+\)?", body) else ""
    return Entry(match[1], [f"#define {match[1]}{match[2] or ''}{value}"], comments[0] if comments else [])


def declaration(reader):
    """Reads one, at its first token. Returns its text without a body, and where its members are: (text, inner reader)."""
    text, inner = "", None
    while reader.more():
        token = reader.peek()
        if token == ";":
            reader.take()
            break
        if token == ":" and text.rstrip().endswith((")", "noexcept")) and reader.tokens[reader.at + 1] != ":":
            skip_initialisers(reader)
            return text, None
        if token in "([":
            begin = reader.at
            reader.skip_group()
            text += "".join(token for token in reader.tokens[begin:reader.at] if not token.startswith("/*"))
        elif token == "{":
            begin = reader.at + 1
            reader.skip_group()
            body = "".join(reader.tokens[begin:reader.at - 1])
            if re.match(r"(template )?\s*(typedef )?(class|struct|union|enum)\b[^(]*$", plain(text)):
                inner = Reader(body)
            elif "=" in re.sub(r"operator *\S+", "", without_groups(text)) or is_initialised(reader):
                text += "{" + body + "}"
            else:
                skip_catches(reader)
                return re.sub(r"\btry\s*$", "", text), None
        else:
            reader.take()
            text += "" if is_comment(token) else token
    return text, inner


def plain(text):
    """Without the arguments of templates."""
    while (shorter := re.sub(r"<[^<>]*>", "", text)) != text:
        text = shorter
    return text


def without_groups(text):
    """Without what is in parentheses."""
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    return text


def is_initialised(reader):
    """Whether a group in braces was the value of a variable and not a function's body."""
    at = reader.at
    while at < len(reader.tokens) and reader.tokens[at] in (" ", "\n"):
        at += 1
    return at < len(reader.tokens) and reader.tokens[at] in (";", ",")


def skip_initialisers(reader):
    """From the colon after a constructor's parameters to the end of its body."""
    reader.take()
    while reader.more():
        while reader.peek() not in ("(", "{"):
            reader.take()
        reader.skip_group()
        reader.skip_space()
        if reader.peek() != ",":
            reader.skip_group()
            return


def skip_catches(reader):
    while True:
        begin = reader.at
        reader.skip_space()
        if not reader.ahead(5) == "catch":
            reader.at = begin
            return
        while reader.peek() != "{":
            reader.take()
        reader.skip_group()


def names_of(text):
    """The names that a declaration gives: one, or those of several variables."""
    text = re.sub(r"\[\[.*?\]\]|__attribute__\(\(.*?\)\)+", "", plain(text), flags=re.DOTALL)
    text = re.sub(r"^requires *\([^()]*\)", "", re.sub(r"^template\s*", "", text.strip())).strip()
    for pattern in (r"(?:typedef )?(?:class|struct|union|enum class|enum|concept|using) +(\w+)", r"[^(]*\(\*(\w+)\)\(",
                    r".*?\b(operator *(?:\(\)|[^\s(]+(?: \w+)?)) *\(", r"[^(=]*?(~?\w+) *\("):
        match = re.match(pattern, text, re.DOTALL)
        if match:
            return [match[1]]
    first, *others = [part.strip() for part in re.sub(r"\{[^{}]*\}", "", text).split(",")]
    return [re.search(r"(\w*)(?: *\[\w*\])?$", part.split("=")[0].strip())[1] for part in (first, *others)]


def tidy(text):
    """A declaration on as few lines as are readable, without what only a compiler needs."""
    text = re.sub(r"^(?:static )?(?:inline )(?:constexpr )?", "", re.sub(r"\[\[(?!noreturn).*?\]\] ?", "", text.strip()))
    text = re.sub(r"\s+", " ", text).replace("( ", "(")
    return re.sub(r"^(template <.*?>) (?=\w)", r"\1\n", text) + ";"


def is_public(text, name, has_body):
    """Not what is forbidden, a friend, declared here and described elsewhere, or described above and defined here."""
    if not name or name.startswith("~") or re.match(r"(friend|static_assert)\b", text) or re.search(r"= *delete$", text):
        return False
    if not has_body and re.fullmatch(r"(template\s+)?(class|struct) \w+", plain(text)):
        return False
    copies = re.match(rf"{name}\((const )?{name}&&?( \w+)?\)", text)
    head = re.split(r"(?<!:)[(=:](?!:)", plain(text))[0].strip()
    return not copies and name != "operator=" and not re.search(r"\w::(~?\w+|operator[^(]*)$", head)


class Scope:
    """Reads the declarations of a header's global scope, of a namespace or of a class. A comment holds for what follows it
    directly, and for further overloads of that. What is not public is read and dropped; macros always count."""
    ACCESS = re.compile(r"(public|private|protected):")
    INNER = re.compile(r'(namespace [\w:]* ?|extern "C" )\{')

    def __init__(self, reader, public):
        self.reader, self.public = reader, public
        self.entries, self.comment = [], []

    def read(self):
        blank = False
        while self.reader.more():
            token = self.reader.peek()
            if token.isspace():
                self.reader.take()
                if token == "\n":
                    self.comment = [] if blank else self.comment
                    blank = True
                continue
            blank = False
            if is_comment(token):
                self.take_comment(comment_lines(self.reader.take()), token.startswith("//"))
            elif token in "};":
                self.reader.take()
            elif not self.takes_access():
                self.take_declaration()
                self.comment = []
        return self.entries

    def take_comment(self, lines, is_line):
        heading = re.fullmatch(r" *---- (.+?) ---- *", " ".join(lines))
        if not heading:
            self.comment = self.comment + lines if is_line else lines
        elif self.public:
            self.entries.append(Entry(comment=[heading[1]]))

    def takes_access(self):
        access = self.ACCESS.match(self.reader.ahead(12))
        if access:
            self.reader.at += len(access[0])
            self.public = access[1] == "public"
        return access

    def take_declaration(self):
        if self.reader.peek() == "#":
            entry = define(self.reader)
            if entry and entry.name not in [known.name for known in self.entries]:
                entry.comment = entry.comment or self.comment
                self.entries.append(entry)
            return
        scope = self.INNER.match(self.reader.ahead(60))
        if scope is None:
            self.add()
            return
        while self.reader.peek() != "{":
            self.reader.take()
        first = self.reader.at + 1
        self.reader.skip_group()
        if "detail" not in scope[1] and scope[1] != "namespace ":
            self.entries += Scope(Reader("".join(self.reader.tokens[first:self.reader.at - 1])), public=True).read()

    def add(self):
        begin = self.reader.at
        text, inner = declaration(self.reader)
        comment = self.comment + self.reader.comment_of_line()
        text = text.strip()
        name = ", ".join(names_of(text))
        if not self.public or not is_public(text, name, inner is not None):
            return
        if inner is None:
            last = self.entries[-1] if self.entries else Entry()
            if not comment and last.name == name and not last.inner:
                last.code.append(tidy(text))
            else:
                self.entries.append(Entry(name, [tidy(text)], comment))
        elif re.match(r"(typedef )?enum\b", text):
            self.entries.append(Entry(name, ["".join(self.reader.tokens[begin:self.reader.at]).strip()], comment))
        else:
            head = re.sub(r"\s+", " ", re.sub(r"^typedef ", "", text)).strip()
            head = re.sub(r"^(struct (\w+)) \2$", r"\1", head)
            is_class = re.search(r"\bclass\b", plain(head)) is not None
            self.entries.append(Entry(name, [head], comment, Scope(inner, public=not is_class).read()))


@dataclass
class Header:
    path: str
    about: list[str]
    entries: list[Entry]


def read_header(path):
    text = path.read_text(encoding="utf-8")
    if text.startswith("/*"):
        end = text.index("*/") + 2
        about, rest = comment_lines(text[:end]), text[end:]
    else:
        about = []
        while text.startswith("//"):
            line, _, text = text.partition("\n")
            about += comment_lines(line)
        rest = text
    short = "narwhal/" + path.as_posix().split("include/narwhal/")[1]
    about = [re.sub(rf"^{re.escape(short)}: ", "", line) for line in about]
    while about and not about[0].strip():
        del about[0]
    return Header(short, about, Scope(Reader(rest), public=path.suffix == ".h").read())
