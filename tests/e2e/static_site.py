"""Folders of files for tests of plugins/static, and what a server needs to serve one."""
import json
import os
import time

from server import BUILD

PLUGIN = BUILD / "plugins" / "static.so"
LONG_AGO = time.time() - 100_000


def write(folder, files):
    """Files by their paths, all of them last changed long ago, so that their tags are strong."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def route(folder, prefix="/", **options):
    """One entry of `routes`. JSON is YAML, too."""
    options = {"folder": str(folder), **options}
    return f"  - {json.dumps({'prefix': prefix, 'app': str(PLUGIN), 'options': options})}\n"


def config(folder, prefix="/", **options):
    return "routes:\n" + route(folder, prefix, **options)
