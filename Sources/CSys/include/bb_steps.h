// What watching and signalling steps needs of Linux and Swift cannot reach.
#ifndef BB_STEPS_H
#define BB_STEPS_H
#include <spawn.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What is spawned with these actions has no descriptor from `first` on. 0, or errno.
int bb_spawn_closes_from(posix_spawn_file_actions_t *actions, int first);
/// Sends a signal through a descriptor of bb_pidfd_open: never to a stranger who got the number. 0, or -1 and errno.
int bb_pidfd_signal(int pidfd, int signal);
/// The same with a value that comes with it (si_value).
int bb_pidfd_signal_value(int pidfd, int signal, int value);
/// Buries a child of ours that has ended. Someone else's child is left alone.
void bb_pidfd_reap(int pidfd);
/// The first of the signals that a program may use as it likes.
int bb_first_realtime_signal(void);
/// A descriptor that poll(2) reports as readable after bb_wake, or -1 and errno.
int bb_waker_open(void);
void bb_wake(int waker);
/// Makes it unreadable again.
void bb_waker_clear(int waker);
/// Starts a program in a session of its own, with all signals at their defaults and blocked until it unblocks them, and
/// with standard input and outputs that lead nowhere. Never by fork of this process, which may be large.
/// Returns 0 and the process, or an errno.
int bb_spawn_detached(const char *path, const char *const words[], const char *const environment[], pid_t *pid);

#ifdef __cplusplus
}
#endif
#endif
