"""The plugin ABI only grows: what tests/abi/1.0 has frozen, the living headers keep. And examples/every_hook.c, from which
authors copy, uses all of it."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import abi_layout

ROOT = Path(__file__).resolve().parents[2]
FROZEN = ROOT / "tests" / "abi" / "1.0"
LIVING = ROOT / "include"
EXAMPLE = ROOT / "examples" / "every_hook.c"

WHAT_TO_DO = """
The headers in include/narwhal no longer keep what tests/abi/1.0 has frozen: plugins that are built already would break.
  After the first release: take the change back. A struct grows at its end only, a constant keeps its number, a type stays
  as it is. What cannot be done so needs a new function, or a new major version.
  Before the first release (there is no tag v*): nobody has built a plugin yet, so freeze the headers again:
    cp include/narwhal/plugin.h include/narwhal/extensions.h tests/abi/1.0/narwhal/ && cp examples/every_hook.c tests/abi/1.0/
"""


@pytest.fixture
def frozen(tmp_path):
    return abi_layout.promises(FROZEN, tmp_path)


def living(tmp_path):
    return abi_layout.promises(LIVING, tmp_path)


def test_the_living_headers_keep_what_was_frozen(frozen, tmp_path):
    found = abi_layout.changes(frozen, living(tmp_path))
    assert not found, "\n".join([*found, WHAT_TO_DO])


def test_the_frozen_headers_are_of_this_major_version(frozen):
    assert frozen.constants["NARWHAL_ABI_MAJOR"] == "1" and frozen.constants["NARWHAL_ABI_MINOR"] == "0"
    assert len(frozen.structs) == 11 and len(frozen.structs["narwhal_host"].members) == 32, "this test reads the header no more"


@pytest.mark.parametrize("standard", ["c99", "c11"])
@pytest.mark.parametrize("source, headers", [(FROZEN / "every_hook.c", FROZEN), (FROZEN / "every_hook.c", LIVING), (EXAMPLE, LIVING)])
def test_a_plugin_of_the_frozen_version_compiles_with_both(source, headers, standard):
    subprocess.run([*abi_layout.compiler(), f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                    f"-I{headers}", str(source)], check=True)


# ---- the check itself: what it must find, and what it must pass ----
BREAKS = {
    "a member in the middle": (r"(  int \(\*body_fd\))", r"  int (*early)(void);\n\1", "narwhal_host.body_fd: its offset was 64, is 72"),
    "a member less": (r"  narwhal_bytes query;", "", "narwhal_request.query: it is not there any more"),
    "another size": (r"uint16_t peer_port;", "uint32_t peer_port;", "narwhal_request.peer_port: its size was 2, is 4"),
    "another type of the same size": (r"int64_t started_ns;", "uint64_t started_ns;",
                                      "narwhal_request.started_ns: its type was int64_t, is uint64_t"),
    "another parameter": (r"narwhal_bytes, uint32_t flags\);", "narwhal_bytes, int flags);",
                          "narwhal_host.write: its type was int (*)(narwhal_exchange *, narwhal_bytes, uint32_t), "
                          "is int (*)(narwhal_exchange *, narwhal_bytes, int)"),
    "two members exchanged": (r"const char \*key;\n  const char \*type; ", "const char *type;\n  const char *key; ",
                              "narwhal_option.key: its offset was 0, is 8"),
    "a name": (r"\(\*finish\)", "(*end)", "narwhal_host.finish: it is not there any more"),
    "a code": (r"NARWHAL_GONE \(-2\)", "NARWHAL_GONE (-9)", "NARWHAL_GONE: it was -2, is -9"),
    "a code less": (r"#define NARWHAL_NO_APP .*", "", "NARWHAL_NO_APP: it was -6, is not there any more"),
    "the id of an extension": (r'"narwhal.loop/1"', '"narwhal.loop/2"', "NARWHAL_LOOP: it was narwhal.loop/1, is narwhal.loop/2"),
    "the major version": (r"ABI_MAJOR 1", "ABI_MAJOR 2", "NARWHAL_ABI_MAJOR: it was 1, is 2"),
    "an opaque type": (r"typedef struct narwhal_timer narwhal_timer;", "typedef void narwhal_timer;",
                       "narwhal_timer: it is not an opaque type any more"),
    "a macro": (r"#define NARWHAL_LITERAL", "#define NARWHAL_TEXT", "NARWHAL_LITERAL(): it is not there any more"),
    "a struct in arrays grows": (r"\} narwhal_option;", "  int late;\n} narwhal_option;",
                                 "narwhal_option: it has no struct_size, so it can never grow; its size was 40, is 48"),
    "a struct": (r"\bnarwhal_field\b", "narwhal_header", "narwhal_field: it is not there any more"),
}
GROWS = {
    "nothing": (r"$^", ""),
    "a member at the end": (r"\} narwhal_host;", "  int (*late)(void (*run)(void *arg), void *arg);\n} narwhal_host;"),
    "the minor version": (r"ABI_MINOR 0", "ABI_MINOR 3"),
    "a code": (r"#define NARWHAL_NO_APP ", "#define NARWHAL_LATE (-7)\n#define NARWHAL_NO_APP "),
    "a parameter's name": (r"char \*buffer", "char *room"),
    "a comment": (r"/\* \[any\] Never NULL\. \*/", ""),
    "a struct": (r"typedef struct narwhal_field \{", "typedef struct narwhal_late {\n  int one;\n} narwhal_late;\ntypedef struct narwhal_field {"),
}


def mutant(tmp_path, pattern, by):
    folder = tmp_path / "mutant" / "narwhal"
    shutil.copytree(FROZEN / "narwhal", folder)
    changed = 0
    for header in abi_layout.HEADERS:
        text, count = re.subn(pattern, by, (folder / header).read_text())
        (folder / header).write_text(text)
        changed += count
    assert changed > 0 or pattern == "$^", "this mutation changes nothing any more"
    return abi_layout.promises(folder.parent, tmp_path)


@pytest.mark.parametrize("what", BREAKS)
def test_the_check_finds(frozen, tmp_path, what):
    pattern, by, finding = BREAKS[what]
    assert finding in abi_layout.changes(frozen, mutant(tmp_path, pattern, by))


@pytest.mark.parametrize("what", GROWS)
def test_the_check_passes(frozen, tmp_path, what):
    assert abi_layout.changes(frozen, mutant(tmp_path, *GROWS[what])) == []


def test_a_member_in_the_padding_of_the_old_struct_is_found():
    """It would lie inside the struct_size that an older side states."""
    size = {"struct_size": abi_layout.Member("size_t", 0, 8), "one": abi_layout.Member("uint32_t", 8, 4)}
    frozen = abi_layout.Struct(16, size)
    found = abi_layout.changes_of_struct("s", frozen, abi_layout.Struct(16, {**size, "two": abi_layout.Member("uint32_t", 12, 4)}))
    assert found == ["s.two: a new member must begin after the 16 bytes of the frozen struct, not at 12"]
    assert abi_layout.changes_of_struct("s", frozen, abi_layout.Struct(24, {**size, "two": abi_layout.Member("uint64_t", 16, 8)})) == []


# ---- the example that uses everything ----
def unused(source, promises):
    """Functions and hooks of the headers that the source does not use."""
    code = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    found = []
    for struct, layout in promises.structs.items():
        for member, declared in layout.members.items():
            if "(*)" not in declared.type or struct == "narwhal_response":
                continue
            used = rf"\.{member} = \w" if struct == "narwhal_plugin" else rf"->{member}\("
            if not re.search(used, code):
                found.append(f"{struct}.{member}")
    return found + [f"options of the type {each}" for each in ("string", "int", "float", "bool") if f', "{each}", ' not in code]


def test_the_example_uses_every_function_hook_and_type_of_option(tmp_path):
    assert unused(EXAMPLE.read_text(), living(tmp_path)) == [], "add it to examples/every_hook.c, and to its tests"


def test_the_frozen_plugin_uses_all_of_the_frozen_headers(frozen):
    assert unused((FROZEN / "every_hook.c").read_text(), frozen) == []


@pytest.mark.parametrize("what, name", [("->trailers(", "narwhal_host.trailers"), (".slow = slow", "narwhal_plugin.slow"),
                                        ("->set_flags(", "narwhal_boot.set_flags"), ("->post(", "narwhal_loop.post"),
                                        ('"float"', "options of the type float")])
def test_what_the_example_does_not_use_is_found(frozen, what, name):
    source = EXAMPLE.read_text()
    assert what in source and unused(source.replace(what, ""), frozen) == [name]


def test_the_example_stays_short():
    assert len(EXAMPLE.read_text().splitlines()) <= 450
