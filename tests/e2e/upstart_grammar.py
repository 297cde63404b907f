"""The stanzas of a job of Upstart 1.x (init(5)), checked strictly: each line is a known stanza with the words that it takes."""
import re

SIGNAL = r"(?:SIG)?(?:HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|CHLD|CONT|STOP|TSTP|TTIN|TTOU|WINCH|PWR|IO|URG)"
NUMBER = r"\d+"
WORD = r"(?:\"[^\"]*\"|'[^']*'|[^\s\"'#]+)"
LIMITS = "as|core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack"
EVENT = rf"!?[\w:-]+(?: +(?:\w+!?=)?{WORD})*"
PHASES = ("pre-start", "post-start", "pre-stop", "post-stop")

STANZAS = {
    "description": WORD, "author": WORD, "version": WORD, "usage": WORD,
    "emits": rf"{WORD}(?: +{WORD})*", "export": r"\w+(?: +\w+)*", "env": rf"\w+(?:={WORD})?", "instance": WORD,
    "expect": "fork|daemon|stop", "respawn": rf"|limit +(?:unlimited|{NUMBER} +{NUMBER})", "task": "", "manual": "", "debug": "",
    "normal": rf"exit(?: +(?:{NUMBER}|{SIGNAL}))+", "kill": rf"signal +{SIGNAL}|timeout +{NUMBER}", "reload": rf"signal +{SIGNAL}",
    "console": "none|log|output|owner", "umask": r"[0-7]{1,4}", "nice": r"-?\d+", "oom": r"score +(?:-?\d+|never)|(?:-?\d+|never)",
    "chroot": WORD, "chdir": WORD, "setuid": WORD, "setgid": WORD, "apparmor": rf"(?:load|switch) +{WORD}",
    "cgroup": rf"\w+(?: +{WORD}){{0,3}}", "limit": rf"(?:{LIMITS}) +(?:unlimited|{NUMBER}) +(?:unlimited|{NUMBER})",
    "exec": r"\S.*",
}
ONCE = ("expect", "exec", "script", "console", "umask", "chdir")
OPERATORS = re.compile(r"\s+(?:and|or)\s+")


def start_or_stop(rest):
    """`on` and events, joined by `and` and `or`, with parentheses."""
    condition = re.fullmatch(r"on +(\S.*)", rest)
    if not condition:
        return False
    text = condition[1]
    if text.count("(") != text.count(")"):
        return False
    # [2345] and [!2345] are patterns of values, and contain no space.
    return all(re.fullmatch(EVENT, event.strip(" ()")) for event in OPERATORS.split(text))


def faults_of(text):
    """[(number of the line, what is wrong)]"""
    faults, seen, script = [], set(), None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if script is not None:
            if line == "end script":
                script = None
            continue
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        if name in PHASES:
            phase, (name, _, rest) = name, rest.partition(" ")
            if name not in ("exec", "script"):
                faults.append((number, f"{phase} is followed by exec or script"))
                continue
            key = f"{phase} {name}"
        else:
            key = name
        if name == "script":
            script = number
            right = rest == ""
        elif name in ("start", "stop"):
            right = start_or_stop(rest)
        elif name in STANZAS:
            right = re.fullmatch(STANZAS[name], rest) is not None
        else:
            faults.append((number, f"there is no stanza {name}"))
            continue
        if not right:
            faults.append((number, f"{name} does not take: {rest}"))
        if key in seen and name in ONCE:
            faults.append((number, f"{name} appears twice"))
        seen.add(key)
    if script is not None:
        faults.append((script, "end script is missing"))
    if not {"exec", "script"} & seen:
        faults.append((0, "there is neither exec nor script"))
    return faults
