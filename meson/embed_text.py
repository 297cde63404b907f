"""Writes a C++ source that holds a file as a constant string: embed_text.py OUTPUT NAME FILE.

NAME is the array's qualified name, such as narwhal::admin::status_page_html; a header of ours declares it.
"""
import sys

from embed_python import literal


def main(output, name, path):
    with open(path, "rb") as file:
        lines = "\n".join("    " + literal(line) for line in file.read().splitlines())
    namespace, _, array = name.rpartition("::")
    with open(output, "w", encoding="ascii") as file:
        file.write(f"// Generated from {path} by {sys.argv[0]}.\n"
                   f"namespace {namespace} {{\n"
                   f"extern const char {array}[];\n"
                   f"const char {array}[] =\n{lines};\n"
                   f"}}  // namespace {namespace}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
