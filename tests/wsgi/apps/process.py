"""What an application finds around it in its worker: signals, threads, programs, modules."""
import json
import multiprocessing
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


def forked():
    """Exit codes of children that are forked on a thread that does not run the loop, and what this one is called then."""
    name = threading.current_thread().name
    process = multiprocessing.get_context("fork").Process(target=print, args=("in the child",))
    process.start()
    process.join(20)
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=time.sleep, args=(0.01,)).start()
        sys.exit(threading.current_thread() is not threading.main_thread())
    return [name == threading.current_thread().name, process.exitcode, os.waitpid(pid, 0)[1]]


def numpy():
    import numpy
    return int((numpy.arange(1000) @ numpy.arange(1000)).item())


def app(environ, start_response):
    body = json.dumps(globals()[environ["PATH_INFO"][1:]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
