/* Makes the files of one directory slow, short, failing or full, and the clock wrong, for a process
 * that this library is preloaded into. The rig says what to do in a control file of 64-bit numbers,
 * which is mapped and so takes effect at once; the numbers are described in src/preload.rs, and both
 * must agree. A process that holds the library ends with whoever started it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READ, WRITE, SYNC, OPERATIONS };
enum {
    DELAY = 0,                /* microseconds, one for each operation */
    ERROR = 3,                /* errno, one for each operation; 0 is none */
    ONE_IN = 6,               /* of so many calls one is disturbed, one for each operation */
    SHORTEN = 9,              /* 1: reads and writes transfer half of what was asked, or less */
    ROOM = 10,                /* bytes that may still be written before the disk is full; -1: any */
    CLOCK = 11,               /* milliseconds that the wall clock is ahead */
    DISTURBED = 16,           /* how many calls were: slow, failed, shortened, without room */
    SLOTS = 32
};

static _Atomic int64_t nothing[SLOTS] = {[ROOM] = -1};
static _Atomic int64_t *control = nothing;
static char directory[512];

__attribute__((constructor)) static void begin(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char *place = getenv("RIG_DIRECTORY"), *path = getenv("RIG_CONTROL");
    if (place) strncpy(directory, place, sizeof directory - 1);
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) control = mapped;
}

static int concerns(int file) {
    char link[64], path[512];
    int length = 0, digits = 0, rest = file;
    char number[12];
    do number[digits++] = (char)('0' + rest % 10); while (rest /= 10);
    memcpy(link, "/proc/self/fd/", 14);
    for (length = 14; digits > 0;) link[length++] = number[--digits];
    link[length] = 0;
    ssize_t found = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(directory);
    return prefix > 0 && found >= (ssize_t)prefix && memcmp(path, directory, prefix) == 0;
}

static uint64_t chance(void) {
    static __thread uint64_t state;
    if (state == 0) state = (uint64_t)(uintptr_t)&state ^ 0x9E3779B97F4A7C15u;
    state ^= state << 13; state ^= state >> 7; state ^= state << 17;
    return state;
}

/* Returns 0, or the error that the call must fail with; shortens *length where there is one. */
static int disturb(int operation, int file, size_t *length) {
    int64_t delay = control[DELAY + operation], error = control[ERROR + operation];
    int64_t one_in = control[ONE_IN + operation];
    int shortens = length && *length > 1 && control[SHORTEN];
    int bounded = operation == WRITE && control[ROOM] >= 0;
    if (!delay && !error && !shortens && !bounded) return 0;
    if (file < 0 || !concerns(file)) return 0;
    int chosen = one_in <= 1 || chance() % (uint64_t)one_in == 0;
    if (delay && chosen) {
        control[DISTURBED]++;
        struct timespec pause = {delay / 1000000, delay % 1000000 * 1000};
        nanosleep(&pause, NULL);
    }
    if (error && chosen) {
        control[DISTURBED + 1]++;
        return (int)error;
    }
    if (shortens) {
        control[DISTURBED + 2]++;
        *length = 1 + chance() % (*length / 2);
    }
    if (bounded) {
        int64_t room = control[ROOM];
        if (room == 0) {
            control[DISTURBED + 3]++;
            return ENOSPC;
        }
        if (length && (int64_t)*length > room) *length = (size_t)room;
        if (length) control[ROOM] -= (int64_t)*length;
    }
    return 0;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define DISTURB(operation, file, length) \
    do { int error = disturb(operation, file, length); if (error) { errno = error; return -1; } } while (0)

ssize_t pread(int file, void *into, size_t length, off_t at) {
    REAL(pread); DISTURB(READ, file, &length); return real(file, into, length, at);
}
ssize_t pread64(int file, void *into, size_t length, off64_t at) {
    REAL(pread64); DISTURB(READ, file, &length); return real(file, into, length, at);
}
ssize_t pwrite(int file, const void *from, size_t length, off_t at) {
    REAL(pwrite); DISTURB(WRITE, file, &length); return real(file, from, length, at);
}
ssize_t pwrite64(int file, const void *from, size_t length, off64_t at) {
    REAL(pwrite64); DISTURB(WRITE, file, &length); return real(file, from, length, at);
}
ssize_t write(int file, const void *from, size_t length) {
    REAL(write); DISTURB(WRITE, file, &length); return real(file, from, length);
}
ssize_t pwritev64(int file, const struct iovec *from, int count, off64_t at) {
    REAL(pwritev64); DISTURB(WRITE, file, NULL); return real(file, from, count, at);
}
ssize_t preadv64(int file, const struct iovec *into, int count, off64_t at) {
    REAL(preadv64); DISTURB(READ, file, NULL); return real(file, into, count, at);
}
int fdatasync(int file) { REAL(fdatasync); DISTURB(SYNC, file, NULL); return real(file); }
int fsync(int file) { REAL(fsync); DISTURB(SYNC, file, NULL); return real(file); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    int64_t ahead = control[CLOCK];
    if (result == 0 && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t nanos = now->tv_nsec + ahead % 1000 * 1000000;
        now->tv_sec += ahead / 1000 + (nanos >= 1000000000) - (nanos < 0);
        now->tv_nsec = nanos >= 1000000000 ? nanos - 1000000000 : nanos < 0 ? nanos + 1000000000 : nanos;
    }
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return result;
}
time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
