/* Bad luck on demand, for LD_PRELOAD: the n-th allocation, or the n-th call of a chosen kind, of one process fails.
 *
 * NARWHAL_FAULTS names a file that holds a struct faults; the tests (tests/e2e/faults.py) write into it while the
 * server runs. What happens before `pid` is set is left alone, and so is every other process. Kinds of calls are those
 * that a worker makes by the C library; what the library does inside itself is not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  faults_alloc = 1,
  faults_send = 2, /* to a socket */
  faults_read = 4,
  faults_open = 8,       /* for writing: also mkostemp */
  faults_write = 16,     /* to a file, but for stdin, stdout and stderr */
  faults_epoll_add = 32, /* epoll_ctl */
  faults_accept = 64,
  faults_sendfile = 128,
  faults_map = 256,
  faults_pread = 512,
  faults_duplicate = 1024 /* fcntl F_DUPFD_CLOEXEC */
};

struct faults {
  _Atomic int32_t pid;          /* the process whose calls count; 0: none */
  _Atomic uint32_t kinds;       /* of those above */
  _Atomic int64_t first, count; /* the call to fail, from 1 (0: none), and how many in a row */
  _Atomic int64_t least, most;  /* bytes: allocations of other sizes are not counted */
  _Atomic int64_t error;        /* errno of a call */
  _Atomic int64_t seen;         /* calls of these kinds since `first` was set */
  _Atomic int64_t failed;       /* of them */
  _Atomic int64_t live;         /* blocks allocated and not freed by that process */
};

static struct faults *faults;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("NARWHAL_FAULTS");
  const int fd = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *page = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) faults = page;
}

static int is_ours(void) { return faults != NULL && faults->pid != 0 && faults->pid == getpid(); }

static int strikes(uint32_t kind) {
  const int64_t first = faults->first;
  if (first == 0 || (faults->kinds & kind) == 0) return 0;
  const int64_t number = ++faults->seen;
  if (number < first || number >= first + faults->count) return 0;
  ++faults->failed;
  return 1;
}

/* ---- allocations ---- */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t), __libc_free(void *);

static int denied(size_t size) {
  if (!is_ours() || (int64_t)size < faults->least || (int64_t)size > faults->most || !strikes(faults_alloc)) return 0;
  errno = ENOMEM;
  return 1;
}

static void *counted(void *block) {
  if (block != NULL && is_ours()) ++faults->live;
  return block;
}

void *malloc(size_t size) { return denied(size) ? NULL : counted(__libc_malloc(size)); }
void *calloc(size_t items, size_t size) { return denied(items * size) ? NULL : counted(__libc_calloc(items, size)); }
void *realloc(void *block, size_t size) {
  if (denied(size)) return NULL;
  return block == NULL ? counted(__libc_realloc(block, size)) : __libc_realloc(block, size);
}
void *memalign(size_t align, size_t size) { return denied(size) ? NULL : counted(__libc_memalign(align, size)); }
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void **block, size_t align, size_t size) {
  void *const made = memalign(align, size);
  if (made == NULL) return ENOMEM;
  *block = made;
  return 0;
}
void free(void *block) {
  if (block != NULL && is_ours()) --faults->live;
  __libc_free(block);
}

/* ---- calls ---- */

static int refused(uint32_t kind) {
  if (!is_ours() || !strikes(kind)) return 0;
  errno = (int)faults->error;
  return 1;
}

#define REAL(name)                      \
  static __typeof__(&name) real_##name; \
  if (real_##name == NULL) real_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

long syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int index = 0; index < 6; ++index) arguments[index] = va_arg(list, long);
  va_end(list);
  REAL(syscall);
  if ((number == SYS_sendto && refused(faults_send)) || (number == SYS_read && refused(faults_read))) return -1;
  return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  REAL(sendmsg);
  return refused(faults_send) ? -1 : real_sendmsg(fd, message, flags);
}

static uint32_t kind_of_write(int fd) {
  struct stat facts;
  if (fd <= STDERR_FILENO || faults == NULL || faults->first == 0 || fstat(fd, &facts) != 0) return 0;
  return S_ISSOCK(facts.st_mode) ? faults_send : S_ISREG(facts.st_mode) ? faults_write : 0;
}

ssize_t write(int fd, const void *bytes, size_t size) {
  REAL(write);
  return refused(kind_of_write(fd)) ? -1 : real_write(fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  return refused(kind_of_write(fd)) ? -1 : real_writev(fd, parts, count);
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
  REAL(epoll_ctl);
  return operation == EPOLL_CTL_ADD && refused(faults_epoll_add) ? -1 : real_epoll_ctl(set, operation, fd, event);
}

int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags) {
  REAL(accept4);
  return refused(faults_accept) ? -1 : real_accept4(fd, from, size, flags);
}

#define OPEN(name)                                                                                        \
  int name(const char *path, int flags, ...) {                                                            \
    va_list list;                                                                                         \
    va_start(list, flags);                                                                                \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;                  \
    va_end(list);                                                                                         \
    REAL(name);                                                                                           \
    return (flags & O_ACCMODE) != O_RDONLY && refused(faults_open) ? -1 : real_##name(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define MKOSTEMP(name)                                              \
  int name(char *pattern, int flags) {                              \
    REAL(name);                                                     \
    return refused(faults_open) ? -1 : real_##name(pattern, flags); \
  }
MKOSTEMP(mkostemp)
MKOSTEMP(mkostemp64)

#define SENDFILE(name, offset_type)                                              \
  ssize_t name(int to, int from, offset_type *offset, size_t count) {            \
    REAL(name);                                                                  \
    return refused(faults_sendfile) ? -1 : real_##name(to, from, offset, count); \
  }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

#define PREAD(name, offset_type)                                             \
  ssize_t name(int fd, void *into, size_t size, offset_type offset) {        \
    REAL(name);                                                              \
    return refused(faults_pread) ? -1 : real_##name(fd, into, size, offset); \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define MMAP(name, offset_type)                                                                 \
  void *name(void *where, size_t size, int protection, int flags, int fd, offset_type offset) { \
    REAL(name);                                                                                 \
    if (fd >= 0 && refused(faults_map)) return MAP_FAILED;                                      \
    return real_##name(where, size, protection, flags, fd, offset);                             \
  }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

#define FCNTL(name)                                                                                           \
  int name(int fd, int command, ...) {                                                                        \
    va_list list;                                                                                             \
    va_start(list, command);                                                                                  \
    void *const argument = va_arg(list, void *);                                                              \
    va_end(list);                                                                                             \
    REAL(name);                                                                                               \
    return command == F_DUPFD_CLOEXEC && refused(faults_duplicate) ? -1 : real_##name(fd, command, argument); \
  }
FCNTL(fcntl)
FCNTL(fcntl64)
