#define _GNU_SOURCE
#include "bb_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// More files than any caller has.
#define FILES_MAX 16

int bb_spawn_with_files(
    const char *path, const char *const words[], int input, int output, int errors, const int *files, int count,
    pid_t *pid) {
    if (count < 0 || count > FILES_MAX) return EINVAL;
    int all[FILES_MAX + 3];
    int total = count + 3;
    all[0] = input;
    all[1] = output;
    all[2] = errors;
    for (int i = 0; i < count; i++) all[3 + i] = files[i];
    // Above all places that the child uses, so that none is overwritten before it is moved.
    int error = 0;
    int made = 0;
    for (; made < total && error == 0; made++) {
        all[made] = fcntl(all[made], F_DUPFD_CLOEXEC, total + 3);
        if (all[made] < 0) {
            error = errno;
            break;
        }
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int has_actions = 0, has_attributes = 0;
    if (error == 0) {
        error = posix_spawn_file_actions_init(&actions);
        has_actions = error == 0;
    }
    if (error == 0) {
        error = posix_spawnattr_init(&attributes);
        has_attributes = error == 0;
    }
    if (error == 0) {
        sigset_t signals;
        sigfillset(&signals);
        posix_spawnattr_setsigdefault(&attributes, &signals);
        sigemptyset(&signals);
        posix_spawnattr_setsigmask(&attributes, &signals);
        error = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    for (int i = 0; i < total && error == 0; i++) error = posix_spawn_file_actions_adddup2(&actions, all[i], i);
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, total);
    char *environment[] = {NULL};
    if (error == 0) error = posix_spawn(pid, path, &actions, &attributes, (char *const *)words, environment);
    if (has_actions) posix_spawn_file_actions_destroy(&actions);
    if (has_attributes) posix_spawnattr_destroy(&attributes);
    for (int i = 0; i < made; i++) close(all[i]);
    return error;
}

unsigned long long bb_process_start(pid_t pid) {
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t count = read(fd, text, sizeof text - 1);
    close(fd);
    if (count <= 0) return 0;
    text[count] = 0;
    // The name may hold anything, blanks and parentheses too; the 22nd field is the 20th behind it.
    char *at = strrchr(text, ')');
    if (!at) return 0;
    at++;
    for (int field = 3; field < 22; field++) {
        at = strchr(at + 1, ' ');
        if (!at) return 0;
    }
    return strtoull(at + 1, NULL, 10);
}
