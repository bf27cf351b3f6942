#ifndef BURST_SPAWN_H
#define BURST_SPAWN_H

#include <sys/types.h>

/// Starts a program in a session of its own, with no environment, default signals and only the descriptors that are
/// named: 0, 1 and 2 are `input`, `output` and `errors`, from 3 on those of `files`. All are the caller's and stay open
/// here.
///
/// @return 0, or an error number.
int bb_spawn_with_files(
    const char *path, const char *const words[], int input, int output, int errors, const int *files, int count,
    pid_t *pid);

/// When a process began, in ticks since the start of the machine: with its number it names the process for good.
/// 0: there is no such process.
unsigned long long bb_process_start(pid_t pid);

#endif
