// Small parts of the system that Swift cannot reach or must not run: signal handlers, fork, and what both share.
#ifndef BURST_CSYS_H
#define BURST_CSYS_H
#include "bb_pool.h"
#include "bb_spawn.h"
#include "bb_stage.h"
#include "bb_steps.h"
#include "bb_terminal.h"

/// Lets threads share few memory arenas: each would keep the most that was ever in it, such as the largest sample that
/// was read. Before the first threads.
void bb_memory_share(void);
/// Gives freed memory back to the system.
void bb_memory_return(void);

/// Has the kernel begin to write a file's pages, without waiting for them; fsync(2) does that.
void bb_begin_writing(int fd);
/// syncfs(2): everything that was written to the file's file system. 0, or -1 and errno.
int bb_sync_file_system(int fd);

/// prctl(PR_SET_CHILD_SUBREAPER): whatever this process's children leave behind becomes its own child.
/// Returns 0, or -1 (errno).
int bb_keep_orphans(void);

#endif
