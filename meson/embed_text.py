"""Writes a C++ source that holds a file as a constant string: embed_text.py OUTPUT NAME FILE.

NAME is the array's qualified name, such as narwhal::admin::status_page_html; a header of ours declares it.
"""
import sys

from embed_python import write_source


def main(output, name, path):
    with open(path, "rb") as file:
        write_source(output, name, path, file.read())


if __name__ == "__main__":
    main(*sys.argv[1:])
