"""Who may include whom, and what else every source must keep to. The table of folders is that of DESIGN.md.

    check_tree(root) -> ["worker/loop.cpp:3: worker/ may not include server/ (server/master.hpp)", ...]
"""
import re
from dataclasses import dataclass
from pathlib import Path

LINES_MAX = 500

SOURCES = (".cpp", ".hpp", ".c", ".h")
HAND_WRITTEN = (*SOURCES, ".py", ".sh")
SKIPPED = {"build", ".git", "__pycache__", ".pytest_cache", "corpus"}

# What each folder sees of ours, itself aside. A room, "server/config", is a folder of its own; "server" alone is what
# lies in server/ itself.
OURS = {
    "include": [],
    "core": [],
    # Values only: no descriptor, clock or log may leak into the codecs.
    "protocol": ["core/bytes.hpp", "core/civil_time.hpp", "core/result.hpp", "core/check.hpp", "core/config.hpp", "core/ip_ranges.hpp"],
    "worker": ["core", "protocol", "include"],
    "server/config": ["core"],
    "server/sockets": ["core"],
    "server/staging": ["core"],
    "server": ["core", "server/config", "server/sockets", "server/staging"],
    "admin": ["core", "worker", "include"],
    "admin/ctl": ["core"],
    "tools": ["core", "include"],
    "plugins": ["include"],
    "examples": ["include"],
    "python": [],
    "bench": ["core", "protocol", "include"],
    "tests": ["include", "core", "protocol", "worker", "server", "server/config", "server/sockets", "server/staging", "plugins",
              "examples", "admin", "admin/ctl", "tools"],
}
# The one file that introduces the processes to each other.
OURS_BY_FILE = {"server/main.cpp": ["worker", "admin"]}

# Third-party headers: who may see them. "core!" means that one file of core/ does, and no other.
THIRD_PARTY = {
    "fmt/": ["core", "worker", "server", "admin", "tools"],
    "spdlog/": ["core!"],
    "llhttp.h": ["protocol!"],
    "uv.h": ["worker"],
    "yaml-cpp/": ["server/config!"],
    "CLI/": ["server/config!", "admin/ctl!", "tools!"],
    "nlohmann/": ["admin", "tools!", "include/narwhal/json.hpp", "tests"],
    "nettle/": ["server/staging!", "examples/echo.cpp", "examples/login.cpp", "examples/hbnb/values.cpp"],
    "curl/": ["examples/proxy.cpp"],
    # An example and its test.
    "sqlite3.h": ["examples"],
    "libpq-fe.h": ["examples/hbnb/postgres.cpp"],
    "turbojpeg.h": ["examples"],
    "png.h": ["examples"],
    "doctest/": ["tests", "examples/tests"],
    "Python.h": ["plugins/wsgi"],
}
# Headers of libc and the kernel that have no folder of their own; any other <name.h> is somebody's library.
LIBC = set("""alloca assert byteswap ctype cxxabi dirent dlfcn elf endian err errno execinfo fcntl features float fnmatch
getopt glob grp ifaddrs inttypes limits link locale malloc math netdb paths poll pthread pwd resolv sched semaphore
setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings syslog
termios threads time ucontext unistd unwind utime wchar
emmintrin immintrin nmmintrin smmintrin tmmintrin xmmintrin arm_neon""".split())  # the last line: vector instructions
SYSTEM_FOLDERS = ("sys/", "linux/", "net/", "netinet/", "arpa/", "asm/", "bits/", "sanitizer/")

# Bytes in, values out: with these a codec would touch the world. (<arpa/inet.h> is inet_pton: text in, address out.)
IMPURE = re.compile(r"(sys/(?!types)|netinet/|linux/|poll|unistd|fcntl|signal|pthread|syslog|netdb|time\.h"
                    r"|chrono|ctime|thread$|mutex$|fstream|iostream|cstdio|stdio|filesystem|random)")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


@dataclass(frozen=True)
class Include:
    file: str  # from the root
    line: int
    name: str
    quoted: bool


def tree(root, suffixes):
    """Files of the tree by their ending, as paths from the root, sorted; folders of results are left out."""
    found = []
    for path in sorted(Path(root).rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and path.suffix in suffixes and not SKIPPED & set(parts[:-1]):
            found.append("/".join(parts))
    return found


def includes_of(root, file):
    text = (Path(root) / file).read_text(encoding="utf-8", errors="replace")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := INCLUDE.match(line):
            found.append(Include(file, number, match[1] or match[2], match[1] is not None))
    return found


def resolve(root, include):
    """The file of ours that an include names, from the root, or None."""
    root = Path(root)
    candidates = [include.name, "include/" + include.name]
    if include.quoted:
        candidates.append(str(Path(include.file).parent / include.name))
    for candidate in candidates:
        if (root / candidate).is_file():
            return candidate
    return None


def folder_of(file):
    """The room that a file lies in, or its outermost folder."""
    room = "/".join(file.split("/")[:2])
    return room if room in OURS else file.split("/", 1)[0]


def allows(rules, target):
    for rule in rules:
        if rule in (target, folder_of(target)):
            return True
    return False


def check_ours(include, target):
    """What is wrong with an edge inside the tree, or None."""
    folder, seen = folder_of(include.file), folder_of(target)
    if folder not in OURS:
        return f"{folder}/ has no row in the table of who may include whom"
    same = seen == folder
    if same and folder == "plugins":  # one plugin is nobody's library
        same = include.file.split("/")[1] == target.split("/")[1]
    if same or allows(OURS[folder], target) or allows(OURS_BY_FILE.get(include.file, []), target):
        return None
    return f"{folder}/ may not include {seen}/ ({target})"


def check_third_party(include):
    name = include.name
    for prefix, allowed in THIRD_PARTY.items():
        if not (name.startswith(prefix) if prefix.endswith("/") else name == prefix):
            continue
        for place in allowed:
            place = place.rstrip("!")
            if include.file == place or include.file.startswith(place + "/"):
                return None
        return f"<{name}> belongs to {', '.join(allowed).replace('!', '/, in one file')} only"
    return None if is_system(name) else f"<{name}> is not a known header: a dependency needs a row in the table"


def is_system(name):
    if name.startswith(SYSTEM_FOLDERS):
        return True
    if "/" in name:
        return False
    return "." not in name or name.removesuffix(".h") in LIBC


def check_includes(root):
    problems, users = [], {}
    for file in tree(root, SOURCES):
        for include in includes_of(root, file):
            target = resolve(root, include)
            if target:
                problem = check_ours(include, target)
            elif include.quoted:
                problem = f'"{include.name}" is not a file of this tree'
            else:
                problem = check_third_party(include)
                users.setdefault(include.name.split("/")[0], set()).add(file)
            if problem is None and not target and folder_of(file) == "protocol" and IMPURE.match(include.name):
                problem = f"protocol/ is pure: no <{include.name}>"
            if problem:
                problems.append(f"{include.file}:{include.line}: {problem}")
    for prefix, allowed in THIRD_PARTY.items():
        for place in (place.rstrip("!") for place in allowed if place.endswith("!")):
            files = sorted(f for f in users.get(prefix.split("/")[0], ()) if f.startswith(place + "/"))
            if len(files) > 1:
                problems.append(f"<{prefix}> is for one file of {place}/, not {len(files)}: {', '.join(files)}")
    return problems


def check_circles(root):
    """No file includes itself by way of others: with #pragma once that compiles, in an order nobody chose."""
    edges = {file: sorted({target for include in includes_of(root, file) if (target := resolve(root, include))})
             for file in tree(root, SOURCES)}
    problems, done = [], set()

    def walk(file, path):
        if file in path:
            problems.append("a circle of includes: " + " -> ".join([*path[path.index(file):], file]))
        elif file not in done:
            for target in edges.get(file, []):
                walk(target, [*path, file])
            done.add(file)

    for file in edges:
        walk(file, [])
    return problems


def check_texts(root):
    problems = []
    unfinished = "TODO" + "(now)"  # in two pieces, so that this file may stay
    for file in [*tree(root, HAND_WRITTEN), *(name for name in ("dev", ".ci/run") if (Path(root) / name).is_file())]:
        lines = (Path(root) / file).read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > LINES_MAX:
            problems.append(f"{file}: {len(lines)} lines, more than {LINES_MAX}: which is its second thing?")
        problems += [f"{file}:{number}: {unfinished}" for number, line in enumerate(lines, 1) if unfinished in line]
    return problems


def check_tree(root):
    return [*check_includes(root), *check_circles(root), *check_texts(root)]
