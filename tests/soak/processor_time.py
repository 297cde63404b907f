"""Processor time of processes for each request of a load by wrk."""
import os
import re
import subprocess

import proc


def cpu_ns(pid):
    """Of all threads. The kernel counts nanoseconds here, in /proc/PID/stat hundredths of a second."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def tree(pid):
    """The process and all below it."""
    return [pid, *(each for child in proc.children(pid) for each in tree(child))]


def us_per_request(address, pids, path, seconds):
    """Microseconds of these processes for each request of 16 connections that are kept alive."""
    before = sum(map(cpu_ns, pids))
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://{address[0]}:{address[1]}{path}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    return (sum(map(cpu_ns, pids)) - before) / 1000 / int(re.search(r"(\d+) requests in", done.stdout)[1])
