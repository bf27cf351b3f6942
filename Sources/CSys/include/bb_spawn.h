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

/// Starts a program, looked for in PATH, in a process group of its own, with this one's environment and only the
/// descriptors 0, 1 and 2. It gets `signal` when the thread that calls this ends, however that ends. For programs that
/// are small and have no other thread yet.
///
/// @return 0, or an error number.
int bb_spawn_bound(const char *const words[], int input, int output, int errors, int signal, pid_t *pid);

/// Gives this process and what it starts a nice value and an I/O class (0: as it is; 2: best effort, the lowest level;
/// 3: idle). 0, or -1 and errno.
int bb_be_nice(int nice, int io_class);

/// When a process began, in ticks since the start of the machine: with its number it names the process for good.
/// 0: there is no such process.
unsigned long long bb_process_start(pid_t pid);

#endif
