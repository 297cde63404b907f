"""Writes a C++ source that holds a Python script as a constant string: embed_python.py OUTPUT NAME SCRIPT [MODULE...].

NAME is the array's qualified name, such as narwhal::wsgi::hooks_script; a header of ours declares it. The script can
import the MODULEs, which are files of ours, by their names. A file that does not compile stops the build.
"""
import os
import sys

ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\t"): "\\t", ord("?"): "\\?"}

# What runs before the script. Run by `python -c`, the current directory comes first in sys.path: a json.py or an ast.py
# there must not take the place of Python's.
ADD_MODULE = """\
import sys
if __name__ == "__main__" and sys.path[:1] == [""]:
    del sys.path[0]
from importlib.machinery import ModuleSpec
class OwnModules:
    def __init__(self):
        self.sources = {}
        sys.meta_path.insert(0, self)
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in self.sources else None
    def create_module(self, spec):
        pass
    def exec_module(self, module):
        exec(compile(self.sources[module.__name__], "<narwhal: " + module.__name__ + ">", "exec"), vars(module))
add_module = OwnModules().sources.__setitem__
"""


def literal(line):
    """The line as a string literal; bytes outside ASCII in octal, because a hex escape has no fixed length."""
    return '"' + "".join(ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
                         for byte in line) + '\\n"'


def read(path):
    with open(path, "rb") as file:
        source = file.read()
    compile(source, path, "exec")
    return source


def bundle(script, modules):
    """The script after a text that adds the modules."""
    source = read(script)
    if not modules:
        return source
    added = "".join(f"add_module({os.path.basename(path)[:-len('.py')]!r}, {read(path).decode()!r})\n" for path in modules)
    return (ADD_MODULE + added).encode() + source


def write_source(output, name, origin, text):
    """A C++ source with `text`, bytes made from the file or files `origin`, as the constant string `name`."""
    namespace, _, array = name.rpartition("::")
    lines = "\n".join("    " + literal(line) for line in text.splitlines())
    with open(output, "w", encoding="ascii") as file:
        file.write(f"// Generated from {origin} by {sys.argv[0]}.\n"
                   f"namespace {namespace} {{\n"
                   f"extern const char {array}[];\n"
                   f"const char {array}[] =\n{lines};\n"
                   f"}}  // namespace {namespace}\n")


def main(output, name, script, *modules):
    write_source(output, name, ", ".join([script, *modules]), bundle(script, modules))


if __name__ == "__main__":
    main(*sys.argv[1:])
