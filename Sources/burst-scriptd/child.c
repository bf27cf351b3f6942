// The child that makes calls, one after the other as long as none of them leaves anything behind.
#define _GNU_SOURCE
#include "scriptd.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int records_descriptor = 3;
/// Calls after which a child ends: whatever a C library keeps is given back now and then.
enum { calls_max = 200 };
/// Memory, in KiB, that a child has once had and may have to be kept.
static const long resident_max = 32 << 10;

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

/// Makes one call and tells what came of it. False where this process is not to make another one.
static bool make_call(const uint8_t *frame, size_t count, const char *instance, bool may_stay) {
    struct bb_reader reader = {frame + 5, frame + count, false};
    char marker[64];
    snprintf(marker, sizeof marker, "%s.%llu", instance, (unsigned long long)bb_read_u64(&reader));
    setenv(BB_MARKER, marker, 1);
    // What was printed before a kill is not to be lost in a buffer.
    setvbuf(stdout, NULL, _IOLBF, 4096);

    struct bb_sink sink = {write_line, NULL, NULL};
    bool loaded_library = true;
    struct bb_outcome outcome = bb_perform(frame, count, &sink, 0, NULL, &loaded_library);
    fflush(NULL);
    // Lua alone cannot change a process, but for its locale; a library in C can change anything. What the call started
    // and left running ends with, or outlives, this process, as it would if each call had one of its own.
    struct rusage usage;
    bool stays =
        may_stay && !loaded_library && (outcome.end == BB_END_SUCCESS || outcome.end == BB_END_FAILURE)
        && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD && strcmp(setlocale(LC_ALL, NULL), "C") == 0
        && getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss <= resident_max;
    if (stays) syscall(SYS_close_range, records_descriptor + 1, ~0u, 0);
    struct bb_bytes record = {0};
    bb_add_u8(&record, record_result);
    bb_add_u8(&record, stays);
    bb_add_u8(&record, (uint8_t)outcome.end);
    bb_add_u64(&record, (uint64_t)outcome.status);
    bb_add_u8(&record, outcome.message != NULL);
    bb_add_text(&record, outcome.message, outcome.message ? outcome.message_count : 0);
    write_record(&record);
    if (record.failed) _exit(125);
    bb_bytes_free(&record);
    free(outcome.message);
    return stays;
}

/// Reads exactly `count` bytes; ends this process where nothing more is to come.
static void read_request(uint8_t *into, size_t count) {
    while (count > 0) {
        ssize_t got = read(records_descriptor, into, count);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        into += got;
        count -= (size_t)got;
    }
}

void child_run(
    const uint8_t *frame, size_t count, int output, int records, pid_t parent, const char *instance,
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

    uint8_t *request = NULL;
    for (int made = 1; make_call(frame, count, instance, made < calls_max); made++) {
        uint32_t rest;
        read_request((uint8_t *)&rest, sizeof rest);
        if (rest > request_max) _exit(125);
        if (request == NULL && (request = malloc(request_max + sizeof rest)) == NULL) _exit(125);
        memcpy(request, &rest, sizeof rest);
        read_request(request + sizeof rest, rest);
        frame = request;
        count = rest + sizeof rest;
    }
    _exit(0);
}
