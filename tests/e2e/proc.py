"""What /proc says about processes: who is alive, their titles, descriptors, threads and memory."""
import os
import re


def stat_fields(pid):
    """The fields of /proc/PID/stat after the command: [0] state, [1] ppid, [3] session. None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(b")") + 2:].split()


def alive(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in (b"Z", b"X")


def parent(pid):
    fields = stat_fields(pid)
    return int(fields[1]) if fields else None


def _every_pid():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def session_members(session):
    """Every live process of a session: children keep it even when their parent has died."""
    members = []
    for pid in _every_pid():
        fields = stat_fields(pid)
        if fields and int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
            members.append(pid)
    return sorted(members)


def children(pid):
    found = []
    for candidate in _every_pid():
        fields = stat_fields(candidate)
        if fields and int(fields[1]) == pid and fields[0] not in (b"Z", b"X"):
            found.append(candidate)
    return sorted(found)


def title(pid):
    """The process title as ps shows it; empty when the process is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").strip().decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors(pid):
    """{number: what it points at}"""
    shown = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            shown[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass
    return shown


def thread_count(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def maps(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def status_field(pid, name):
    """A numeric field of /proc/PID/status, such as VmRSS in KiB; all four numbers of Uid and Gid as a list."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(name + ":"):
                numbers = [int(number) for number in re.findall(r"\d+", line.split(":", 1)[1])]
                return numbers if len(numbers) > 1 else numbers[0]
    raise KeyError(name)


def rollup(pid, name):
    """A field of /proc/PID/smaps_rollup in bytes: Rss, Pss, Private_Dirty, Anonymous..."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(name)


def largest_pss(pids):
    """The most memory (PSS, in bytes) that one of the processes has; one that has just left has none."""
    most = 0
    for pid in pids:
        try:
            most = max(most, rollup(pid, "Pss"))
        except (OSError, KeyError):
            pass
    return most


def cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def socket_inodes(pid):
    return {path[8:-1] for path in descriptors(pid).values() if path.startswith("socket:[")}


def tcp_table(pid="self"):
    """[(local port, remote port, state, inode)] of all TCP sockets; state "01" is established, "0A" listening."""
    sockets = {}  # the kernel lists a socket twice when others open or close while the table is read
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                columns = line.split()
                local, remote = (int(address.split(":")[1], 16) for address in columns[1:3])
                sockets[(columns[1], columns[2], columns[9])] = (local, remote, columns[3], columns[9])
    return list(sockets.values())


def connection_count(pid):
    """TCP connections a process holds, listeners left out."""
    inodes = socket_inodes(pid)
    return sum(inode in inodes and state != "0A" for _, _, state, inode in tcp_table())


def inotify_watches(pid):
    """Folders and files that a process watches by inotify."""
    count = 0
    for fd, path in descriptors(pid).items():
        if "inotify" in path:
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
                count += sum(line.startswith("inotify wd:") for line in file)
    return count
