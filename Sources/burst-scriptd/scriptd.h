// Shared by the files of burst-scriptd.
#ifndef BURST_SCRIPTD_H
#define BURST_SCRIPTD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "clua_child.h"

/// What a child writes to its socket: 'L' u8 level | text, for each line of a call; and at its end
/// 'R' u8 stays | u8 end | i64 status | u8 has message | text message. A child that stays waits for the frame of
/// another call there; one that does not has nothing more to say and ends.
enum { record_line = 'L', record_result = 'R' };
/// The longest frame that is sent to a child that stayed, in bytes: one that certainly fits into its socket.
enum { request_max = 32 << 10 };

/// The limits on open files as this process was started with; children get them back.
extern struct rlimit files_before;

/// Becomes the child that makes the call of `frame`, and perhaps others after it; never returns. `output` is where it
/// prints, `records` its socket.
void child_run(
    const uint8_t *frame, size_t count, int output, int records, pid_t parent, const char *instance, uint64_t memory)
    __attribute__((noreturn));

/// A process as /proc shows it. `start` tells it from a later one with the same number.
struct process {
    pid_t pid, parent, group, session;
    uint64_t start;
    bool is_ours;    // descends from this process
    bool is_stopped; // by us, before it is killed
};

/// All processes, the descendants of this process marked. Valid until the next call. Returns their number.
size_t processes_read(struct process **processes);
/// What `process_marker` says of a process that shows no environment at all: it has none, or is in the midst of execve.
static const uint64_t marker_unclear = UINT64_MAX;
/// The call that the process's marker names, or 0.
uint64_t process_marker(pid_t pid, const char *instance);
/// Ends the processes whose marker names a call that `belongs`, each as soon as it is seen: one that forks and ends
/// again and again lives too short for a list. Returns their number.
size_t processes_kill_marked(const char *instance, bool (*belongs)(uint64_t id));
#endif
