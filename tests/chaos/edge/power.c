/* Writes down what one process does to the files below a folder, or kills it there (LD_PRELOAD).
 *
 * A record, little-endian: kind (1 byte), inode (8), offset or size (8), length of the path (4), of the data (4), the
 * path, the data. Kinds: Write, Truncate, Sync, Directory (its sync), Rename and Link (data: the new path), Unlink, and
 * Note, which the program makes itself. The k-th of the others kills the process before it is done.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static char under[PATH_MAX];
static int log_fd = -1;
static long count, kill_at;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

long power_count(void) { return count; }

void power_begin(const char *folder, const char *log, long at) {
  log_fd = *log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  count = 0, kill_at = at;
  snprintf(under, sizeof under, "%s", folder);
}

static void put(const void *data, size_t size) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (size && real(log_fd, data, size) != (ssize_t)size) raise(SIGABRT);
}

static void note(char kind, uint64_t inode, uint64_t place, const char *path, const void *data, size_t size) {
  pthread_mutex_lock(&one_at_a_time);
  if (kind != 'N' && ++count == kill_at) kill(getpid(), SIGKILL), pause();
  if (log_fd >= 0) {
    uint32_t lengths[2] = {(uint32_t)strlen(path), (uint32_t)size};
    put(&kind, 1), put(&inode, 8), put(&place, 8), put(lengths, 8), put(path, lengths[0]), put(data, size);
  }
  pthread_mutex_unlock(&one_at_a_time);
}

void power_note(const char *what) { note('N', 0, 0, what, "", 0); }

static int matters(const char *path) {
  /* The index of the write-ahead log is memory, and what lies in `run` does not outlive a boot. */
  return *under && !strncmp(path, under, strlen(under)) && !strstr(path, "/run/") && !strstr(path, "-shm");
}

static void of_fd(char kind, int fd, int64_t place, const void *data, size_t size) {
  char link[64], path[PATH_MAX];
  struct stat found;
  if (!*under) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  if (!matters(path) || fstat(fd, &found)) return;
  if (place < 0) place = fcntl(fd, F_GETFL) & O_APPEND ? found.st_size : lseek(fd, 0, SEEK_CUR);
  note(kind == 'S' && S_ISDIR(found.st_mode) ? 'D' : kind, found.st_ino, (uint64_t)place, path, data, size);
}

static void of_path(char kind, const char *path, const char *other) {
  struct stat found;
  if (!matters(path) || lstat(path, &found)) return;
  note(kind, found.st_ino, 0, path, other, strlen(other));
}

ssize_t write(int fd, const void *data, size_t size) { REAL(write); of_fd('W', fd, -1, data, size); return real(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(pwrite);
  of_fd('W', fd, at, data, size);
  return real(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(pwrite64);
  of_fd('W', fd, at, data, size);
  return real(fd, data, size, at);
}
int ftruncate(int fd, off_t size) { REAL(ftruncate); of_fd('T', fd, size, "", 0); return real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); of_fd('T', fd, size, "", 0); return real(fd, size); }
int fsync(int fd) { REAL(fsync); int done = real(fd); of_fd('S', fd, 0, "", 0); return done; }
int fdatasync(int fd) { REAL(fdatasync); int done = real(fd); of_fd('S', fd, 0, "", 0); return done; }
int rename(const char *from, const char *to) { REAL(rename); of_path('R', from, to); return real(from, to); }
int link(const char *from, const char *to) { REAL(link); of_path('L', from, to); return real(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
  REAL(linkat);
  of_path('L', from, to);
  return real(a, from, b, to, flags);
}
int unlink(const char *path) { REAL(unlink); of_path('U', path, ""); return real(path); }
int unlinkat(int at, const char *path, int flags) { REAL(unlinkat); of_path('U', path, ""); return real(at, path, flags); }
