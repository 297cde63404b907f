"""narwhal, the application server, started by a Python program:

    import narwhal
    narwhal.run("shop:app", workers=4, bind="0.0.0.0:8000")

The server is a program of its own. Its applications run in this interpreter's program and environment.
"""
from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any, NoReturn

__all__ = ["control", "get_include", "main", "plugin", "reload", "run"]

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_PROGRAM = os.path.join(_FOLDER, "_server", "narwhal")

# Options of this interpreter, and the variables that say the same to those of the applications.
_X_OPTIONS = {
    "dev": "PYTHONDEVMODE", "faulthandler": "PYTHONFAULTHANDLER", "importtime": "PYTHONPROFILEIMPORTTIME",
    "int_max_str_digits": "PYTHONINTMAXSTRDIGITS", "no_debug_ranges": "PYTHONNODEBUGRANGES", "perf": "PYTHONPERFSUPPORT",
    "pycache_prefix": "PYTHONPYCACHEPREFIX", "tracemalloc": "PYTHONTRACEMALLOC", "utf8": "PYTHONUTF8",
    "warn_default_encoding": "PYTHONWARNDEFAULTENCODING"}

_SERVER_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
                   signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU}


def __getattr__(name: str) -> str:
    if name == "__version__":
        import importlib.metadata  # here and below: what the command does not need would double the time that it takes
        return importlib.metadata.version("narwhal")
    raise AttributeError(f"module 'narwhal' has no attribute {name!r}")


def run(app: str | None = None, config: str | os.PathLike[str] | None = None, **settings: Any) -> NoReturn:
    """Replaces this process by the server; its process ID stays the same. Does not return, and atexit functions do not run.

    app       "module:callable" or "module:factory()", the path of a plugin (.so), or None if `config` names it.
    config    a narwhal.yaml or a gunicorn.conf.py. Without it no file is read.
    settings  by their names in narwhal.yaml, which are Gunicorn's: workers=4, bind=["127.0.0.1:8000"], preload_app=True.
              None is the default. They count more than the file, NARWHAL_CMD_ARGS and GUNICORN_CMD_ARGS.

    Modules are also looked for where this program finds its own: what it has in sys.path before the standard library.

    TypeError: the application or a setting is an object that cannot be passed to another process.
    RuntimeError: this is a process of a server, which has imported the program as its application.
    """
    if app is not None and not isinstance(app, str):
        raise TypeError(f"narwhal.run() takes the name of the application, as in 'module:callable', not {app!r}: "
                        "each worker imports it")
    values = {name: _plain(name, value) for name, value in settings.items() if value is not None}
    with open("/proc/self/cmdline", "rb") as file:
        if file.read(9) == b"narwhal: ":
            raise RuntimeError("narwhal.run() was called in a process of a server, which imports the program as its "
                               'application: call it below if __name__ == "__main__"')
    import json
    variables = {"NARWHAL_SETTINGS": json.dumps(values, ensure_ascii=False), "PYTHONPATH": os.pathsep.join(_own_path())}
    words = ["-c", os.fspath(config) if config is not None else os.devnull]
    _execute(words + (["--", app] if app is not None else []), variables)


def reload(pid: int) -> None:
    """Makes the running server load settings, plugins and applications again. If they fail, the old ones go on.

    pid  of the server's master process, as in its pid file. The server logs the result.

    ProcessLookupError: there is no such process. ValueError: it is not a server's master. PermissionError: as os.kill().
    """
    pid = int(pid)
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            title = file.read()
    except FileNotFoundError:
        raise ProcessLookupError(f"there is no process {pid}") from None
    if not title.startswith(b"narwhal: master"):  # the signal ends an ordinary process
        raise ValueError(f"process {pid} is not the master of a narwhal server")
    os.kill(pid, signal.SIGHUP)


def get_include() -> str:
    """The folder of the header files for plugins: g++ -I"$(python -c 'import narwhal; print(narwhal.get_include())')"."""
    return os.path.join(_FOLDER, "include")


def main() -> NoReturn:
    """The command `narwhal`, and `python -m narwhal`."""
    _execute(sys.argv[1:], {})


def control() -> NoReturn:
    """The command `narwhalctl`."""
    _become("narwhalctl")


def plugin() -> NoReturn:
    """The command `narwhal-plugin`."""
    _become("narwhal-plugin")


def _become(name: str) -> NoReturn:
    program = os.path.join(_FOLDER, "_server", name)
    try:
        os.execv(program, [program, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"{name}: {program}: {error.strerror}: install the package narwhal again")


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(name, item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(name, item) for key, item in value.items()}
    if callable(value):
        raise TypeError(f"narwhal.run(): {name} is a function or a class, which stays in this process: put it into a "
                        "gunicorn.conf.py and name that by config=")
    raise TypeError(f"narwhal.run(): {name} cannot be passed on: {value!r}")


def _own_path() -> list[str]:
    """What is in sys.path before the standard library: the script's folder, PYTHONPATH, what the program has put there."""
    library = os.path.dirname(os.__file__)
    own = []
    for folder in sys.path:
        if folder == library or os.path.basename(folder) == "python%d%d.zip" % sys.version_info[:2]:
            break
        if folder:
            own.append(folder)
    return own


def _options_as_variables() -> dict[str, str]:
    variables = {_X_OPTIONS[name]: "1" if value is True else str(value)
                 for name, value in sys._xoptions.items() if name in _X_OPTIONS}
    if sys.flags.optimize:
        variables["PYTHONOPTIMIZE"] = str(sys.flags.optimize)
    if sys.flags.dont_write_bytecode:
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    if sys.warnoptions:
        variables["PYTHONWARNINGS"] = ",".join(sys.warnoptions)
    return variables


def _execute(words: list[str], variables: dict[str, str]) -> NoReturn:
    environment = {**os.environ, **_options_as_variables(), **variables}
    if sys.executable:
        environment["NARWHAL_PYTHON"] = sys.executable
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # None, closed, a pipe without a reader: lost output must not keep the server from starting
            pass
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)  # its signal would end the server
    # What the server handles waits until it does; nothing else stays blocked.
    signal.pthread_sigmask(signal.SIG_SETMASK, _SERVER_SIGNALS)
    try:
        os.execve(_PROGRAM, [_PROGRAM, *words], environment)
    except OSError as error:
        cure = "put settings into a file (config=)" if error.errno == errno.E2BIG else "install the package narwhal again"
        sys.exit(f"narwhal: {_PROGRAM}: {error.strerror}: {cure}")
