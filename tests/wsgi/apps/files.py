"""Files of every kind, sent through wsgi.file_wrapper."""
import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import tempfile
import threading
import zipfile

from plain import NotAFile, TEXT, bare, options, page, text  # noqa: F401


KINDS = {}


def kind(function):
    """A way to come by a file; what it gives is sent through file_wrapper, and the test compares it with read()."""
    KINDS[function.__name__] = function
    return function


def content_file(open_it=open, content=bytes(range(256)) * 64):
    path = os.path.join(os.environ["TRIAL_FOLDER"], f"{threading.get_ident()}-content")
    with open_it(path, "wb") as file:
        file.write(content)
    return path


@kind
def plain():
    return open(content_file(), "rb")


@kind
def unbuffered():
    return open(content_file(), "rb", buffering=0)


@kind
def rewound():
    file = open(content_file(), "rb")
    file.read(16)
    file.seek(0)
    return file


@kind
def peeked():
    file = open(content_file(), "rb")
    file.peek(100)
    file.read(10)
    return file


@kind
def not_flushed():
    file = open(content_file(), "r+b")
    file.write(b"new")
    file.seek(1)
    file.write(b"E")
    return file


@kind
def gzipped():
    return gzip.open(content_file(gzip.open), "rb")


@kind
def bzipped():
    return bz2.open(content_file(bz2.open), "rb")


@kind
def xz():
    return lzma.open(content_file(lzma.open), "rb")


@kind
def zipped():
    path = content_file()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member", b"a member " * 5000)
    return zipfile.ZipFile(path).open("member")


@kind
def tar_member():
    path = content_file()
    with tarfile.open(path + ".tar", "w") as archive:
        archive.add(path, "member")
    return tarfile.open(path + ".tar").extractfile("member")


class Upper(io.FileIO):
    def read(self, size=-1):
        return super().read(size).replace(b"a", b"A")


@kind
def subclass():
    return Upper(content_file())


@kind
def reader_of_subclass():
    class Middle(io.FileIO):
        def readinto(self, buffer):
            count = super().readinto(buffer)
            buffer[:count] = bytes(buffer[:count]).replace(b"a", b"A")
            return count
    return io.BufferedReader(Middle(content_file()))


@kind
def replaced_read():
    file, parts = open(content_file(), "rb"), [b"one", b"two"]
    file.read = lambda size=-1: parts.pop(0) if parts else b""
    return file


@kind
def other_fileno():
    file = NotAFile(b"its own bytes")
    file.fileno = open(content_file(), "rb").fileno
    return file


@kind
def named_temporary():
    file = tempfile.NamedTemporaryFile()
    file.write(b"t" * 5000)
    file.seek(0)
    return file


@kind
def proc():
    return open("/proc/self/auxv", "rb")


@kind
def sys_file():
    return open("/sys/kernel/mm/transparent_hugepage/enabled", "rb")


@kind
def pipe():
    readable, writable = os.pipe()
    os.write(writable, b"through a pipe")
    os.close(writable)
    return open(readable, "rb")


@kind
def after_its_end():
    file = open(content_file(), "rb")
    file.seek(1 << 20)
    return file


@page
def file_kind(environ, start_response):
    """Its whole content in a field, as a digest, then the file itself."""
    make = KINDS[environ["QUERY_STRING"]]
    with contextlib.closing(make()) as file:
        digest = hashlib.sha256(b"".join(iter(lambda: file.read(1000), b""))).hexdigest()
    start_response("200 OK", TEXT + [("Digest", digest)])
    return environ["wsgi.file_wrapper"](make(), 1000)


@page
def endless_file(environ, start_response):
    asked = options(environ)
    file = open("/dev/zero", "rb")
    if "fifo" in asked:  # holds what is needed, and stays open
        readable, writable = os.pipe()
        os.write(writable, b"x" * 100)
        file = open(readable, "rb")
    start_response("200 OK", TEXT + [("Content-Length", asked["length"])])
    return environ["wsgi.file_wrapper"](file)


@page
def file_not_readable(environ, start_response):
    start_response("200 OK", TEXT[:])
    return environ["wsgi.file_wrapper"](open(content_file(), "wb"))


@page
def closed_file(environ, start_response):
    file = open(content_file(), "rb")
    file.close()
    start_response("200 OK", TEXT[:])
    return environ["wsgi.file_wrapper"](file)


@page
def wrapper_parts(environ, start_response):
    """What Gunicorn's FileWrapper lets an application do."""
    make = environ["wsgi.file_wrapper"]
    wrapper = make(io.BytesIO(b"abcdefgh"), 3)
    seen = [wrapper[0], wrapper[0], wrapper.filelike.tell(), wrapper.blksize]
    wrapper.blksize = 1
    wrapper.name = "mine"
    seen += [wrapper[7], wrapper[0], wrapper.name]
    try:
        seen.append(wrapper[0])
    except IndexError:
        seen.append("the end")
    wrapper.filelike = io.BytesIO(b"again")
    wrapper.blksize = -1

    class Doubled(make):
        def __getitem__(self, key):
            return super().__getitem__(key) * 2
    seen += [list(wrapper), list(Doubled(io.BytesIO(b"12345"), blksize=2)), make(filelike=io.BytesIO()).blksize]
    return text(start_response, repr(seen).encode())
