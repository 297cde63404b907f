"""The tables of tests/wire, for the real server: the same rows that the decoders' own tests go through."""
import re
from dataclasses import dataclass
from pathlib import Path

WIRE = Path(__file__).resolve().parents[1] / "wire"
LITERAL = r'(?:"(?:[^"\\\n]|\\.)*"\s*)+'
ROW = re.compile(r"\{\s*(%s)sv\s*,\s*(%s)\}" % (LITERAL, LITERAL))
ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]+)|([0-7]{1,3})|(.))")
NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b'"': b'"', b"\\": b"\\"}
ACCEPTED = re.compile(r"(?P<method>\S+) (?P<target>\S+) 1\.(?P<minor>[01]) (?P<after>keep|close) "
                      r"(?P<framing>none|chunked|length=\d+)(?: continue)? @\S*(?P<fields>.*)", re.DOTALL)


@dataclass(frozen=True)
class Row:
    table: str
    bytes: bytes
    meaning: str

    @property
    def refused(self):
        """The status it is refused with; None when it is not."""
        return int(self.meaning) if self.meaning.isdigit() else None

    @property
    def says(self):
        """What an accepted head means: method, target (path and query), minor, after, framing, fields."""
        return ACCEPTED.fullmatch(self.meaning)

    def fields(self):
        return [tuple(field.split(": ", 1)) for field in self.says["fields"].split(" | ")[1:]]

    def __str__(self):
        return f"{self.table} {self.bytes[:60]!r} {self.meaning[:20]!r}"


def unescaped(literals):
    """The bytes of adjacent C++ string literals."""
    def byte(match):
        if match[1]:
            return bytes([int(match[1], 16)])
        return bytes([int(match[2], 8)]) if match[2] else NAMED[match[3]]
    pieces = re.findall(r'"((?:[^"\\\n]|\\.)*)"', literals)
    return b"".join(ESCAPE.sub(byte, piece.encode()) for piece in pieces)


def rows_of(header):
    text = (WIRE / header).read_text()
    rows = []
    for table in re.finditer(r"^constexpr Row (\w+)\[\] = \{\n(.*?)^\};", text, re.DOTALL | re.MULTILINE):
        found = list(ROW.finditer(table[2]))
        assert len(found) == table[2].count('"sv,'), f"{header}: {table[1]} has rows that are not understood here"
        rows += [Row(table[1], unescaped(row[1]), unescaped(row[2]).decode("latin-1")) for row in found]
    return rows


HEADS = rows_of("http1_heads.hpp")
CHUNKS = rows_of("http1_chunks.hpp")
