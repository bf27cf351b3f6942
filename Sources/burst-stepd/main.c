// burst-stepd FOLDER: runs one batch script as its owner and outlives a crash of burstd.
//
// FOLDER is the job's own, private to burstd. Its file `step` says what to run; this process adds who runs it, before
// the script starts, and how it ended. `step.log` says what went wrong. The file stays locked as long as this process
// lives: that is how a restarted burstd tells a step that is about to begin from one that never will. One file, since
// making files is what a short job's step would spend its time with.
//
// Signals: TERM ends the step (TERM to all its processes, KILL after KillWait), USR1 suspends, USR2 resumes, HUP is
// ignored, SIGRTMIN carries a signal for the script alone and SIGRTMIN+1 for all processes, in its value.
#define _GNU_SOURCE
#include "stepd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct step {
    struct order order;
    int folder, file;
    int signals;
    pid_t script;  // 0: it has ended
    int status;    // its wait status
    int64_t started, ended;
    bool is_ending;
    int64_t kill_at; // monotonic, ms; -1: not set
    int64_t give_up_at;
    int64_t stop_at;
    const char *note;
};

static sigset_t watched_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGHUP, SIGPIPE, SIGALRM, SIGTSTP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaddset(&set, numbers[i]);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    return set;
}

static int finish(struct step *step, const char *refused) {
    char text[1200];
    int count;
    if (refused != NULL) {
        say("error: %s", refused);
        count = snprintf(text, sizeof text, "\nversion=1\nrefused=%.900s\nend\n", refused);
    } else {
        count = snprintf(
            text, sizeof text, "\nversion=1\nstatus=%d\nstarted=%lld\nended=%lld\n%s%.700s%send\n", step->status,
            (long long)step->started, (long long)step->ended, step->note ? "note=" : "", step->note ? step->note : "",
            step->note ? "\n" : "");
    }
    // Whoever reads that it has ended forgets that it may be running: this must be there after a power cut.
    if (append(step->file, text, (size_t)count) == 0 && fsync(step->file) == 0 && fsync(step->folder) == 0) return 0;
    say("error: the result (%s) cannot be written: %s", text + 1, strerror(errno));
    return 1;
}

/// Not synced: after a power cut no process is left, and burstd knows from the machine's boot that there was one.
static int write_keeper(struct step *step) {
    char boot[64] = "", text[256];
    if (read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot) <= 0) return -1;
    boot[strcspn(boot, "\n")] = 0;
    int count = snprintf(
        text, sizeof text, "\nversion=1\npid=%d\nstart=%llu\nboot=%s\nend\n", (int)getpid(),
        (unsigned long long)start_time(getpid()), boot);
    return append(step->file, text, (size_t)count);
}

/// A stopped process does not see SIGTERM until it is continued.
static void end_all(struct step *step) {
    if (step->is_ending) return;
    step->is_ending = true;
    step->stop_at = -1;
    step->kill_at = monotonic_ms() + step->order.kill_wait_ms;
    signal_family(SIGTERM);
    signal_family(SIGCONT);
}

static void kill_all(struct step *step) {
    int64_t now = monotonic_ms();
    if (step->give_up_at < 0) step->give_up_at = now + UNKILLABLE_MS;
    step->is_ending = true;
    signal_family(SIGKILL);
    step->kill_at = now + KILL_AGAIN_MS;
}

/// burstd leaves word for the script's owner in `step.notice` before it sends TERM.
static void pass_on_notice(struct step *step) {
    char text[NOTICE_BYTES_MAX];
    if (step->script == 0 || read_small(step->folder, "step.notice", text, sizeof text) <= 0) return;
    text[strcspn(text, "\n")] = 0;
    pid_t teller = tell_owner(&step->order, text);
    // It must stand there before the script's own last words; a file system that hangs is not waited for.
    for (int i = 0; teller > 0 && i < 100 && waitpid(teller, NULL, WNOHANG) == 0; i++) poll(NULL, 0, 5);
}

static void take_signal(struct step *step, const struct signalfd_siginfo *info) {
    int number = (int)info->ssi_signo;
    // Anybody may send to a process of their own; only burstd's user may to this one, but the kernel sees to that.
    if (number == SIGTERM || number == SIGINT || number == SIGQUIT) {
        if (!step->is_ending) pass_on_notice(step);
        end_all(step);
    } else if (number == SIGUSR1 && !step->is_ending) {
        signal_family(SIGTSTP);
        step->stop_at = monotonic_ms() + STOP_AFTER_MS;
    } else if (number == SIGUSR2 && !step->is_ending) {
        step->stop_at = -1;
        signal_family(SIGCONT);
    } else if (number == SIGRTMIN || number == SIGRTMIN + 1) {
        int wanted = (int)info->ssi_int;
        if (wanted < 1 || wanted >= NSIG) return;
        if (number == SIGRTMIN && step->script > 0) {
            kill(step->script, wanted);
        } else if (number == SIGRTMIN + 1) {
            if (wanted == SIGKILL) kill_all(step);
            else signal_family(wanted);
        }
    }
}

/// Why the script did not come to run, if that is so: the status is then slurmstepd's.
static void read_failure(struct step *step, int from) {
    static char note[600];
    struct launch_failure failure;
    if (read(from, &failure, sizeof failure) != sizeof failure) return;
    failure.what[sizeof failure.what - 1] = 0;
    const char *path = "";
    if (strstr(failure.what, "stdin")) path = step->order.input;
    if (strstr(failure.what, "stdout")) path = step->order.output;
    if (strstr(failure.what, "stderr")) path = step->order.errors;
    snprintf(
        note, sizeof note, "Could not %s%s%.400s: %s", failure.what, *path ? " " : "", path, strerror(failure.number));
    for (char *c = note; *c; c++) {
        if (*c == '\n') *c = ' ';
    }
    say("error: %s", note);
    step->note = note;
    step->status = LAUNCH_FAILED_STATUS;
}

/// Collects the dead. Returns whether anybody is left.
static bool reap(struct step *step, int failure) {
    for (;;) {
        int status = 0;
        pid_t child = waitpid(-1, &status, WNOHANG);
        if (child < 0 && errno == EINTR) continue;
        if (child < 0) return false; // ECHILD: nobody
        if (child == 0) return true;
        if (child != step->script) continue;
        step->script = 0;
        step->status = status;
        step->ended = now_microseconds();
        read_failure(step, failure);
    }
}

static int next_wait(const struct step *step) {
    int64_t at = step->kill_at;
    if (step->stop_at >= 0 && (at < 0 || step->stop_at < at)) at = step->stop_at;
    if (at < 0) return -1;
    int64_t wait = at - monotonic_ms();
    return wait < 0 ? 0 : (int)wait;
}

static void watch(struct step *step, int failure) {
    while (reap(step, failure)) {
        // What a batch script leaves behind goes with it.
        if (step->script == 0) end_all(step);
        struct pollfd wait = {.fd = step->signals, .events = POLLIN};
        poll(&wait, 1, next_wait(step));
        struct signalfd_siginfo info;
        while (read(step->signals, &info, sizeof info) == sizeof info) take_signal(step, &info);
        int64_t now = monotonic_ms();
        if (step->stop_at >= 0 && now >= step->stop_at) {
            step->stop_at = -1;
            signal_family(SIGSTOP);
        }
        if (step->kill_at >= 0 && now >= step->kill_at) {
            if (step->give_up_at >= 0 && now >= step->give_up_at) {
                step->note = "processes of the step could not be killed";
                say("error: %s within %d s", step->note, UNKILLABLE_MS / 1000);
                break;
            }
            kill_all(step);
        }
    }
    if (step->script != 0) {
        step->status = SIGKILL;
        step->ended = now_microseconds();
    }
}

/// Standard input and outputs that lead nowhere.
static int open_null(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) return -1;
    return close(null);
}

int main(int count, char **words) {
    if (count != 2 || words[1][0] != '/') {
        static const char usage[] = "usage: burst-stepd FOLDER\nburstd starts it with the folder of a job.\n";
        ssize_t ignored = write(STDERR_FILENO, usage, sizeof usage - 1);
        (void)ignored;
        return 2;
    }
    // Before anything else: a signal that comes early must wait, not kill.
    sigset_t set = watched_signals();
    sigprocmask(SIG_SETMASK, &set, NULL);
    umask(077);
    // burstd's own descriptors, sockets among them, must not live on in here.
    close_range(3, ~0u, 0);
    struct step step = {.kill_at = -1, .give_up_at = -1, .stop_at = -1};
    step.folder = open(words[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (step.folder < 0) {
        fprintf(stderr, "burst-stepd: %s: %s\n", words[1], strerror(errno));
        return 1;
    }
    log_to(step.folder);
    // No file system is kept busy by this process, which may live for weeks.
    if (open_null() != 0 || chdir("/") != 0) return 1;
    step.file = openat(step.folder, "step", O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    // Taken away while we waited for the lock: burstd has found us missing and decided that we never start.
    if (step.file < 0 || flock(step.file, LOCK_EX | LOCK_NB) != 0 || fstat(step.file, &status) != 0
        || status.st_nlink == 0) {
        say("error: there is no order, or another process has it");
        return 1;
    }
    const char *wrong = order_read(step.file, &step.order);
    if (wrong != NULL) return finish(&step, wrong);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    step.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (step.signals < 0) return finish(&step, "signalfd failed");
    if (write_keeper(&step) != 0) {
        say("error: the file `step` cannot be written: %s", strerror(errno));
        return finish(&step, "the job's folder cannot be written");
    }
    char path[4200];
    wrong = hand_over(&step.order, path, sizeof path);
    if (wrong == NULL) {
        int failure = -1;
        step.started = now_microseconds();
        step.script = launch(&step.order, path, &failure);
        if (step.script < 0) {
            wrong = "no process for the script: fork failed";
        } else {
            fcntl(failure, F_SETFL, O_NONBLOCK);
            watch(&step, failure);
        }
    }
    take_back(&step.order);
    return finish(&step, wrong);
}
