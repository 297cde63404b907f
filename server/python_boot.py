"""Makes this interpreter the template of a generation: -c SCRIPT PLUGIN LIBRARY SEAT FUNCTION [VARIABLE...].

PLUGIN is the WSGI plugin for this version of Python, which is also an extension module. It calls FUNCTION of LIBRARY with
the descriptor SEAT, and does not return. VARIABLEs of the environment are for this process alone.
"""
import sys

if sys.path[:1] == [""]:
    del sys.path[0]  # the current directory, by -c


def main(plugin, library, seat, function, *variables):
    import os
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    from importlib.util import module_from_spec
    for name in variables:
        os.environ.pop(name, None)
    loader = ExtensionFileLoader("narwhal_wsgi", plugin)
    module = module_from_spec(ModuleSpec("narwhal_wsgi", loader, origin=plugin))
    loader.exec_module(module)
    sys.argv[:] = ["narwhal"]
    # What applications print leaves with each line, and is not lost when a worker dies.
    sys.stdout.reconfigure(line_buffering=True)
    module.run(library, int(seat), function)


main(*sys.argv[1:])
