"""A kept-alive request allocates nothing, once everything has been used once."""
import mmap
import struct
import subprocess

import pytest

from clock import SCALE
from server import BUILD

COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static unsigned long *count;
static void *(*real_malloc)(size_t), *(*real_realloc)(void *, size_t);
extern void *__libc_calloc(size_t, size_t); /* dlsym() itself may ask for memory */
__attribute__((constructor)) static void begin(void) {
  int fd = open(getenv("ALLOCATIONS_FILE"), O_RDWR);
  count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
}
static void tick(void) { if (count) __atomic_add_fetch(count, 1, __ATOMIC_RELAXED); }
void *malloc(size_t n) {
  if (!real_malloc) real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  tick();
  return real_malloc(n);
}
void *realloc(void *p, size_t n) {
  if (!real_realloc) real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
  tick();
  return real_realloc(p, n);
}
void *calloc(size_t n, size_t m) { tick(); return __libc_calloc(n, m); }
"""


@pytest.fixture
def counted(serve, tmp_path):
    """serve() with a counter of every allocation in any of the server's processes."""
    if SCALE > 1:
        pytest.skip("a sanitizer has its own malloc")
    source, library, file = tmp_path / "count.c", tmp_path / "count.so", tmp_path / "count"
    source.write_text(COUNTER)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    file.write_bytes(bytes(4096))

    def start(*args):
        server = serve(*args, env={"LD_PRELOAD": str(library), "ALLOCATIONS_FILE": str(file)})
        with open(file, "rb") as opened:
            page = mmap.mmap(opened.fileno(), 4096, prot=mmap.PROT_READ)
        return server, lambda: struct.unpack("L", page[:8])[0]
    return start


@pytest.mark.parametrize("plugin", ["yardstick", "yardstick-inline"])
def test_a_kept_alive_request_allocates_nothing(counted, plugin):
    server, allocations = counted(BUILD / "bench" / f"{plugin}.so", "-w", "1")
    assert allocations() > 100, "the counter counts"
    with server.connect() as wire:
        for _ in range(200):
            assert wire.ask("/").body == b"Hello, world!"
        before = allocations()
        for _ in range(2000):
            wire.ask("/")
        assert allocations() - before <= 2, "none a request; the clock's tick may need one"
