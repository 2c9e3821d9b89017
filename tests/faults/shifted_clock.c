/* For LD_PRELOAD: the time of day, ahead by as many seconds as the file $HOME/clock-is-ahead has bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

static long seconds_ahead(void) {
    const char *file = getenv("HOME");
    struct stat found;
    char path[4096];
    if (file == NULL) return 0;
    size_t length = 0;
    while (file[length] && length < sizeof path - 32) path[length] = file[length], length++;
    const char *name = "/clock-is-ahead";
    for (size_t i = 0; i <= 15; i++) path[length + i] = name[i];
    return stat(path, &found) == 0 ? (long)found.st_size : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += seconds_ahead();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec, time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
