"""What a header of the plugin ABI promises to plugins that are built already: structs, constants and types; and whether a later
header keeps it.

    changes(promises("tests/abi/1.0", folder), promises("include", folder)) -> ["narwhal_host.log: its offset was 160, is 168"]

`folder` is for the programs that this compiles. The C compiler is $CC, else cc.
"""
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HEADERS = ("plugin.h", "extensions.h")
# Sizes of what plugins embed in arrays, so it can never grow, are recognised by this first member.
SIZE_MEMBER = "struct_size"
# May grow with each release: the number of the minor version.
GROWS = {"NARWHAL_ABI_MINOR"}

STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\} \1;", re.DOTALL)
OPAQUE = re.compile(r"typedef struct (\w+) \1;")
MACRO = re.compile(r"#define (NARWHAL_\w+)(\(?)[^\n]*")
FUNCTION = re.compile(r"^(?P<result>.*?)\(\*(?P<name>\w*)\)\((?P<parameters>.*)\)$", re.DOTALL)
WORDS_OF_TYPES = {"void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "const", "struct"}


@dataclass(frozen=True)
class Member:
    type: str
    offset: int
    size: int


@dataclass
class Struct:
    size: int
    members: dict = field(default_factory=dict)  # name -> Member, in their order


@dataclass
class Promises:
    structs: dict = field(default_factory=dict)
    opaque: set = field(default_factory=set)
    constants: dict = field(default_factory=dict)  # name -> its value as text
    macros: set = field(default_factory=set)  # with parameters


def compiler():
    return os.environ.get("CC", "cc").split()


def command(*args):
    return subprocess.run([*map(str, args)], capture_output=True, text=True, check=True).stdout


# ---- declarations, by their text ----
def split(text, separator):
    """Splits where no parenthesis is open."""
    parts, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def name_and_type(declaration):
    """("write", "int (*)(narwhal_exchange *, narwhal_bytes, uint32_t)"): without the names of parameters."""
    text = " ".join(declaration.split())
    if function := FUNCTION.match(text):
        parameters = [name_and_type(each)[1] for each in split(function["parameters"], ",")]
        return function["name"], f"{normal(function['result'])} (*)({', '.join(parameters)})"
    words = re.findall(r"\w+|\*", text)
    is_named = len(words) > 1 and words[-1] != "*" and words[-1] not in WORDS_OF_TYPES and \
        words[-2] != "struct" and words[:-1] != ["const"]
    return (words[-1], normal(" ".join(words[:-1]))) if is_named else ("", normal(text))


def normal(type_):
    return " ".join(re.findall(r"\w+|\*", type_.replace("struct ", "")))


def members_of(body):
    """Name -> type, in their order; of `narwhal_bytes name, value;` both."""
    found = {}
    for declaration in split(body, ";"):
        first, *others = split(declaration, ",")
        name, type_ = name_and_type(first)
        found[name] = type_
        found.update({other: type_ for other in others})
    return found


# ---- what the compiler makes of them ----
def promises(include, folder):
    """Of the headers in `include`/narwhal."""
    source = "".join(f"#include <narwhal/{header}>\n" for header in HEADERS)
    (Path(folder) / "headers.c").write_text(source)
    given = ["-std=c11", "-I", include, Path(folder) / "headers.c"]
    text = command(*compiler(), "-E", "-P", *given)
    result = Promises(opaque=set(OPAQUE.findall(text)))
    declared = {name: members_of(body) for name, body in STRUCT.findall(text) if name.startswith("narwhal_")}
    names = []
    for name, parameters in MACRO.findall(command(*compiler(), "-E", "-dM", *given)):
        if parameters:
            result.macros.add(name)
        elif name not in ("NARWHAL_PLUGIN_H", "NARWHAL_EXTENSIONS_H", "NARWHAL_EXPORT"):
            names.append(name)
    lines = run_program(measuring(source, declared, names), include, folder)
    for line in lines:
        kind, name, *values = line.split("\t")
        if kind == "constant":
            result.constants[name] = values[0]
        elif kind == "struct":
            result.structs[name] = Struct(int(values[0]))
        else:
            member, offset, size = values
            result.structs[name].members[member] = Member(declared[name][member], int(offset), int(size))
    return result


def measuring(source, declared, constants):
    """A C program that prints a line for each struct, member and constant."""
    lines = [source, "#include <stdio.h>", "#define NUMBER(x) _Generic((x), char *: 0, default: (x))",
             "#define TEXT(x) _Generic((x), char *: (x), default: NULL)", "int main(void) {"]
    for struct, members in declared.items():
        lines.append(f'  printf("struct\\t{struct}\\t%zu\\n", sizeof({struct}));')
        for member in members:
            lines.append(f'  printf("member\\t{struct}\\t{member}\\t%zu\\t%zu\\n", offsetof({struct}, {member}), '
                         f'sizeof((({struct} *)0)->{member}));')
    for name in constants:
        lines.append(f'  if (TEXT({name}) != NULL) printf("constant\\t{name}\\t%s\\n", (const char *)TEXT({name}));')
        lines.append(f'  else printf("constant\\t{name}\\t%lld\\n", (long long)NUMBER({name}));')
    return "\n".join([*lines, "  return 0;", "}", ""])


def run_program(source, include, folder):
    file, program = Path(folder) / "measure.c", Path(folder) / "measure"
    file.write_text(source)
    command(*compiler(), "-std=c11", "-w", "-I", include, "-o", program, file)
    return command(program).splitlines()


# ---- the rules of growth ----
def changes(frozen, living):
    """What the living headers do not keep of the frozen ones; each a sentence."""
    found = []
    for name, struct in frozen.structs.items():
        if name in living.structs:
            found += changes_of_struct(name, struct, living.structs[name])
        else:
            found.append(f"{name}: it is not there any more")
    for name in sorted(frozen.opaque - living.opaque):
        found.append(f"{name}: it is not an opaque type any more")
    for name, value in frozen.constants.items():
        now = living.constants.get(name)
        if now != value and not (name in GROWS and now is not None and int(now) >= int(value)):
            found.append(f"{name}: it was {value}, " + ("is not there any more" if now is None else f"is {now}"))
    found += [f"{name}(): it is not there any more" for name in sorted(frozen.macros - living.macros)]
    return found


def changes_of_struct(name, frozen, living):
    found = []
    for member, was in frozen.members.items():
        now = living.members.get(member)
        if now is None:
            found.append(f"{name}.{member}: it is not there any more")
            continue
        for what in ("offset", "size", "type"):
            if getattr(was, what) != getattr(now, what):
                found.append(f"{name}.{member}: its {what} was {getattr(was, what)}, is {getattr(now, what)}")
    new = {member: now for member, now in living.members.items() if member not in frozen.members}
    if next(iter(frozen.members)) != SIZE_MEMBER:
        if new or living.size != frozen.size:
            found.append(f"{name}: it has no {SIZE_MEMBER}, so it can never grow; its size was {frozen.size}, is {living.size}")
        return found
    # A member in the padding at the end of the old struct would seem to be there in one of an older side.
    found += [f"{name}.{member}: a new member must begin after the {frozen.size} bytes of the frozen struct, not at {now.offset}"
              for member, now in new.items() if now.offset < frozen.size]
    return found
