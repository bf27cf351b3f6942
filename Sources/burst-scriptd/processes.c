// Which processes descend from this one. As a child subreaper it is the ancestor of all that its children start, also
// of what changed its group or session and lost its parent.
#define _GNU_SOURCE
#include "scriptd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct process *known;
static size_t known_count, known_capacity;

static bool read_process(const char *name, struct process *process) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    if (count <= 0) return false;
    text[count] = 0;
    // The name in brackets may hold anything, brackets too.
    char *rest = strrchr(text, ')');
    if (rest == NULL) return false;
    int pid = atoi(text), parent, group, session, threads;
    char state;
    unsigned long long start;
    if (sscanf(
            rest + 1,
            " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu", &state, &parent, &group,
            &session, &threads, &start) != 6
        // A process whose first thread ended looks like a zombie and is none.
        || ((state == 'Z' || state == 'X') && threads < 2))
        return false;
    *process = (struct process){pid, parent, group, session, start, false, false};
    return true;
}

static int by_pid(const void *left, const void *right) {
    pid_t a = ((const struct process *)left)->pid, b = ((const struct process *)right)->pid;
    return (a > b) - (a < b);
}

static struct process *with_pid(pid_t pid) {
    struct process wanted = {.pid = pid};
    return bsearch(&wanted, known, known_count, sizeof *known, by_pid);
}

size_t processes_read(struct process **processes) {
    known_count = 0;
    DIR *folder = opendir("/proc");
    if (folder != NULL) {
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
            if (known_count == known_capacity) {
                size_t capacity = known_capacity ? known_capacity * 2 : 1024;
                struct process *grown = realloc(known, capacity * sizeof *known);
                if (grown == NULL) break;
                known = grown;
                known_capacity = capacity;
            }
            if (read_process(entry->d_name, &known[known_count])) known_count++;
        }
        closedir(folder);
    }
    if (known_count > 0) qsort(known, known_count, sizeof *known, by_pid);
    pid_t self = getpid();
    for (size_t i = 0; i < known_count; i++) {
        struct process *at = &known[i];
        // A chain of parents that changes while it is read could lead in a circle.
        for (int steps = 0; at != NULL && at->parent > 1 && steps < 1000; steps++) {
            if (at->parent == self || at->is_ours) {
                known[i].is_ours = true;
                break;
            }
            at = with_pid(at->parent);
        }
    }
    *processes = known;
    return known_count;
}

uint64_t process_marker(pid_t pid, const char *instance) {
    char path[64], wanted[64];
    static char text[1 << 20];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int prefix = snprintf(wanted, sizeof wanted, BB_MARKER "=%s.", instance);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    size_t size = 0;
    while (size < sizeof text - 1) {
        ssize_t got = read(file, text + size, sizeof text - 1 - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += (size_t)got;
    }
    close(file);
    if (size == 0) return marker_unclear;
    text[size] = 0;
    for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
        if (strncmp(text + at, wanted, (size_t)prefix) == 0) return strtoull(text + at + prefix, NULL, 10);
    }
    return 0;
}

size_t processes_kill_marked(const char *instance, bool (*belongs)(uint64_t id)) {
    DIR *folder = opendir("/proc");
    if (folder == NULL) return 0;
    size_t found = 0;
    pid_t self = getpid();
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || pid == self) continue;
        uint64_t id = process_marker(pid, instance);
        if (id != 0 && id != marker_unclear && belongs(id) && kill(pid, SIGKILL) == 0) found++;
    }
    closedir(folder);
    return found;
}
