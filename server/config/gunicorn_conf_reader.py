"""Reads a gunicorn.conf.py and answers in JSON over a socket: gunicorn_conf_reader.hpp has arguments and messages.

If the file has hooks of the master, the process stays, and runs them: hook_runner.py. As in Gunicorn, imports of the file
are looked for in the current directory first.
"""
import ast
import json
import os
import socket
import sys
import traceback

from hook_runner import PIECE, Runner
from narwhal_gunicorn import MASTER_HOOKS, changes_of_loggers, find_hook, load


UNCHANGED = changes_of_loggers()


def reply(channel, **answer):
    data = json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace")
    sys.stdout.flush()  # the server may end this process as soon as it has the answer
    for start in range(0, len(data), PIECE):
        channel.send(b"a" + data[start:start + PIECE])
    channel.send(b".")


def read(location):
    """(its module, its path; "" for a module without a file)"""
    module = load(location)
    return module, getattr(module, "__file__", None) or ""


def lines_of_names(path):
    """{name: the last line outside of functions and classes that gives it a value}"""
    found, inner = {}, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                found[child.id] = child.lineno
            elif isinstance(child, inner[:3]):
                found[child.name] = child.lineno
            elif isinstance(child, ast.alias):
                found[child.asname or child.name] = getattr(child, "lineno", node.lineno)
            if not isinstance(child, inner):
                walk(child)
    try:
        with open(path, "rb") as file:
            walk(ast.parse(file.read()))
    except (OSError, ValueError, SyntaxError):
        pass
    return found


def scalar(value):
    """[type, text]"""
    if value is None:
        return ["None", ""]
    if isinstance(value, bool):
        return ["bool", "true" if value else "false"]
    if isinstance(value, int):
        return ["int", int.__str__(value)]
    if isinstance(value, str):
        return ["str", str.__str__(value)]
    if isinstance(value, os.PathLike) and isinstance(os.fspath(value), str):
        return ["str", os.fspath(value)]
    if isinstance(value, float):
        return ["float", float.__repr__(value)]
    if isinstance(value, type):
        return ["callable", f"{value.__module__}.{value.__qualname__}"]  # a worker_class
    return ["callable" if callable(value) else type(value).__name__, ""]


def describe(value):
    """[type, value]"""
    if isinstance(value, (list, tuple, set, frozenset)):
        return ["list", [scalar(item) for item in value]]
    if isinstance(value, dict):
        return ["dict", [[str(key), *scalar(item)] for key, item in value.items()]]
    return scalar(value)


def others(values, names, lines):
    """[[name, line]] of the lower-case plain values that are no settings: one may be a mistyped setting."""
    return [[name, lines.get(name, 0)] for name, value in values.items()
            if name.islower() and name[0] != "_" and name not in names
            and isinstance(value, (str, int, float, bool))][:200]


def fault(error, path):
    """[line, text]: the exception, and the innermost line of the file in its traceback."""
    if isinstance(error, OSError) and error.filename == path:
        return [0, "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror]
    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError) and error.filename == path:
        return [error.lineno or 0, text]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return [lines[-1] if lines else 0, text]


def print_traceback(error):
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename.startswith(("<string>", "<narwhal")):
        step = step.tb_next  # a frame of this program
    traceback.print_exception(type(error), error, step)
    sys.stderr.flush()


def check_hooks(module, lines):
    """Refuses a hook of the master that cannot be called as (line, text); None if all are in order."""
    for name in MASTER_HOOKS:
        try:
            find_hook(module, name)
        except Exception as error:
            return [lines.get(name, 0), f"{name}: {error}"]
    return None


def has_master_hooks(module):
    return any(getattr(module, name, None) for name in MASTER_HOOKS)


def end_processes():
    """Those that the file has started by multiprocessing. Managers and pools end by their finalizers."""
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    util._run_finalizers(0)
    for process in sys.modules["multiprocessing.process"].active_children():
        process.terminate()


def answer(location, names):
    """The answer, and the file's module if it was read."""
    sys.argv[:] = [location]
    sys.path.insert(0, os.getcwd())
    path = "" if location.startswith("python:") else location
    try:
        module, path = read(location)
    except BaseException as error:
        if not isinstance(error, OSError) or error.filename != path:
            print_traceback(error)
        return {"file": path, "fault": fault(error, path)}, None
    values, lines = vars(module), lines_of_names(path)
    if refused := check_hooks(module, lines):
        return {"file": path, "fault": refused}, None
    settings = [[name, lines.get(name, 0), *describe(values[name])] for name in names if name in values]
    unknown = others(values, names, lines)
    more = {"others": unknown} if unknown else {}
    if changes_of_loggers() != UNCHANGED:
        more["loggers"] = "true"
    return {"file": path, "settings": settings, **more}, module


def main(channel, location, names):
    """The file's module if it was read."""
    found, module = answer(location, names)
    if not (module and has_master_hooks(module)):
        end_processes()  # before the answer, after which the server may end this process
    reply(channel, **found)
    return module


if __name__ == "__main__":
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(True)
    os.set_inheritable(channel.fileno(), False)
    module = main(channel, sys.argv[2], sys.argv[3].split(","))
    if module and has_master_hooks(module):
        Runner(channel, module).run()
    os._exit(0 if module else 1)  # without waiting for threads of the file
