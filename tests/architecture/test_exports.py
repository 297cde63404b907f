"""What the built files show to the dynamic linker: the server nothing of ours, a plugin its one constant."""
import os
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("NARWHAL_BUILD", Path(__file__).resolve().parents[2] / "build" / "release"))


def exported(file):
    listed = subprocess.run(["nm", "-D", "-C", "--defined-only", str(file)], capture_output=True, text=True, check=True)
    return [line.split(None, 2)[2] for line in listed.stdout.splitlines() if len(line.split(None, 2)) == 3]


def test_the_server_exports_no_symbol_of_ours():
    assert [name for name in exported(BUILD / "narwhal") if "narwhal" in name or name.startswith("llhttp")] == []


@pytest.mark.parametrize("folder", ["examples", "bench"])
def test_a_plugin_exports_its_constant_and_nothing_else_of_ours(folder):
    plugins = sorted((BUILD / folder).glob("*.so"))
    assert plugins, f"no plugin in {BUILD / folder}"
    for plugin in plugins:
        ours = [name for name in exported(plugin) if "narwhal" in name]
        assert ours == ["narwhal_plugin_v1"], plugin.name
