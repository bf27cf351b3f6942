#define _GNU_SOURCE
#include "bb_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

static void become_bound(
    const char *const words[], int input, int output, int errors, int tell, int signal, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, signal);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);
    int files[4] = {input, output, errors, tell};
    // Above all places that are used, so that none is overwritten before it is moved.
    for (int i = 0; i < 4; i++) {
        files[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 8);
        if (files[i] < 0) _exit(127);
    }
    for (int i = 0; i < 3; i++) dup2(files[i], i);
    dup3(files[3], 3, O_CLOEXEC);
    closefrom(4);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &usual, NULL);
    execvp(words[0], (char *const *)words);
    int error = errno;
    if (write(3, &error, sizeof error) != sizeof error) _exit(126);
    _exit(127);
}

int bb_spawn_bound(const char *const words[], int input, int output, int errors, int signal, pid_t *pid) {
    int said[2];
    if (pipe2(said, O_CLOEXEC) != 0) return errno;
    pid_t parent = getpid();
    pid_t child = fork();
    int error = child < 0 ? errno : 0;
    if (child == 0) become_bound(words, input, output, errors, said[1], signal, parent);
    close(said[1]);
    if (child > 0) {
        ssize_t count;
        do count = read(said[0], &error, sizeof error);
        while (count < 0 && errno == EINTR);
        if (count != (ssize_t)sizeof error) error = 0;
        if (error != 0) {
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
        }
    }
    close(said[0]);
    if (error == 0) *pid = child;
    return error;
}

int bb_be_nice(int nice, int io_class) {
    if (nice > 0 && setpriority(PRIO_PROCESS, 0, nice) != 0) return -1;
    // IOPRIO_WHO_PROCESS; the class above 13 bits of a level, of which 7 is the lowest.
    if (io_class > 0 && syscall(SYS_ioprio_set, 1, 0, io_class << 13 | (io_class == 2 ? 7 : 0)) != 0) return -1;
    return 0;
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
