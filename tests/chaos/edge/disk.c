/* A disk that fails or is slow, for one process: loaded before the C library (LD_PRELOAD).
 *
 * Counts the writes, truncations and flushes of files below a folder. The k-th of them fails, and where it `stays`, all
 * after it; each flush takes longer by so many microseconds. Set by `disk_set`, or at start by DISK_UNDER, DISK_SLOW_US.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char under[PATH_MAX];
static long count, fail_at, fail_errno, fail_stays, slow_us;

long disk_count(void) { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }

void disk_set(const char *folder, long at, long number, long stays, long slow) {
  snprintf(under, sizeof under, "%s", folder);
  fail_at = at, fail_errno = number, fail_stays = stays, slow_us = slow;
  __atomic_store_n(&count, 0, __ATOMIC_SEQ_CST);
}

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("DISK_UNDER"), *slow = getenv("DISK_SLOW_US");
  if (folder) disk_set(folder, 0, 0, 0, slow ? atol(slow) : 0);
}

static int is_ours(int fd) {
  char link[64], path[PATH_MAX];
  if (!*under) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  path[size < 0 ? 0 : size] = 0;
  /* The index of the write-ahead log is memory, and what lies in `run` does not outlive a boot. */
  return !strncmp(path, under, strlen(under)) && !strstr(path, "/run/") && !strstr(path, "-shm");
}

static int fails(int fd) {
  if (!is_ours(fd)) return 0;
  long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
  if (!fail_at || number < fail_at || (number > fail_at && !fail_stays)) return 0;
  errno = (int)fail_errno;
  return 1;
}

static int flushes(int fd) {
  if (slow_us && is_ours(fd)) usleep((useconds_t)slow_us);
  return !fails(fd);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) { REAL(write); return fails(fd) ? -1 : real(fd, data, size); }
ssize_t writev(int fd, const struct iovec *data, int n) { REAL(writev); return fails(fd) ? -1 : real(fd, data, n); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
  REAL(pwrite);
  return fails(fd) ? -1 : real(fd, data, size, place);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
  REAL(pwrite64);
  return fails(fd) ? -1 : real(fd, data, size, place);
}
int ftruncate(int fd, off_t size) { REAL(ftruncate); return fails(fd) ? -1 : real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return fails(fd) ? -1 : real(fd, size); }
int fsync(int fd) { REAL(fsync); return flushes(fd) ? real(fd) : -1; }
int fdatasync(int fd) { REAL(fdatasync); return flushes(fd) ? real(fd) : -1; }
