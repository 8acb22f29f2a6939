// Loaded before the C library (LD_PRELOAD): what disks and clocks do, done on demand.
//
// The folder $SLUICEGATE_PRELOAD holds what is asked for, as files:
//   publish_fails   the next rename that publishes a part of a MergeTree fails with EIO, once;
//   publish_kills   the process dies by SIGKILL there instead;
//   disk_full       no folder of a new part can be made (ENOSPC) while the file is there;
//   clock           eight bytes, an integer: by so many seconds the wall clock is off.
// `publish_*` is removed when it has struck. Whatever strikes adds a byte to `struck`.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

// What ClickHouse calls the folder of a part that an INSERT writes, before it is published.
static const char NEW_PART[] = "tmp_insert_";

static const long long *clock_off;

static int place(char *path, size_t size, const char *name) {
    const char *folder = getenv("SLUICEGATE_PRELOAD");
    return folder && snprintf(path, size, "%s/%s", folder, name) < (int)size;
}

__attribute__((constructor)) static void map_clock(void) {
    char path[4096];
    if (!place(path, sizeof path, "clock")) return;
    int file = open(path, O_RDONLY);
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *clock_off, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) clock_off = mapped;
    close(file);
}

static void struck(void) {
    char path[4096];
    if (!place(path, sizeof path, "struck")) return;
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0) return;
    if (write(file, "x", 1) != 1) perror("struck");
    close(file);
}

static int takes(const char *name) {
    char path[4096];
    return place(path, sizeof path, name) && unlink(path) == 0;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    if (strstr(from, NEW_PART)) {
        if (takes("publish_kills")) {
            struck();
            kill(getpid(), SIGKILL);
        }
        if (takes("publish_fails")) {
            struck();
            errno = EIO;
            return -1;
        }
    }
    return real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    static int (*real)(const char *, mode_t);
    char full[4096];
    if (!real) real = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
    if (strstr(path, NEW_PART) && place(full, sizeof full, "disk_full") && access(full, F_OK) == 0) {
        struck();
        errno = ENOSPC;
        return -1;
    }
    return real(path, mode);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && clock_off && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += (time_t)*clock_off;
    return result;
}

// A wait until a moment of the wall clock: the kernel's own clock does not jump, so it is told the moment as
// that one has it.
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    if (!real) real = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
    struct timespec moment = *until;
    if (clock_off) moment.tv_sec -= (time_t)*clock_off;
    return real(condition, mutex, &moment);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    if (result == 0) {
        now->tv_sec = precise.tv_sec;
        now->tv_usec = precise.tv_nsec / 1000;
    }
    return result;
}

time_t time(time_t *into) {
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
    if (into) *into = precise.tv_sec;
    return precise.tv_sec;
}
