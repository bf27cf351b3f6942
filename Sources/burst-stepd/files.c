#define _GNU_SOURCE
#include "stepd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t now_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int log_folder = -1;

void log_to(int folder) { log_folder = folder; }

void say(const char *format, ...) {
    // Opened at the first line only: most steps have nothing to say, and a file costs more than they do.
    static int log = -1;
    if (log < 0)
        log = openat(log_folder, "step.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0) return;
    char line[2048];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    size_t used = strftime(line, 64, "[%Y-%m-%dT%H:%M:%S] ", &local);
    va_list values;
    va_start(values, format);
    int added = vsnprintf(line + used, sizeof line - used - 1, format, values);
    va_end(values);
    if (added < 0) return;
    used = used + (size_t)added < sizeof line - 2 ? used + (size_t)added : sizeof line - 2;
    line[used++] = '\n';
    ssize_t ignored = write(log, line, used);
    (void)ignored;
}

int append(int fd, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return -1;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

ssize_t read_small(int folder, const char *name, char *into, size_t size) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return -1;
    size_t done = 0;
    while (done + 1 < size) {
        ssize_t got = read(fd, into + done, size - 1 - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    close(fd);
    into[done] = 0;
    return (ssize_t)done;
}

static char problem[512];

static const char *failed(const char *what, const char *path) {
    snprintf(problem, sizeof problem, "%s %.300s: %s", what, path, strerror(errno));
    return problem;
}

/// The copy lies in a folder of root's that the job's group may enter, as slurmd has it: a process of the owner's
/// cannot put another script in its place, and others see nothing.
const char *hand_over(const struct order *order, char *path, size_t size) {
    int length = snprintf(path, size, "%s/slurm_script", order->spool);
    if (length >= (int)size) return "the spool folder's name is too long";
    int from = open(order->script, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0) return failed("cannot open the stored script", order->script);
    struct stat status;
    if (fstat(from, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(from);
        return "the stored script is not a plain file";
    }
    if (status.st_size > SCRIPT_BYTES_MAX) {
        close(from);
        return "the stored script is larger than 64 MiB";
    }
    size_t count = (size_t)status.st_size, done = 0;
    char *bytes = malloc(count + 1);
    while (bytes != NULL && done < count) {
        ssize_t got = read(from, bytes + done, count - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    close(from);
    if (bytes == NULL) return "no memory for the script";
    // slurmctld keeps scripts with a byte 0 at the end.
    while (done > 0 && bytes[done - 1] == 0) done--;
    // What an earlier run of the same job left here, when the machine lost power.
    take_back(order);
    if (mkdir(order->spool, 0700) != 0) {
        free(bytes);
        return failed("cannot make the spool folder", order->spool);
    }
    const char *wrong = NULL;
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700);
    if (to < 0 || append(to, bytes, done) != 0 || fchmod(to, 0700) != 0) wrong = failed("cannot write", path);
    if (wrong == NULL && geteuid() == 0) {
        if (fchown(to, order->uid, 0) != 0 || chown(order->spool, 0, order->gid) != 0
            || chmod(order->spool, 0750) != 0) {
            wrong = failed("cannot hand over", path);
        }
    }
    if (to >= 0 && close(to) != 0 && wrong == NULL) wrong = failed("cannot write", path);
    free(bytes);
    return wrong;
}

void take_back(const struct order *order) {
    char path[4200];
    snprintf(path, sizeof path, "%s/slurm_script", order->spool);
    unlink(path);
    rmdir(order->spool);
}
