"""What applications that come from Gunicorn do beside answering: child processes, its logger, prints to wsgi.errors."""
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

logger = logging.getLogger("gunicorn.error")
FORK = multiprocessing.get_context("fork")


def pid(environ):
    return os.getpid()


def pool(environ):
    with FORK.Pool(2) as workers:
        return workers.map(abs, [-1, -2, -3])


def terminated(environ):
    """How a child ends that gets the usual signal."""
    child = FORK.Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(10)
    status = child.exitcode
    child.kill()
    child.join()
    return status


def daemon(environ):
    """The pid of one that outlives the server."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(tell, b"%d" % os.getpid())
            time.sleep(60)
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(told, 20))


def handled(environ):
    """A child that has a handler of the application's keeps it."""
    caught = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGUSR1)
        until = time.monotonic() + 20
        while not caught and time.monotonic() < until:  # under a sanitizer it may take a moment
            time.sleep(0.01)
        os._exit(7 if caught else 1)
    status = os.waitpid(child, 0)[1]
    signal.signal(signal.SIGUSR1, before or signal.SIG_DFL)
    return "caught" if os.waitstatus_to_exitcode(status) == 7 else f"status {status}"


def ignored(environ):
    """The signals that a program starts with ignored."""
    shell = subprocess.run(["grep", "-h", "SigIgn", "/proc/self/status"], capture_output=True, check=True, timeout=60)
    mask = int(shell.stdout.split()[1], 16)
    return [number for number in range(1, 32) if mask >> (number - 1) & 1]


def came_back(environ, how):
    child = os.fork()
    if child == 0:
        how()
        return "the child's"
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def exits(environ):
    return came_back(environ, lambda: sys.exit(3))


def exits_with_words(environ):
    return came_back(environ, lambda: sys.exit("the child's last words"))


def raises(environ):
    return came_back(environ, lambda: [][0])


def returns(environ):
    return came_back(environ, lambda: None)


def parts(environ):
    yield b'"one'
    child = os.fork()
    if child != 0:
        os.waitpid(child, 0)
    yield b' and two"'


def log(environ):
    logger.debug("to debug %d", 1)
    logger.info("to inform")
    own = logging.Logger("own")
    own.handlers = logger.handlers
    own.setLevel(logger.level)
    own.debug("borrowed to debug")
    own.warning("borrowed to warn")
    try:
        [][0]
    except IndexError:
        logger.exception("caught")
    return [logger.level, logger.propagate]


def prints(environ):
    print(environ["QUERY_STRING"], flush=True)
    logger.error("logged %s", environ["QUERY_STRING"])


def errors(environ):
    stream = environ["wsgi.errors"]
    print("printed", "in", 4, "pieces", file=stream)
    print(file=stream)
    stream.write("begun, ")
    stream.write("ended\nnext ")
    stream.writelines(["line\n", "flushed"])
    stream.flush()
    thread = threading.Thread(target=stream.write, args=("by a thread",))
    thread.start()
    thread.join()
    stream.write("without an end")
    return [stream.isatty(), stream.encoding, stream.closed]


def app(environ, start_response):
    answer = globals()[environ["PATH_INFO"][1:]](environ)
    start_response("200 OK", [("Content-Type", "application/json")])
    return answer if hasattr(answer, "send") else [json.dumps(answer).encode()]
