"""Finds the application that `module:attribute` names, as Gunicorn does. application.cpp runs this once, at boot."""
import ast
import importlib
import os
import sys
import types


def arguments_of(call):
    """The arguments of a call as values; None when one is not a literal."""
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        return positional, {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        return None


def import_module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        if name.endswith(".py") and os.path.exists(name):
            raise ImportError(f"no module {name!r}: did you mean '{name[:-3]}:app'?") from None
        raise


def patched_by():
    """The library whose event loop has replaced Python's sockets or threads, and how it is switched on; None: none."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent and (gevent.is_module_patched("socket") or gevent.is_module_patched("threading")):
        return "gevent", "gevent.monkey.patch_all()"
    if eventlet and (eventlet.is_monkey_patched("socket") or eventlet.is_monkey_patched("thread")):
        return "eventlet", "eventlet.monkey_patch()"
    return None


def python_function(found):
    """What a call of `found` runs, if that is a function written in Python, and the arguments that the call adds."""
    if type(found) in (types.FunctionType, types.MethodType):
        called = found
    elif isinstance(found, type):  # a class may be an application: its __init__ takes the two arguments
        return None, 0
    else:
        called = type(found).__call__
        if type(called) is types.FunctionType:
            return called, 1
    added = 0
    while type(called) is types.MethodType:
        called, added = called.__func__, added + 1
    return (called, added) if type(called) is types.FunctionType else (None, 0)


def arity_fault(found, module_name, expression):
    """Why a call with environ and start_response must fail; None when it may be right."""
    function, added = python_function(found)
    if function is None:
        return None
    code = function.__code__
    most = code.co_argcount - added
    least = most - len(function.__defaults__ or ())
    keywords = set(code.co_varnames[code.co_argcount:code.co_argcount + code.co_kwonlyargcount])
    missing = keywords - set(function.__kwdefaults__ or ())
    takes_more = code.co_flags & 0x04 != 0  # inspect.CO_VARARGS
    if least <= 2 and (most >= 2 or takes_more) and not missing:
        return None
    if least == 3 and not missing:
        return ("Application object takes three arguments, which is ASGI's way (scope, receive, send): "
                "only WSGI applications are served.")
    count = f"{most} argument{'' if most == 1 else 's'}" if not missing else "arguments by keyword"
    fault = f"Application object takes {count}, but a WSGI application takes two (environ, start_response)."
    if least <= 0 and not missing and expression.isidentifier():
        fault += f" If it makes the application, write '{module_name}:{expression}()'."
    return fault


def is_coroutine_function(found):
    # inspect has this, but its import would make each worker's start some milliseconds longer.
    function = found.__func__ if type(found) is types.MethodType else found
    return type(function) is types.FunctionType and function.__code__.co_flags & 0x80 != 0  # inspect.CO_COROUTINE


step = ""  # what was being done when an exception left find()


def find(name):
    """The application, or a text that says why the imported module has none. Exceptions of its code pass through."""
    global step
    module_name, _, expression = name.partition(":")
    step = f"import {module_name}"
    module = import_module(module_name)
    step = f"call {expression}"
    expression = expression or "application"
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        return f"Failed to parse {expression!r} as an attribute name or function call."
    call = tree if isinstance(tree, ast.Call) else None
    target = tree.func if call else tree
    if not isinstance(target, ast.Name):
        return f"{'Function reference' if call else 'Attribute name or function call'} expected: {expression!r}"
    try:
        found = getattr(module, target.id)
    except AttributeError:
        return f"Failed to find attribute {target.id!r} in {module_name!r}."
    if call:
        arguments = arguments_of(call)
        if arguments is None:
            return f"Failed to parse arguments as literal values: {expression!r}"
        found = found(*arguments[0], **arguments[1])
    if found is None:
        return f"Failed to find application object: {expression!r}"
    if not callable(found):
        return "Application object must be callable."
    if is_coroutine_function(found) or is_coroutine_function(type(found).__call__):
        return "Application object is a coroutine function, which is ASGI's way: only WSGI applications are served."
    patched = patched_by()
    if patched:
        return (f"The application has replaced Python's sockets and threads by those of {patched[0]}, which need its "
                f"event loop; narwhal calls applications in threads. Remove {patched[1]} and set --threads, or stay "
                "with Gunicorn.")
    return arity_fault(found, module_name, expression) or found


def applications_part(trace):
    """The traceback from the application's first frame on: without our own frames and those of importlib."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(("<narwhal", "<frozen importlib")) and file != importlib.__file__:
            break
        trace = trace.tb_next
    return trace


def files_that_may_fix(error):
    """Files whose change may fix an import that failed: those of its traceback, and those that were not found."""
    files = []
    while error is not None and len(files) < 10000:
        trace = error.__traceback__
        while trace is not None:
            files.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            files.append(error.filename)
        if isinstance(error, ModuleNotFoundError) and error.name:
            part = error.name.replace(".", "/")
            files += [f"{folder}/{part}{ending}" for folder in sys.path for ending in (".py", "/__init__.py")]
        error = error.__cause__ or error.__context__
    return files
