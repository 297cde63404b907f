"""What an application finds around it in its worker: threads, signals, modules, the time it may take, its end."""
import atexit
import ctypes
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

database = sqlite3.connect(":memory:")  # bound to the thread that imports
ticks = 0
local = threading.local()
locals_made = 0
lock = threading.Lock()
caught = []

try:
    signal.signal(signal.SIGRTMIN, lambda number, frame: caught.append(number))
    signals = "taken"
except ValueError as error:  # not on the main thread
    signals = str(error)


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)


threading.Thread(target=tick, daemon=True).start()


@atexit.register
def at_exit():
    with open(os.path.join(os.environ["TRIAL_FOLDER"], "at_exit"), "w", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    print("at exit")


def where():
    return {"main": threading.current_thread() is threading.main_thread(), "ident": threading.get_ident(),
            "signals": signals, "ticks": ticks, "argv": sys.argv[:1], "pid": os.getpid()}


def sqlite():
    return database.execute("select 6 * 7").fetchone()


def modules():
    import _decimal
    import hashlib
    import multiprocessing.pool
    import ssl
    with multiprocessing.pool.ThreadPool(2) as pool:
        squares = pool.map(lambda number: number * number, range(5))
    child = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True, timeout=60)
    return [str(_decimal.Decimal(1) / 7), ctypes.CDLL(None).getpid() == os.getpid(), hashlib.sha256(b"x").hexdigest(),
            bool(ssl.OPENSSL_VERSION), squares, child.stdout.decode()]


def numpy():
    import numpy
    return int((numpy.arange(1000) @ numpy.arange(1000)).item())


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


def naps():
    time.sleep(0.3)
    return threading.get_ident()


def hangs():
    while True:
        time.sleep(0.01)


def crashes():
    return ctypes.string_at(0)


def prints():
    print("printed by the application")
    print("and to stderr", file=sys.stderr, flush=True)
    sys.stdout.flush()
    return "printed"


def app(environ, start_response):
    if environ["PATH_INFO"] == "/hints":
        if "wsgi.early_hints" in environ:
            environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
        body = b"hinted"
    else:
        body = json.dumps(globals()[environ["PATH_INFO"][1:]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
