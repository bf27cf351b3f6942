// See bb_terminal.h. What runs in a signal handler here uses async-signal-safe calls only (signal-safety(7)).
#define _GNU_SOURCE
#include "bb_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum holder { GIVEN_BACK, TAKEN, GIVING_BACK };

struct bytes {
    size_t count;
    unsigned char bytes[BB_RESTORE_BYTES_MAX];
};

/// What program and guardian share.
struct page {
    _Atomic int holder;
    _Atomic int slot;          // which of the two is valid; a writer fills the other one
    struct bytes slots[2];
    _Atomic int has_before;
    struct termios before;     // the line discipline before curses: saving it later would save raw mode
    _Atomic long stderr_shown; // bytes of the captured standard error that were shown or taken
};

static struct page *page;
static int captured = -1;          // memfd behind standard error while the terminal is ours
static int real_stderr = -1;
static int null_device = -1;
static int restore_input = -1;
static int restore_output = -1;
static int screen_output = -1;
static pid_t guardian;
static _Atomic int standard_error_is_captured;

// MARK: Giving back

static void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/// Writes all, but waits for a terminal that takes nothing (a stuck connection) at most `timeout_ms`: a restore must
/// not keep a dying process alive.
static void write_all(int fd, const unsigned char *bytes, size_t count, int timeout_ms) {
    while (count > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        int ready = poll(&wait, 1, timeout_ms);
        if (ready == 0 || (ready > 0 && (wait.revents & (POLLERR | POLLNVAL)))) return;
        ssize_t written = write(fd, bytes, count);
        if (written < 0 && errno != EINTR && errno != EAGAIN) return;
        if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        }
    }
}

static void show_captured(int to) {
    if (captured < 0 || to < 0 || page == NULL) return;
    off_t end = lseek(captured, 0, SEEK_END);
    long from = atomic_exchange(&page->stderr_shown, (long)end);
    if (end - from > BB_STDERR_SHOWN_MAX) from = (long)end - BB_STDERR_SHOWN_MAX;
    unsigned char buffer[1024];
    while (from < end) {
        size_t want = (size_t)(end - from) < sizeof buffer ? (size_t)(end - from) : sizeof buffer;
        ssize_t count = pread(captured, buffer, want, from);
        if (count <= 0) return;
        write_all(to, buffer, (size_t)count, 500);
        from += count;
    }
}

/// The restore itself, for the program (its own descriptors) and the guardian (0 and 1).
static bool restore(int input, int output) {
    if (page == NULL) return false;
    int expected = TAKEN;
    if (!atomic_compare_exchange_strong(&page->holder, &expected, GIVING_BACK)) {
        // Another thread is dying at the same moment and is at it: let it finish before this one kills the process.
        for (int i = 0; i < 100 && atomic_load(&page->holder) == GIVING_BACK; i++) sleep_ms(2);
        return false;
    }
    // A process in the background would be stopped by tcsetattr (SIGTTOU) instead of restoring.
    sigset_t output_stop, before;
    sigemptyset(&output_stop);
    sigaddset(&output_stop, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &output_stop, &before);
    const struct bytes *slot = &page->slots[atomic_load(&page->slot) & 1];
    write_all(output, slot->bytes, slot->count, 500);
    if (atomic_load(&page->has_before)) tcsetattr(input, TCSANOW, &page->before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return true;
}

static void release_stderr(void) {
    if (atomic_exchange(&standard_error_is_captured, 0)) dup2(real_stderr, STDERR_FILENO);
}

void bb_terminal_restore(void) {
    int saved = errno;
    if (restore(restore_input, restore_output)) {
        // Whatever curses still has to say, on any thread, now leads nowhere.
        if (screen_output >= 0 && null_device >= 0) dup2(null_device, screen_output);
        release_stderr();
        show_captured(STDERR_FILENO);
        atomic_store(&page->holder, GIVEN_BACK);
    }
    errno = saved;
}

int bb_terminal_is_taken(void) { return page != NULL && atomic_load(&page->holder) == TAKEN; }

void bb_terminal_mute(int muted) {
    if (screen_output >= 0 && null_device >= 0) dup3(muted ? null_device : restore_output, screen_output, O_CLOEXEC);
}

void bb_terminal_take(int capture) {
    if (page == NULL) return;
    atomic_store(&page->holder, TAKEN);
    if (capture && captured >= 0 && real_stderr >= 0) {
        dup2(captured, STDERR_FILENO);
        atomic_store(&standard_error_is_captured, 1);
    }
}

void bb_terminal_gave_back(void) {
    if (page == NULL) return;
    atomic_store(&page->holder, GIVEN_BACK);
    release_stderr();
    show_captured(STDERR_FILENO);
}

int bb_terminal_set_bytes(const unsigned char *bytes, size_t count) {
    if (page == NULL || count > BB_RESTORE_BYTES_MAX) return -1;
    int other = 1 - (atomic_load(&page->slot) & 1);
    memcpy(page->slots[other].bytes, bytes, count);
    page->slots[other].count = count;
    atomic_store(&page->slot, other);
    return 0;
}

size_t bb_stderr_take(char *into, size_t size) {
    if (captured < 0 || page == NULL) return 0;
    long from = atomic_load(&page->stderr_shown);
    ssize_t count = pread(captured, into, size, from);
    if (count <= 0) {
        // All read: start the file anew, so that it does not grow for weeks.
        if (from > 0 && lseek(captured, 0, SEEK_END) == from) {
            atomic_store(&page->stderr_shown, 0);
            if (ftruncate(captured, 0) != 0) atomic_store(&page->stderr_shown, from);
        }
        return 0;
    }
    atomic_store(&page->stderr_shown, from + count);
    return (size_t)count;
}

static int make_page(void) {
    if (page != NULL) return 0;
    void *memory = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -1;
    page = memory;
    captured = memfd_create("standard error", MFD_CLOEXEC);
    if (captured >= 0) fcntl(captured, F_SETFL, O_APPEND);
    return 0;
}

// MARK: Signals

static const int kills[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGSYS, SIGPIPE};
static const int ends[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
static const int notes[] = {SIGTSTP, SIGCONT, SIGWINCH, SIGUSR1, SIGUSR2};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct sigaction previous[NSIG];
static bool installed[NSIG];
static bool handlers_for_death;
static int mailbox = -1;
static _Atomic bool mailbox_open;
static _Atomic uint64_t noted;
static _Atomic int64_t first_end_ms; // when the oldest unread request to end came, 0: none is unread

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_end(int signal) {
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT || signal == SIGHUP;
}

static bool is_note(int signal) {
    return signal == SIGTSTP || signal == SIGCONT || signal == SIGWINCH || signal == SIGUSR1 || signal == SIGUSR2;
}

static void note(int signal) {
    atomic_fetch_or(&noted, (uint64_t)1 << signal);
    uint64_t one = 1;
    ssize_t ignored = write(mailbox, &one, sizeof one);
    (void)ignored;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    if (is_note(signal)) {
        if (atomic_load(&mailbox_open)) note(signal);
        errno = saved;
        return;
    }
    if (is_end(signal) && atomic_load(&mailbox_open)) {
        int64_t none = 0, now = now_ms();
        if (atomic_compare_exchange_strong(&first_end_ms, &none, now) || now - none < 1000) {
            note(signal);
            errno = saved;
            return;
        }
        // The program has had a second to read its mailbox and did not: it hangs.
    }
    bb_terminal_restore();
    struct sigaction action = previous[signal];
    if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN) {
        // It was ignored when we started (nohup, a parent with its own ideas), but we are dying of it.
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
    }
    sigaction(signal, &action, NULL);
    // A fault comes again when its instruction is run again, now with the previous handler and all its details.
    // A signal that was sent, and a trap, which would be stepped over, must be raised again; it waits until we return.
    bool fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE;
    if (!fault || info->si_code <= 0) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
    errno = saved;
}

static void install(int signal) {
    if (installed[signal]) return;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&action.sa_mask);
    if (sigaction(signal, &action, &previous[signal]) == 0) installed[signal] = true;
}

static void uninstall(int signal) {
    if (!installed[signal]) return;
    sigaction(signal, &previous[signal], NULL);
    installed[signal] = false;
}

/// A stack overflow leaves no room for a handler on the same stack. Threads other than the screen's have none of these:
/// when such a thread overflows, the guardian restores.
static void use_alternate_stack(void) {
    static unsigned char memory[65536];
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE)) return;
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory, .ss_flags = 0};
    sigaltstack(&stack, NULL);
}

int bb_mailbox_open(void) {
    if (atomic_load(&mailbox_open)) return mailbox;
    if (mailbox < 0) mailbox = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox < 0) return -1;
    atomic_store(&mailbox_open, true);
    for (size_t i = 0; i < COUNT(ends); i++) install(ends[i]);
    for (size_t i = 0; i < COUNT(notes); i++) install(notes[i]);
    return mailbox;
}

uint64_t bb_mailbox_take(void) {
    if (mailbox < 0) return 0;
    uint64_t count;
    // First empty the counter, then the bits: a signal in between makes one wake-up too many, never one too few.
    ssize_t ignored = read(mailbox, &count, sizeof count);
    (void)ignored;
    atomic_store(&first_end_ms, 0);
    return atomic_exchange(&noted, 0);
}

int bb_mailbox_ending(void) {
    uint64_t bits = atomic_load(&noted);
    for (size_t i = 0; i < COUNT(ends); i++)
        if (bits & ((uint64_t)1 << ends[i])) return 1;
    return 0;
}

void bb_mailbox_close(void) {
    if (!atomic_exchange(&mailbox_open, false)) return;
    for (size_t i = 0; i < COUNT(notes); i++) uninstall(notes[i]);
    if (!handlers_for_death)
        for (size_t i = 0; i < COUNT(ends); i++) uninstall(ends[i]);
    // The descriptor stays: a handler that runs on another thread at this moment may still write to it.
}

/// Duplicates to a descriptor above the standard three, closed on exec.
static int keep(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }

static void close_kept(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

int bb_terminal_prepare(int input, int output) {
    if (make_page() != 0) return -1;
    struct termios now;
    if (tcgetattr(input, &now) != 0) return -1;
    page->before = now;
    atomic_store(&page->has_before, 1);
    restore_input = keep(input);
    restore_output = keep(output);
    screen_output = keep(output);
    // Text that is sent elsewhere on purpose (2>file) stays where it goes.
    if (isatty(STDERR_FILENO)) real_stderr = keep(STDERR_FILENO);
    if (null_device < 0) null_device = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (restore_input < 0 || restore_output < 0 || screen_output < 0) return -1;
    static bool at_exit;
    if (!at_exit) at_exit = atexit(bb_terminal_restore) == 0;
    use_alternate_stack();
    handlers_for_death = true;
    for (size_t i = 0; i < COUNT(kills); i++) install(kills[i]);
    for (size_t i = 0; i < COUNT(ends); i++) install(ends[i]);
    return screen_output;
}

void bb_terminal_close(void) {
    if (page != NULL) atomic_store(&page->has_before, 0);
    for (size_t i = 0; i < COUNT(kills); i++) uninstall(kills[i]);
    handlers_for_death = false;
    if (!atomic_load(&mailbox_open))
        for (size_t i = 0; i < COUNT(ends); i++) uninstall(ends[i]);
    close_kept(&restore_input);
    close_kept(&restore_output);
    close_kept(&real_stderr);
    screen_output = -1; // its owner, the stream of curses, closes it
}

void bb_die_of(int signal) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    raise(signal);
    _exit(128 + signal);
}

// MARK: Stopping and going on

/// Sends a stop signal to the group with its default action and waits until this process was continued. Returns false
/// if nothing stopped within 50 ms: the kernel does not stop orphaned groups.
static bool stop_group(int signal) {
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, &before);
    const uint64_t stop_bits = (uint64_t)1 << SIGCONT | (uint64_t)1 << signal;
    atomic_fetch_and(&noted, ~stop_bits);
    kill(0, signal);
    // Another thread may have taken the signal: this one runs on for a moment and must not touch the terminal.
    bool continued = false;
    for (int i = 0; i < 50 && !continued; i++) {
        sleep_ms(1);
        continued = (atomic_load(&noted) & (uint64_t)1 << SIGCONT) != 0;
    }
    sigaction(signal, &before, NULL);
    atomic_fetch_and(&noted, ~stop_bits);
    return continued;
}

int bb_wait_foreground(int terminal) {
    while (!bb_mailbox_ending()) {
        pid_t foreground = tcgetpgrp(terminal);
        if (foreground == getpgrp() || foreground < 0) return 1;
        // Continued in the background (bg): stay stopped until the shell gives us the terminal.
        if (!stop_group(SIGTTOU)) return 0;
    }
    return 2;
}

int bb_suspend(int terminal) {
    bool stopped = stop_group(SIGTSTP);
    int found = bb_wait_foreground(terminal);
    return found == 1 && !stopped ? 0 : found;
}

// MARK: The guardian

static volatile pid_t guarded;
static volatile sig_atomic_t was_continued;

/// Passes on what somebody sent to the guardian alone. What the kernel makes of keys and hang-ups, and what a shell
/// sends to the job, reaches the whole group: the program has it already, or does not mind to have it twice.
static void pass_on(int signal, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    if (signal == SIGCONT) was_continued = 1;
    bool sent = info->si_code <= 0;
    if (sent && guarded > 1 && info->si_pid != guarded) kill(guarded, signal);
    if (!sent && signal != SIGCONT && !is_end(signal) && signal != SIGTSTP) {
        // A fault of the guardian itself. The program gets SIGTERM from the kernel and gives the terminal back.
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(signal, &action, NULL);
    }
    errno = saved;
}

static const int passed_on[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGPIPE,
    SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS,
};

static void watch(int signal) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = pass_on;
    action.sa_flags = SA_SIGINFO;
    sigaction(signal, &action, NULL);
}

static void restore_for_child(void) {
    if (restore(STDIN_FILENO, STDOUT_FILENO)) {
        atomic_store(&page->holder, GIVEN_BACK);
        return;
    }
    // The child died in the middle of giving back: do it again, whole.
    int half = GIVING_BACK;
    if (atomic_compare_exchange_strong(&page->holder, &half, TAKEN) && restore(STDIN_FILENO, STDOUT_FILENO))
        atomic_store(&page->holder, GIVEN_BACK);
}

/// The child has stopped: so does the guardian, so that the shell gets its prompt. Back when continued.
static void stop_too(void) {
    // SIGSTOP gave the child no chance to restore.
    if (atomic_load(&page->holder) == TAKEN) restore_for_child();
    show_captured(STDERR_FILENO);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    was_continued = 0;
    sigaction(SIGTSTP, &action, NULL);
    raise(SIGTSTP);
    watch(SIGTSTP);
    // Not if the group is orphaned and the kernel did not stop us: then whoever stopped the child goes on with it. Nor
    // if the signal that continued us reached the child too: a second one would make it take the terminal twice.
    siginfo_t info;
    memset(&info, 0, sizeof info);
    bool goes_on = waitid(P_PID, (id_t)guarded, &info, WCONTINUED | WNOHANG) == 0 && info.si_pid == guarded;
    if (was_continued && !goes_on) kill(guarded, SIGCONT);
}

static void guard(pid_t child, const sigset_t *mask) __attribute__((noreturn));
static void guard(pid_t child, const sigset_t *mask) {
    guarded = child;
    prctl(PR_SET_NAME, "guardian");
    for (size_t i = 0; i < COUNT(passed_on); i++) watch(passed_on[i]);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
    siginfo_t info;
    for (;;) {
        memset(&info, 0, sizeof info);
        // Not reaped yet: its number stays its own while a handler may still send to it.
        if (waitid(P_PID, (id_t)child, &info, WEXITED | WSTOPPED | WNOWAIT) != 0) {
            if (errno == EINTR) continue;
            _exit(70);
        }
        if (info.si_code != CLD_STOPPED) break;
        // Taken as late as possible: a child that was continued meanwhile is no longer reported.
        memset(&info, 0, sizeof info);
        if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == child) stop_too();
    }
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    guarded = 0;
    waitid(P_PID, (id_t)child, &info, WEXITED);
    restore_for_child();
    show_captured(STDERR_FILENO);
    if (info.si_code == CLD_EXITED) _exit(info.si_status);
    // The child has left the core file, if any.
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    bb_die_of(info.si_status);
}

pid_t bb_guardian_pid(void) { return guardian; }

/// The mask that the program is to have, and what it is.
static sigset_t program_mask;
static int (*guarded_program)(void);
static int program_status;

static void *run_program(void *nothing) {
    (void)nothing;
    pthread_sigmask(SIG_SETMASK, &program_mask, NULL);
    program_status = guarded_program();
    return NULL;
}

/// Swift's locks name their owner by the number that the kernel gave the thread (FUTEX_LOCK_PI), and its runtime asks
/// for it once a thread. The first thread of a forked process is another one than its parent's but remembers that one's
/// number: as soon as a second thread wants the same lock, neither ever gets it. A new thread asks anew.
static int run_on_new_thread(int (*program)(void)) {
    guarded_program = program;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, BB_PROGRAM_STACK_BYTES);
    // All signals stay blocked on this thread: the program's takes them.
    int error = pthread_create(&thread, &attributes, run_program, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        static const char text[] = "burstmon: no thread can be started\n";
        write_all(STDERR_FILENO, (const unsigned char *)text, sizeof text - 1, 500);
        _exit(70);
    }
    pthread_join(thread, NULL);
    return program_status;
}

int bb_guardian_run(int (*program)(void)) {
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || make_page() != 0) return program();
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &program_mask);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child > 0) guard(child, &program_mask);
    if (child == 0) {
        guardian = parent;
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(128 + SIGTERM);
        return run_on_new_thread(program);
    }
    pthread_sigmask(SIG_SETMASK, &program_mask, NULL);
    return program();
}

int bb_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int bb_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int bb_pseudo_terminal(int ends[2], char *name, size_t size) {
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[0] < 0) return -1;
    ends[1] = -1;
    if (grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0 && ptsname_r(ends[0], name, size) == 0)
        ends[1] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[1] < 0) close(ends[0]);
    return ends[1] < 0 ? -1 : 0;
}

int bb_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }

int bb_character_cells(uint32_t character) { return wcwidth((wchar_t)character); }
