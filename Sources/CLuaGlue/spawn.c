// burst-scriptd seen from the daemon: started, and swept up after.
#define _GNU_SOURCE
#include "clua_glue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

int bb_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int bb_scriptd_start(const char *path, const char *instance, uint32_t idle_ms, int32_t *pid) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 3);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    // Calls have pipes of their own. Who waits for the end of the terminal's or a pipe's output does not wait for us.
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    char idle[16];
    snprintf(idle, sizeof idle, "%u", idle_ms);
    char *const arguments[] = {(char *)"burst-scriptd", (char *)instance, idle, NULL};
    int error = posix_spawn(pid, path, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    if (error == 0) {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        return ends[0];
    }
    close(ends[0]);
    errno = error;
    return -1;
}

/// Whether the process has the marker in its environment.
static int is_marked(const char *pid, const char *marker, size_t count) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    size_t size = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    // An environment may be as large as the system's limit on arguments; a marker beyond 4 MiB is not looked for.
    while (text != NULL) {
        ssize_t got = read(file, text + size, capacity - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += (size_t)got;
        if (size < capacity) continue;
        if (capacity >= 4 << 20) break;
        char *grown = realloc(text, capacity *= 2);
        if (grown == NULL) break;
        text = grown;
    }
    close(file);
    int found = 0;
    for (size_t at = 0; text != NULL && at + count <= size && !found;) {
        found = memcmp(text + at, marker, count) == 0;
        char *end = memchr(text + at, 0, size - at);
        if (end == NULL) break;
        at = (size_t)(end - text) + 1;
    }
    free(text);
    return found;
}

int bb_scriptd_sweep(const char *instance) {
    char marker[80];
    int count = snprintf(marker, sizeof marker, BB_MARKER "=%.32s.", instance);
    int ended = 0;
    // A process that forks while it is looked for is met in the next round.
    for (int round = 0; round < 20; round++) {
        int found = 0;
        DIR *folder = opendir("/proc");
        if (folder == NULL) break;
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            long pid = strtol(entry->d_name, NULL, 10);
            if (pid <= 1 || pid == getpid() || !is_marked(entry->d_name, marker, (size_t)count)) continue;
            if (kill((pid_t)pid, SIGKILL) == 0) found++;
        }
        closedir(folder);
        if (found == 0) break;
        ended += found;
    }
    return ended;
}
