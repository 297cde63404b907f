"""The reference of the headers for plugins, made from their comments: header_reference.py OUTPUT VERSION HEADER...

The first comment of a header has a text, examples that are indented, and rows of a word and what is to be said of it
("Errors     none."). What is private, in a namespace `detail` or in a function is left out.
"""
import html
import re
import sys
from pathlib import Path

from header_reader import read_header

CSS = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #222; background: #fff }
h1 { font-size: 1.7rem } h2 { margin-top: 3rem; border-top: 1px solid #bbb; padding-top: 1rem } h4 { color: #555 }
pre { background: #f4f4f4; padding: .5rem .7rem; overflow-x: auto; margin: .4rem 0 .2rem; font-size: .88rem }
pre.code { border-left: 3px solid #36c } dl { margin: .5rem 0 } dt { font-weight: bold; float: left; clear: left; width: 7rem }
dd { margin: 0 0 .4rem 7.5rem } a { color: #25a; text-decoration: none } a:hover { text-decoration: underline }
.entry > div { margin-left: 1rem } .entry p { margin: .2rem 0 .5rem } .inner { margin-left: 1.5rem } td { padding: .1rem .8rem .1rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } pre { background: #262626 } a { color: #8bf }
h4 { color: #aaa } }
"""


ROW = re.compile(r"(\S(?:.{0,12}?\S)?)(  +)(\S.*)$")


def blocks_of(lines):
    """A comment as blocks: ("text", words), ("code", lines), ("rows", [(word, text lines)])."""
    blocks = []
    for line in lines:
        kind, content = blocks[-1] if blocks else ("", None)
        indent = len(line) - len(line.lstrip())
        row = ROW.match(line)
        if not line.strip():
            blocks.append(("", None))
        elif kind == "rows" and indent >= 4:
            content[-1][1].append(line[content[-1][2]:] if indent > content[-1][2] else line.strip())
        elif row and len(row[1]) + len(row[2]) >= 4 and not re.search(r"[.:;,]$", row[1]):
            if kind != "rows":
                content = []
                blocks.append(("rows", content))
            content.append((row[1], [row[3]], len(row[1]) + len(row[2])))
        elif indent >= 2:
            if kind == "code":
                content.append(line)
            elif not kind and len(blocks) > 1 and blocks[-2][0] == "code":  # a blank line in an example
                blocks.pop()
                blocks[-1][1].extend(["", line])
            else:
                blocks.append(("code", [line]))
        elif kind == "text":
            content.append(line.strip())
        else:
            blocks.append(("text", [line.strip()]))
    return [block for block in blocks if block[0]]


class Page:
    def __init__(self, headers):
        self.headers = headers
        self.anchors = {}  # a name -> where it is described
        for header in headers:
            self.anchors[header.path.removeprefix("narwhal/")] = self.anchors[header.path] = header.path
            for entry in header.entries:
                for name in entry.name.split(", "):
                    self.anchors.setdefault(name, f"{header.path}:{entry.name}")
        self.here = {}  # the same for the members of the header that is being written

    def enter(self, header):
        self.here = {}
        for entry in header.entries:
            for member in entry.inner:
                self.here.setdefault(member.name, f"{header.path}:{entry.name}:{member.name}")

    def linked(self, text):
        """Text in HTML in which the names of headers, functions and types lead to their descriptions."""
        def link(match):
            name = match[0]
            place = self.anchors.get(name) or self.here.get(name)
            return f'<a href="#{html.escape(place)}">{name}</a>' if place else name
        names = r"\b(?:narwhal/)?[a-z_/]+\.hp?p?\b|\b\w+(?=\(\))|\b(?:[A-Z][a-z]+)+\b|\b(?:narwhal|NARWHAL)_\w+\b"
        return re.sub(r"`([^`]+)`", r"<code>\1</code>", re.sub(names, link, html.escape(text, quote=False)))

    def comment(self, lines):
        parts = []
        for kind, content in blocks_of(lines):
            if kind == "text":
                parts.append(f"<p>{self.linked(' '.join(content))}</p>")
            elif kind == "code":
                margin = min(len(line) - len(line.lstrip()) for line in content if line)
                parts.append("<pre>" + self.linked("\n".join(line[margin:] for line in content)) + "</pre>")
            else:
                rows = [f"<dt>{html.escape(word)}</dt><dd>{self.row(text)}</dd>" for word, text, _ in content]
                parts.append("<dl>" + "".join(rows) + "</dl>")
        return "\n".join(parts)

    def row(self, lines):
        """On one line, but for words in brackets that begin one: they are a list."""
        return self.linked(" ".join("\n" + line if line.startswith("[") else line for line in lines)).replace("\n", "<br>")

    def entry(self, entry, place):
        if not entry.name:
            return f"<h4>{html.escape(entry.comment[0])}</h4>"
        anchor = f"{place}:{entry.name}"
        code = html.escape("\n".join(entry.code), quote=False)
        inner = "\n".join(self.entry(each, anchor) for each in entry.inner)
        return (f'<div class="entry" id="{html.escape(anchor)}"><pre class="code">{code}</pre><div>{self.comment(entry.comment)}</div>'
                + (f'<div class="inner">{inner}</div>' if inner else "") + "</div>")

    def contents(self):
        rows = []
        for header in self.headers:
            names = [each for each in header.entries if each.name]
            links = ", ".join(f'<a href="#{html.escape(f"{header.path}:{each.name}")}">{html.escape(each.name)}</a>'
                              for each in {each.name: each for each in names}.values())
            rows.append(f'<tr><td><a href="#{header.path}">{header.path}</a></td><td>{links}</td></tr>')
        return "<table>" + "\n".join(rows) + "</table>"

    def section(self, header):
        self.enter(header)
        return (f'<h2 id="{header.path}">{header.path}</h2>\n{self.comment(header.about)}\n'
                + "\n".join(self.entry(each, header.path) for each in header.entries))

    def text(self, version):
        title = f"narwhal {version}: headers for plugins"
        return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
                f'<meta name="viewport" content="width=device-width"><style>{CSS}</style></head><body><h1>{title}</h1>\n'
                "<p>Made from the headers themselves. To begin: narwhal-tutorial(7). For C: narwhal_plugin.h(3).</p>\n"
                + self.contents() + "\n".join(map(self.section, self.headers)) + "\n</body></html>\n")


def main(output, version, *paths):
    headers = [header for header in map(read_header, map(Path, sorted(paths))) if header.entries]
    Path(output).write_text(Page(headers).text(version), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
