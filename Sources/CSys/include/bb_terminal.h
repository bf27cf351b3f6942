// The terminal is always given back (monitor.md §3.14): by the program when it ends in good order, by a signal handler
// when it dies of a signal that can be caught, and by a guardian, its parent process, when it dies of SIGKILL.
//
// All three do the same thing: write bytes that were made ready while the program was healthy, and set the line
// discipline as it was before. What they need lies in one page that program and guardian share.
#ifndef BB_TERMINAL_H
#define BB_TERMINAL_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The most bytes that giving the terminal back may take; `bb_terminal_set_bytes` refuses more.
#define BB_RESTORE_BYTES_MAX 1024
/// How much of what went to standard error under the screen is shown afterwards: the last 16 KiB.
#define BB_STDERR_SHOWN_MAX 16384
/// The stack of a program behind a guardian, as large as Linux makes the first one.
#define BB_PROGRAM_STACK_BYTES (8 << 20)

/// Puts a guardian between the shell and a program and runs the program: call it first in main, before anything starts
/// a thread. Returns what the program returned, in the child; it does not return in the guardian.
///
/// The program goes on in a child process, in the same process group, on a thread of its own. The parent stays behind
/// in a wait, passes on signals that it is sent, stops when the child stops, gives the terminal back if the child died
/// without doing so, and ends as the child ended: with its exit status or of its signal.
/// If the guardian dies first, the child gets SIGTERM.
/// Where standard input or output is not a terminal, and where fork fails, the program runs without a guardian.
int bb_guardian_run(int (*program)(void));

/// The process that guards this one, or 0.
pid_t bb_guardian_pid(void);

/// Makes everything ready before the terminal is touched: remembers the line discipline of `input`, keeps a descriptor
/// of its own for `output`, and installs handlers for exit(3) and for the signals that kill (SEGV BUS ILL TRAP FPE ABRT
/// SYS PIPE, and TERM INT QUIT HUP where no mailbox is open). Returns a new descriptor to which the screen is to be
/// written; it leads nowhere after a restore from a handler, so nothing can follow the restoring bytes.
/// -1 and errno on failure.
int bb_terminal_prepare(int input, int output);

/// Sets the bytes that give the terminal back. Returns -1 if there are too many. A signal in the middle of it sees the
/// old ones or the new ones, whole.
int bb_terminal_set_bytes(const unsigned char *bytes, size_t count);

/// Lets what is written to the screen's descriptor lead nowhere, or to the terminal again.
void bb_terminal_mute(int muted);

/// From here on the terminal is in our hands. With `capture`, standard error goes to a file in memory.
void bb_terminal_take(int capture);
/// Whether it is in our hands. False too when the guardian gave it back while this process was stopped.
int bb_terminal_is_taken(void);
/// The caller has given the terminal back with its own means: standard error is the terminal again and
/// what was captured is shown.
void bb_terminal_gave_back(void);
/// Writes the bytes and sets the line discipline, if the terminal is in our hands. Async-signal-safe.
void bb_terminal_restore(void);
/// Closes what `bb_terminal_prepare` opened and puts the signal handlers back.
void bb_terminal_close(void);

/// Reads up to `size` bytes of what went to standard error since the last call, oldest first. Returns their number.
size_t bb_stderr_take(char *into, size_t size);

/// Opens the mailbox of signals: TERM INT QUIT HUP TSTP CONT WINCH USR1 USR2 are noted instead of acted on.
/// Returns a descriptor (an eventfd) that poll(2) reports as readable while signals are noted, or -1 and errno.
///
/// A program that does not read its mailbox still ends: the second of TERM INT QUIT HUP, sent a second or more after
/// one that is still unread, restores the terminal and kills.
int bb_mailbox_open(void);
/// Takes all noted signals: bit n is set for signal n.
uint64_t bb_mailbox_take(void);
/// Whether one of TERM INT QUIT HUP is noted.
int bb_mailbox_ending(void);
void bb_mailbox_close(void);

/// Stops the process group as Ctrl-Z does and returns when it was continued and stands in the foreground (1), or when
/// a noted signal asks the program to end (2), or at once where nothing could continue it (0: an orphaned process
/// group, which the kernel does not stop). Needs an open mailbox.
int bb_suspend(int terminal);
/// Returns when this process group is the terminal's foreground (1), stopped until then; 2 when a noted signal asks the
/// program to end, 0 when it is in the background and nothing could continue it.
int bb_wait_foreground(int terminal);

/// Ends this process of a signal, with the signal's default action, so that the shell sees the right status.
void bb_die_of(int signal) __attribute__((noreturn));

/// How many cells the C library gives a character in the current locale (wcwidth), -1 if it cannot be shown.
int bb_character_cells(uint32_t character);

/// A descriptor that poll(2) reports as readable when the process has ended (pidfd_open), or -1 and errno.
int bb_pidfd_open(pid_t pid);
/// A pipe that no child inherits, not even one that another thread starts at this moment. -1 and errno on failure.
int bb_pipe(int ends[2]);

/// Opens a pseudo-terminal, both ends closed on exec, master first; its name goes into `name`. Returns 0, or -1
/// (errno).
int bb_pseudo_terminal(int ends[2], char *name, size_t size);

/// prctl(PR_SET_PDEATHSIG): the signal that this process gets when its parent dies.
int bb_set_parent_death_signal(int signal);
#ifdef __cplusplus
}
#endif
#endif
