"""What an application finds around it in its worker: signals, threads, programs, modules."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

local = threading.local()
locals_made = 0
lock = threading.Lock()
caught = []
signal.signal(signal.SIGRTMIN, lambda number, frame: caught.append(number))


def raised():
    os.kill(os.getpid(), signal.SIGRTMIN)
    end = time.monotonic() + 5
    while not caught and time.monotonic() < end:
        time.sleep(0.001)
    return len(caught)


def once():
    """How many threads have come by here, each making its own."""
    global locals_made
    if not hasattr(local, "mine"):
        with lock:
            locals_made += 1
        local.mine = locals_made
    time.sleep(0.002)
    return [locals_made, threading.get_ident()]


def child():
    done = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def numpy():
    import numpy
    return int((numpy.arange(1000) @ numpy.arange(1000)).item())


def app(environ, start_response):
    body = json.dumps(globals()[environ["PATH_INFO"][1:]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
