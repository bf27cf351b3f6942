// The child that makes one call.
#define _GNU_SOURCE
#include "scriptd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int records_descriptor = 3;

static void write_record(const struct bb_bytes *bytes) {
    size_t written = 0;
    while (!bytes->failed && written < bytes->count) {
        ssize_t count = write(records_descriptor, bytes->bytes + written, bytes->count - written);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) _exit(125);
        written += (size_t)count;
    }
}

static void write_line(void *context, int level, const char *text, size_t count) {
    (void)context;
    struct bb_bytes record = {0};
    bb_add_u8(&record, record_line);
    bb_add_u8(&record, (uint8_t)level);
    bb_add_text(&record, text, count < BB_LOG_LINE_MAX ? count : BB_LOG_LINE_MAX);
    write_record(&record);
    bb_bytes_free(&record);
}

static void limit(int what, rlim_t most) {
    struct rlimit now;
    if (getrlimit(what, &now) != 0) return;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    setrlimit(what, &(struct rlimit){most, most});
}

void child_run(
    const uint8_t *frame, size_t count, int output, int records, pid_t parent, const char *instance, uint64_t id,
    uint64_t memory) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(125);
    setpgid(0, 0);
    // What this child starts and orphans stays below it as long as it lives.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    // The records go through a descriptor that no program started from here inherits.
    int kept = fcntl(records, F_DUPFD, 10), out = fcntl(output, F_DUPFD, 10), in = open("/dev/null", O_RDONLY);
    if (kept < 0 || out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(125);
    if (dup3(kept, records_descriptor, O_CLOEXEC) < 0) _exit(125);
    syscall(SYS_close_range, records_descriptor + 1, ~0u, 0);
    umask(0022);
    setrlimit(RLIMIT_NOFILE, &files_before);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_AS, memory ? memory : BB_CHILD_MEMORY_DEFAULT);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char marker[64];
    snprintf(marker, sizeof marker, "%s.%llu", instance, (unsigned long long)id);
    setenv(BB_MARKER, marker, 1);
    // What was printed before a kill is not to be lost in a buffer.
    setvbuf(stdout, NULL, _IOLBF, 4096);

    struct bb_sink sink = {write_line, NULL, NULL};
    struct bb_outcome outcome = bb_perform(frame, count, &sink, 0, NULL);
    fflush(NULL);
    struct bb_bytes record = {0};
    bb_add_u8(&record, record_result);
    bb_add_u8(&record, (uint8_t)outcome.end);
    bb_add_u64(&record, (uint64_t)outcome.status);
    bb_add_u8(&record, outcome.message != NULL);
    bb_add_text(&record, outcome.message, outcome.message ? outcome.message_count : 0);
    write_record(&record);
    _exit(record.failed ? 125 : 0);
}
