// The processes that descend from this one. PR_SET_CHILD_SUBREAPER makes sure that none escapes: whose parent dies
// becomes our child.
#define _GNU_SOURCE
#include "stepd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct member {
    pid_t pid;
    pid_t parent;
    uint64_t started;
    char state;
    bool is_family;
};

static bool read_stat(pid_t pid, struct member *member) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_small(AT_FDCWD, path, text, sizeof text) <= 0) return false;
    // The name may hold anything, so what follows is counted from its last bracket.
    char *after = strrchr(text, ')');
    if (after == NULL) return false;
    int parent = 0;
    char state = 0;
    unsigned long long started = 0;
    int got = sscanf(
        after + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state, &parent,
        &started);
    if (got != 3) return false;
    *member = (struct member){.pid = pid, .parent = parent, .started = started, .state = state};
    return true;
}

uint64_t start_time(pid_t pid) {
    struct member member;
    return read_stat(pid, &member) ? member.started : 0;
}

static int by_pid(const void *left, const void *right) {
    pid_t a = ((const struct member *)left)->pid, b = ((const struct member *)right)->pid;
    return (a > b) - (a < b);
}

/// All live processes of the family; free it. Returns their number, -1 without memory.
static int find(struct member **found) {
    *found = NULL;
    DIR *folder = opendir("/proc");
    if (folder == NULL) return -1;
    size_t count = 0, room = 0;
    struct member *all = NULL;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        if (count == room) {
            room = room ? room * 2 : 256;
            struct member *more = realloc(all, room * sizeof *all);
            if (more == NULL) {
                free(all);
                closedir(folder);
                return -1;
            }
            all = more;
        }
        if (read_stat((pid_t)atoi(entry->d_name), &all[count])) count++;
    }
    closedir(folder);
    if (count == 0) {
        free(all);
        return 0;
    }
    qsort(all, count, sizeof *all, by_pid);
    pid_t self = getpid();
    // A child may have a smaller number than its parent, so this goes on until nothing new is found.
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t i = 0; i < count; i++) {
            if (all[i].is_family || all[i].pid == self) continue;
            struct member key = {.pid = all[i].parent};
            struct member *parent = bsearch(&key, all, count, sizeof *all, by_pid);
            if (all[i].parent == self || (parent != NULL && parent->is_family)) all[i].is_family = grew = true;
        }
    }
    int kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i].is_family && all[i].state != 'Z' && all[i].state != 'X') all[kept++] = all[i];
    }
    *found = all;
    return kept;
}

/// Through a descriptor, so that the number cannot have passed to a stranger in between.
static void signal_member(const struct member *member, int number) {
    int fd = (int)syscall(SYS_pidfd_open, member->pid, 0);
    if (fd < 0) return;
    if (start_time(member->pid) == member->started) syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
    close(fd);
}

int signal_family(int number) {
    // The second look finds what was born, or lost its parent, during the first. Nobody is sent the signal twice.
    struct member *first = NULL, *second = NULL;
    int first_count = find(&first);
    for (int i = 0; i < first_count; i++) signal_member(&first[i], number);
    if (first_count <= 0) {
        free(first);
        return 0;
    }
    int count = find(&second);
    for (int i = 0; i < count; i++) {
        struct member *known = bsearch(&second[i], first, (size_t)first_count, sizeof *first, by_pid);
        if (known == NULL || known->started != second[i].started) signal_member(&second[i], number);
    }
    free(first);
    free(second);
    return count < 0 ? first_count : count;
}
