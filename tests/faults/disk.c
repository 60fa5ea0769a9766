// Preloaded into stagefs by tests/faults/: writes down every change a process makes below FAULT_ROOT to FAULT_LOG,
// in order over all processes, so that what a disk held at any moment can be built again; or makes the
// FAULT_AT'th of them in a process fail with FAULT_ERRNO (FAULT_SHORT=1: a write stores half instead; FAULT_KILL=1: it is
// killed there; FAULT_STOP=1: it stops there, and goes on where it is told to). FAULT_SEND: the same for the number of a message
// to a database. FAULT_READ: the number of the read, or of an opening to read, that fails with FAULT_ERRNO. FAULT_SYNC=N: each
// N'th sync of a version, a working copy or the index's log fails with EIO; the kernel takes its pages for written then.
// FAULT_SYNC_KILL=1: the process is killed right after the first of them, and syncs of the whole file system are such, too.
// FAULT_CLOCK: so many seconds is the process's clock ahead.
//
// A record is a line, and for W the bytes after it. Inodes stand for files.
//   W TIME INODE OFFSET SIZE     bytes written        T TIME INODE SIZE        truncated
//   C TIME INODE PATH            file made            M TIME PATH              folder made
//   R TIME FROM\tTO              renamed              L TIME FROM\tTO           linked
//   U TIME PATH                  removed, file or folder
//   S TIME INODE                 synced; 0: the whole file system       D TIME PATH   folder synced
//   E TIME INODE                 a sync of it failed; 0: of the whole file system
#define _GNU_SOURCE
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(result, name, ...) \
  static result (*real)(__VA_ARGS__); \
  if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static const char *root, *log_path;
static size_t root_size;
static long fail_at, fail_errno, fail_short, fail_kill, fail_stop, read_at, send_at, sync_every, sync_kill, clock_ahead;
static long count, reads, sends, syncs;

__attribute__((constructor)) static void Start(void) {
  root = getenv("FAULT_ROOT");
  if (!root) root = "/nowhere";
  root_size = strlen(root);
  log_path = getenv("FAULT_LOG");
  fail_at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  fail_errno = getenv("FAULT_ERRNO") ? atol(getenv("FAULT_ERRNO")) : EIO;
  fail_short = getenv("FAULT_SHORT") != NULL;
  fail_kill = getenv("FAULT_KILL") != NULL;
  fail_stop = getenv("FAULT_STOP") != NULL;
  clock_ahead = getenv("FAULT_CLOCK") ? atol(getenv("FAULT_CLOCK")) : 0;
  read_at = getenv("FAULT_READ") ? atol(getenv("FAULT_READ")) : 0;
  send_at = getenv("FAULT_SEND") ? atol(getenv("FAULT_SEND")) : 0;
  sync_every = getenv("FAULT_SYNC") ? atol(getenv("FAULT_SYNC")) : 0;
  sync_kill = getenv("FAULT_SYNC_KILL") != NULL;
}

static int Below(const char* path) {
  return strncmp(path, root, root_size) == 0 && (path[root_size] == '/' || path[root_size] == 0) &&
         !strstr(path, "-shm");
}

// The path of `name` seen from `folder`.
static void PathAt(int folder, const char* name, char* path, size_t size) {
  char above[4096] = "";
  if (name[0] != '/') {
    char link[64];
    if (folder == AT_FDCWD) {
      if (!getcwd(above, sizeof above)) above[0] = 0;
    } else {
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      const ssize_t got = readlink(link, above, sizeof above - 1);
      above[got > 0 ? got : 0] = 0;
    }
    strcat(above, "/");
  }
  snprintf(path, size, "%.*s%s", (int)(size / 2), above, name);
}

static int BelowFd(int fd, char* path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t got = readlink(link, path, size - 1);
  if (got <= 0) return 0;
  path[got] = 0;
  return Below(path);
}

static unsigned long InodeOf(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  REAL(int, clock_gettime, clockid_t, struct timespec*);
  const int done = real(clock, now);
  if (clock == CLOCK_REALTIME && done == 0) now->tv_sec += clock_ahead;
  return done;
}

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

// The operation and its record are one step for all processes.
static int Lock(void) {
  if (!log_path) return -1;
  const int fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  flock(fd, LOCK_EX);
  return fd;
}
static void Record(int fd, const void* bytes, size_t size, const char* format, ...) {
  if (fd < 0) return;
  char line[9000];
  va_list args;
  va_start(args, format);
  const int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  struct iovec parts[2] = {{line, (size_t)length}, {(void*)bytes, size}};
  syscall(SYS_writev, fd, parts, bytes ? 2 : 1);
}
static void Unlock(int fd) {
  const int kept = errno;
  if (fd >= 0) syscall(SYS_close, fd);
  errno = kept;
}

// Whether this is number `at`, which fails.
static int IsTurn(long at, long* number) {
  if (at == 0 || __atomic_add_fetch(number, 1, __ATOMIC_SEQ_CST) != at) return 0;
  const char* reached = getenv("FAULT_REACHED");  // A file that tells that it came to this.
  if (reached) Unlock((int)syscall(SYS_openat, AT_FDCWD, reached, O_WRONLY | O_CREAT, 0600));
  if (fail_kill) kill(getpid(), SIGKILL);
  if (fail_stop) return kill(getpid(), SIGSTOP);
  errno = (int)fail_errno;
  return 1;
}
static int Fails(void) { return IsTurn(fail_at, &count); }
static int ReadFails(void) { return IsTurn(read_at, &reads); }
// A commit that begins a log anew syncs its head, and fails with that: there it is left alone.
static int SyncFails(const char* path, const struct stat* file) {
  if (strstr(path, "-wal") && file->st_size <= 32) return 0;
  if (sync_every == 0 || !(strstr(path, "/versions/") || strstr(path, "/wc-") || strstr(path, "-wal"))) return 0;
  return __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) % sync_every == 0;
}
static int SyncFailed(int log, unsigned long inode) {
  Record(log, NULL, 0, "E %.6f %lu\n", Now(), inode);
  Unlock(log);
  if (sync_kill) kill(getpid(), SIGKILL);
  errno = EIO;
  return -1;
}

static int Open(int folder, const char* name, int flags, mode_t mode) {
  char path[8192];
  PathAt(folder, name, path, sizeof path);
  const int changes = Below(path) && (flags & (O_CREAT | O_TRUNC)) != 0 && (flags & O_TMPFILE) != O_TMPFILE;
  if (!changes && Below(path) && ReadFails()) return -1;
  if (!changes) return (int)syscall(SYS_openat, folder, name, flags, mode);
  if (Fails()) return -1;
  struct stat before;
  const int log = Lock();
  const int there = stat(path, &before) == 0;
  const int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
  if (fd >= 0 && !there) Record(log, NULL, 0, "C %.6f %lu %s\n", Now(), InodeOf(fd), path);
  if (fd >= 0 && there && (flags & O_TRUNC)) Record(log, NULL, 0, "T %.6f %lu 0\n", Now(), InodeOf(fd));
  Unlock(log);
  return fd;
}

#define OPEN(name) \
  int name(const char* path, int flags, ...) { \
    va_list args; \
    va_start(args, flags); \
    const mode_t mode = va_arg(args, mode_t); \
    va_end(args); \
    return Open(AT_FDCWD, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
#define OPENAT(name) \
  int name(int folder, const char* path, int flags, ...) { \
    va_list args; \
    va_start(args, flags); \
    const mode_t mode = va_arg(args, mode_t); \
    va_end(args); \
    return Open(folder, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

DIR* opendir(const char* path) {
  REAL(DIR*, opendir, const char*);
  return Below(path) && ReadFails() ? NULL : real(path);
}
ssize_t read(int fd, void* bytes, size_t size) {
  REAL(ssize_t, read, int, void*, size_t);
  char path[4096];
  return read_at && BelowFd(fd, path, sizeof path) && ReadFails() ? -1 : real(fd, bytes, size);
}
#define PREAD(name) \
  ssize_t name(int fd, void* bytes, size_t size, off_t offset) { \
    REAL(ssize_t, name, int, void*, size_t, off_t); \
    char path[4096]; \
    return read_at && BelowFd(fd, path, sizeof path) && ReadFails() ? -1 : real(fd, bytes, size, offset); \
  }
PREAD(pread)
PREAD(pread64)

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  REAL(ssize_t, send, int, const void*, size_t, int);
  return IsTurn(send_at, &sends) ? -1 : real(fd, bytes, size, flags);
}

static ssize_t Wrote(int log, int fd, const void* bytes, ssize_t size, off_t offset) {
  if (size > 0) Record(log, bytes, (size_t)size, "W %.6f %lu %ld %ld\n", Now(), InodeOf(fd), (long)offset, (long)size);
  return size;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  REAL(ssize_t, write, int, const void*, size_t);
  char path[4096];
  if (!BelowFd(fd, path, sizeof path)) return real(fd, bytes, size);
  if (Fails()) return fail_short && size > 1 ? real(fd, bytes, size / 2) : -1;
  const int log = Lock();
  const int append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
  const off_t at = lseek(fd, 0, append ? SEEK_END : SEEK_CUR);
  const ssize_t done = Wrote(log, fd, bytes, real(fd, bytes, size), at);
  Unlock(log);
  return done;
}
#define PWRITE(name) \
  ssize_t name(int fd, const void* bytes, size_t size, off_t offset) { \
    REAL(ssize_t, name, int, const void*, size_t, off_t); \
    char path[4096]; \
    if (!BelowFd(fd, path, sizeof path)) return real(fd, bytes, size, offset); \
    if (Fails()) return fail_short && size > 1 ? real(fd, bytes, size / 2, offset) : -1; \
    const int log = Lock(); \
    const ssize_t done = Wrote(log, fd, bytes, real(fd, bytes, size, offset), offset); \
    Unlock(log); \
    return done; \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t copy_file_range(int in, off64_t* offset_in, int out, off64_t* offset_out, size_t size, unsigned flags) {
  REAL(ssize_t, copy_file_range, int, off64_t*, int, off64_t*, size_t, unsigned);
  char path[4096];
  if (!BelowFd(out, path, sizeof path)) return real(in, offset_in, out, offset_out, size, flags);
  if (Fails()) return -1;
  const int log = Lock();
  const off_t at = offset_out ? *offset_out : lseek(out, 0, SEEK_CUR), from = offset_in ? *offset_in : lseek(in, 0, SEEK_CUR);
  const ssize_t done = real(in, offset_in, out, offset_out, size, flags);
  for (ssize_t told = 0; log >= 0 && told < done;) {  // `out` may be open for writing only: `in` has the same bytes.
    char piece[65536];
    const ssize_t got = pread(in, piece, sizeof piece < (size_t)(done - told) ? sizeof piece : (size_t)(done - told), from + told);
    if (got <= 0) break;
    Wrote(log, out, piece, got, at + told);
    told += got;
  }
  Unlock(log);
  return done;
}

#define TRUNCATE(name) \
  int name(int fd, off_t size) { \
    REAL(int, name, int, off_t); \
    char path[4096]; \
    if (!BelowFd(fd, path, sizeof path)) return real(fd, size); \
    if (Fails()) return -1; \
    const int log = Lock(); \
    const int done = real(fd, size); \
    if (done == 0) Record(log, NULL, 0, "T %.6f %lu %ld\n", Now(), InodeOf(fd), (long)size); \
    Unlock(log); \
    return done; \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name) \
  int name(int fd) { \
    REAL(int, name, int); \
    char path[4096]; \
    struct stat found; \
    if (!BelowFd(fd, path, sizeof path) || fstat(fd, &found) != 0) return real(fd); \
    if (Fails()) return -1; \
    const int fails = !S_ISDIR(found.st_mode) && SyncFails(path, &found); \
    const int log = Lock(); \
    if (fails) return SyncFailed(log, found.st_ino); \
    if (S_ISDIR(found.st_mode)) Record(log, NULL, 0, "D %.6f %s\n", Now(), path); \
    else Record(log, NULL, 0, "S %.6f %lu\n", Now(), found.st_ino); \
    Unlock(log); \
    return 0; \
  }
SYNC(fsync)
SYNC(fdatasync)
int syncfs(int fd) {
  (void)fd;
  if (Fails()) return -1;
  const int log = Lock();
  if (sync_kill && sync_every && __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) % sync_every == 0) return SyncFailed(log, 0);
  Record(log, NULL, 0, "S %.6f 0\n", Now());
  Unlock(log);
  return 0;
}

// Ends a change of names: `to` is NULL where there is one.
static int Named(int done, int log, char kind, const char* path, const char* to) {
  if (done == 0) Record(log, NULL, 0, "%c %.6f %s%s%s\n", kind, Now(), path, to ? "\t" : "", to ? to : "");
  Unlock(log);
  return done;
}
int rename(const char* from, const char* to) {
  REAL(int, rename, const char*, const char*);
  if (!Below(from) && !Below(to)) return real(from, to);
  if (Fails()) return -1;
  const int log = Lock();
  return Named(real(from, to), log, 'R', from, to);
}

int link(const char* from, const char* to) {
  REAL(int, link, const char*, const char*);
  if (!Below(to)) return real(from, to);
  if (Fails()) return -1;
  const int log = Lock();
  return Named(real(from, to), log, 'L', from, to);
}

#define REMOVE(name) \
  int name(const char* path) { \
    REAL(int, name, const char*); \
    if (!Below(path)) return real(path); \
    if (Fails()) return -1; \
    const int log = Lock(); \
    return Named(real(path), log, 'U', path, NULL); \
  }
REMOVE(unlink)
REMOVE(rmdir)
REMOVE(remove)
int unlinkat(int folder, const char* name, int flags) {
  REAL(int, unlinkat, int, const char*, int);
  char path[8192];
  PathAt(folder, name, path, sizeof path);
  if (!Below(path)) return real(folder, name, flags);
  if (Fails()) return -1;
  const int log = Lock();
  return Named(real(folder, name, flags), log, 'U', path, NULL);
}
int mkdir(const char* path, mode_t mode) {
  REAL(int, mkdir, const char*, mode_t);
  if (!Below(path)) return real(path, mode);
  if (Fails()) return -1;
  const int log = Lock();
  return Named(real(path, mode), log, 'M', path, NULL);
}
