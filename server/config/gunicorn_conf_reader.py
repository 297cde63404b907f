"""Reads a gunicorn.conf.py and answers in JSON on a descriptor: gunicorn_conf_reader.hpp has arguments and answer.

As in Gunicorn, a file becomes the module __config__, and its imports are looked for in the current directory first.
Unlike there, no byte code of the file is kept: Python takes a cached one as current when the file was saved twice within
a second.
"""
import sys

if __name__ == "__main__" and sys.path[:1] == [""]:
    del sys.path[0]  # the current directory, by -c: a json.py or an ast.py there must not take the place of Python's
import ast
import importlib
import importlib.machinery
import importlib.util
import json
import os
import traceback


def reply(descriptor, **answer):
    data = json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace")
    sys.stdout.flush()  # the server ends this process as soon as it has the answer
    with open(descriptor, "wb") as pipe:
        pipe.write(data)


def read(location):
    """Runs the file, or imports "python:MODULE": (its names, its path; "" for a module without a file)."""
    if location.startswith("python:"):
        module = importlib.import_module(location[len("python:"):])
        return vars(module), getattr(module, "__file__", None) or ""
    with open(location, "rb") as file:
        code = compile(file.read(), location, "exec", dont_inherit=True)
    loader = importlib.machinery.SourceFileLoader("__config__", location)
    spec = importlib.util.spec_from_file_location("__config__", location, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["__config__"] = module
    exec(code, vars(module))
    return vars(module), location


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
    while step is not None and step.tb_frame.f_code.co_filename == "<string>":
        step = step.tb_next  # a frame of this program
    traceback.print_exception(type(error), error, step)
    sys.stderr.flush()


def main(descriptor, location, names):
    os.set_inheritable(descriptor, False)
    sys.argv[:] = [location]
    sys.path.insert(0, os.getcwd())
    path = "" if location.startswith("python:") else location
    try:
        values, path = read(location)
    except BaseException as error:
        if not isinstance(error, OSError) or error.filename != path:
            print_traceback(error)
        reply(descriptor, file=path, fault=fault(error, path))
        return 1
    lines = lines_of_names(path)
    settings = [[name, lines.get(name, 0), *describe(values[name])] for name in names if name in values]
    unknown = others(values, names, lines)
    reply(descriptor, file=path, settings=settings, **({"others": unknown} if unknown else {}))
    return 0


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")))  # without waiting for threads of the file
