"""Writes a C++ source that holds a Python script as a constant string: embed_python.py SCRIPT OUTPUT NAME.

NAME is the array's qualified name, such as narwhal::wsgi::hooks_script; a header of ours declares it. A script that does
not compile stops the build.
"""
import sys

ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\t"): "\\t", ord("?"): "\\?"}


def literal(line):
    """The line as a string literal; bytes outside ASCII in octal, because a hex escape has no fixed length."""
    return '"' + "".join(ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
                         for byte in line) + '\\n"'


def main(script, output, name):
    with open(script, "rb") as file:
        source = file.read()
    compile(source, script, "exec")
    namespace, _, array = name.rpartition("::")
    lines = "\n".join("    " + literal(line) for line in source.splitlines())
    with open(output, "w", encoding="ascii") as file:
        file.write(f"// Generated from {script} by {sys.argv[0]}.\n"
                   f"namespace {namespace} {{\n"
                   f"extern const char {array}[];\n"
                   f"const char {array}[] =\n{lines};\n"
                   f"}}  // namespace {namespace}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
