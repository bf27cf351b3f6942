#define _GNU_SOURCE
#include "stepd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Becomes the owner for good. Nothing of root's is left: groups, saved ids, capabilities.
static int become_owner(const struct order *order) {
    if (geteuid() == 0) {
        if (setgroups(order->group_count, order->groups) != 0) return -1;
        if (setresgid(order->gid, order->gid, order->gid) != 0) return -1;
        if (setresuid(order->uid, order->uid, order->uid) != 0) return -1;
        // It must not be possible to come back.
        if (setuid(0) == 0) {
            errno = EPERM;
            return -1;
        }
    }
    if (getuid() != order->uid || geteuid() != order->uid || order->uid == 0) {
        // An ordinary user's own burstd runs as that user; root never gets here.
        errno = EPERM;
        return -1;
    }
    return 0;
}

static void default_signals(void) {
    // The kernel's own call: the C library keeps two signals to itself, and posix_spawn lets them be ignored for good.
    // A struct of zeros is SIG_DFL without flags, whatever its layout.
    static const unsigned char zeros[64];
    for (int number = 1; number < NSIG; number++) syscall(SYS_rt_sigaction, number, zeros, NULL, NSIG / 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void give_up(int to, const char *what, int number) {
    struct launch_failure failure = {.number = number};
    snprintf(failure.what, sizeof failure.what, "%s", what);
    ssize_t ignored = write(to, &failure, sizeof failure);
    (void)ignored;
    _exit(1);
}

static int open_output(const struct order *order, const char *path) {
    // Always to the end, as slurmstepd opens it: what it has to say itself stands between the script's own lines.
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC | (order->appends ? 0 : O_TRUNC);
    return open(path, flags, 0666);
}

/// To the script's own standard error, in slurmstepd's words, since that is what users look for.
static void tell(const char *text) {
    char line[NOTICE_BYTES_MAX + 64];
    int count = snprintf(line, sizeof line, "slurmstepd: error: %s\n", text);
    if (count >= (int)sizeof line) count = sizeof line - 1;
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)count);
    (void)ignored;
}

/// The interpreter that the script's first line names, if it is that which is missing.
static bool missing_interpreter(const char *path, char *name, size_t size) {
    char line[512];
    if (read_small(AT_FDCWD, path, line, sizeof line) < 3 || line[0] != '#' || line[1] != '!') return false;
    char *start = line + 2 + strspn(line + 2, " \t");
    start[strcspn(start, " \t\r\n")] = 0;
    snprintf(name, size, "%s", start);
    return *start != 0 && access(start, X_OK) != 0;
}

static void run(const struct order *order, const char *path, int failure) __attribute__((noreturn));

static void run(const struct order *order, const char *path, int failure) {
    // If burst-stepd is killed, the script has nobody to report to. The change of owner clears this, so it comes after.
    pid_t keeper = getppid();
    setpgid(0, 0);
    default_signals();
    if (become_owner(order) != 0) give_up(failure, "become the script's owner", errno);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) _exit(1);
    umask(order->mask);
    char wrong[512] = "";
    if (chdir(order->work_folder) != 0) {
        snprintf(
            wrong, sizeof wrong, "couldn't chdir to `%.300s': %s: going to /tmp instead", order->work_folder,
            strerror(errno));
        if (chdir("/tmp") != 0) give_up(failure, "enter /tmp", errno);
    }
    int input = open(order->input, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (input < 0) give_up(failure, "open stdin file", errno);
    int output = open_output(order, order->output);
    if (output < 0) give_up(failure, "open stdout file", errno);
    int errors = strcmp(order->output, order->errors) == 0 ? dup(output) : open_output(order, order->errors);
    if (errors < 0) give_up(failure, "open stderr file", errno);
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0) give_up(failure, "use its files", errno);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (wrong[0]) tell(wrong);
    static char own_pid[32], mark[64];
    snprintf(own_pid, sizeof own_pid, "SLURM_TASK_PID=%d", (int)getpid());
    // By this burstd finds what is left of a step whose burst-stepd was killed.
    snprintf(mark, sizeof mark, "BURST_STEP=%d.%llu", (int)keeper, (unsigned long long)start_time(keeper));
    order->environment[0] = own_pid;
    order->environment[1] = mark;
    order->arguments[0] = (char *)path;
    execve(path, order->arguments, order->environment);
    int number = errno;
    char interpreter[400], text[NOTICE_BYTES_MAX];
    if (number == ENOENT && missing_interpreter(path, interpreter, sizeof interpreter)) {
        snprintf(text, sizeof text, "execve(): bad interpreter(%s): %s", interpreter, strerror(number));
    } else {
        snprintf(text, sizeof text, "execve(): %.300s: %s", path, strerror(number));
    }
    tell(text);
    // As slurmstepd does: the script counts as one that ended with errno.
    _exit(number);
}

pid_t launch(const struct order *order, const char *path, int *failure) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    pid_t child = fork();
    if (child == 0) run(order, path, ends[1]);
    int number = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        errno = number;
        return -1;
    }
    // In both processes, so that neither can be early.
    setpgid(child, child);
    *failure = ends[0];
    return child;
}

pid_t tell_owner(const struct order *order, const char *text) {
    pid_t child = fork();
    if (child != 0) return child;
    default_signals();
    if (become_owner(order) != 0) _exit(1);
    // Not made anew if the owner has taken it away; a pipe without a reader is not waited for.
    int fd = open(order->errors, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) _exit(1);
    tell(text);
    _exit(0);
}
