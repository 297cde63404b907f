#include "server/config/python_config_script.hpp"

namespace narwhal::server {

// As Gunicorn does it: the module is named __config__, and what it imports is looked for in the current directory first.
// Unlike it, no byte code of the file is kept: a cached one is taken for current within the same second.
const char* const python_config_script = R"py(
import ast, importlib.machinery, importlib.util, json, os, sys, traceback

answer, location, names = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
os.set_inheritable(answer, False)
sys.argv[:] = [location]
sys.path.insert(0, os.getcwd())
path = ""


def reply(**parts):
    data = json.dumps({"file": path, **parts}, ensure_ascii=False).encode("utf-8", "backslashreplace")
    sys.stdout.flush()  # once all is said we are killed
    with open(answer, "wb") as pipe:
        pipe.write(data)


def read():
    global path
    if location.startswith("python:"):
        module = importlib.import_module(location[len("python:"):])
        path = getattr(module, "__file__", None) or ""
        return vars(module)
    path = location
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    loader = importlib.machinery.SourceFileLoader("__config__", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("__config__", path, loader=loader))
    sys.modules["__config__"] = module
    exec(code, vars(module))
    return vars(module)


def lines():
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
    return ["callable" if callable(value) else type(value).__name__, ""]


def describe(value):
    if isinstance(value, (list, tuple, set, frozenset)):
        return ["list", [scalar(item) for item in value]]
    if isinstance(value, dict):
        return ["dict", [[str(key), *scalar(item)] for key, item in value.items()]]
    return scalar(value)


def fault(error):
    """Where in the file it is, and what: the innermost line of the file that is on the way to it."""
    if isinstance(error, OSError) and error.filename == path:
        return [0, "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror]
    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError) and error.filename == path:
        return [error.lineno or 0, text]
    on_the_way = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return [on_the_way[-1] if on_the_way else 0, text]


def print_traceback(error):
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename == "<string>":
        step = step.tb_next  # our own
    traceback.print_exception(type(error), error, step)
    sys.stderr.flush()


def main():
    try:
        values = read()
    except BaseException as error:
        if not isinstance(error, OSError) or error.filename != path:
            print_traceback(error)
        reply(fault=fault(error))
        return 1
    where = lines()
    reply(settings=[[name, where.get(name, 0), *describe(values[name])] for name in names if name in values])
    return 0


os._exit(main())  # threads that the file has started do not hold us up
)py";

}  // namespace narwhal::server
