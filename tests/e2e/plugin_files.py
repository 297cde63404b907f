"""Plugin files as deployments write them: new versions, broken ones, written in place or renamed."""
import os
import shutil
from pathlib import Path

from server import test_plugin

VERSION_MARK = b"version-mark-0000000000000000000"  # in tests/plugins/versioned: what it answers, to its first NUL


def versioned(destination, version):
    """Writes a plugin that answers `version` to destination, in place: same inode when it exists."""
    data = test_plugin("versioned").read_bytes()
    assert data.count(VERSION_MARK) == 1, "the versioned plugin has no single mark to patch"
    text = version.encode()
    assert len(text) <= len(VERSION_MARK)
    Path(destination).write_bytes(data.replace(VERSION_MARK, text.ljust(len(VERSION_MARK), b"\0")))
    return Path(destination)


def deploy(destination, version):
    """The same by rename, as a careful deployment does it."""
    beside = Path(f"{destination}.new")
    versioned(beside, version)
    os.replace(beside, destination)
    return Path(destination)


def truncated(destination, share=0.5):
    data = Path(destination).read_bytes()
    Path(destination).write_bytes(data[:int(len(data) * share)])


def other_architecture(destination):
    """Changes the machine in the ELF header to AArch64."""
    data = bytearray(Path(destination).read_bytes())
    assert data[:4] == b"\x7fELF"
    data[18:20] = (183).to_bytes(2, "little")
    Path(destination).write_bytes(data)


def not_elf(destination):
    Path(destination).write_text("<html>404 Not Found</html>\n")


def becomes(destination, plugin):
    shutil.copyfile(test_plugin(plugin), destination)
